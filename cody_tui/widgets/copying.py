"""Copying by the keyboard: a line cursor in a viewport, and a selection that follows it.

While it is there the viewport has the focus and its last row says what the keys do. Whoever leaves
is back where they were before, in the transcript and with the focus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import BindingType
from textual.geometry import Offset
from textual.strip import Strip
from textual.widget import Widget

from cody_tui.keys import hints, listed
from cody_tui.text import printable
from cody_tui.widgets.blocks import MARGIN
from cody_tui.widgets.hits import plain_text
from cody_tui.widgets.marking import laid_over
from cody_tui.widgets.searched import SearchedViewport
from cody_tui.widgets.viewport import Position

SIGN: Final = "▶"
_MOVING: Final = {"copying.up": "up", "copying.down": "down"}
_LEAVING: Final = {"copying.copy": "copy", "copying.leave": "leave"}


class LineCursor:
    """A line that moves, and a selection from where it was begun to there."""

    def __init__(self, line: Position, back: Position | None, width: int) -> None:
        self.line = line
        self.back = back
        """Where the reader was before, and is again afterwards."""
        self.width = width
        """How wide the viewport was when these rows were what they are."""
        self._anchor: Position | None = None

    @property
    def is_selecting(self) -> bool:
        """Whether a selection has been begun."""
        return self._anchor is not None

    @property
    def span(self) -> tuple[Position, Position]:
        """The first and the last line of the selection, or twice the line that is marked."""
        anchor = self.line if self._anchor is None else self._anchor
        return min(anchor, self.line), max(anchor, self.line)

    def select(self) -> None:
        """Begin a selection at the line, or give it up again."""
        self._anchor = self.line if self._anchor is None else None

    def rewrap(self, width: int, now_at: Callable[[Position, bool], Position]) -> None:
        """Go with the text, which is wrapped anew.

        Args:
            width: How wide the viewport is now.
            now_at: Tells where a row went: its start, or its end if that is asked for.
        """
        anchor, line = self._anchor, self.line
        self.line = now_at(line, anchor is not None and line >= anchor)
        if anchor is not None:
            self._anchor = now_at(anchor, anchor > line)
        if self.back is not None:
            self.back = now_at(self.back, False)
        self.width = width


class CopyingViewport(SearchedViewport):
    """A viewport whose lines can be chosen and copied without a mouse."""

    BINDINGS: ClassVar[list[BindingType]] = [
        listed("up,k", "move_line(-1)", "copying.up", "The line above"),
        listed("down,j", "move_line(1)", "copying.down", "The line below"),
        listed("pageup", "move_page(-1)", "copying.page_up", "A screen up"),
        listed("pagedown", "move_page(1)", "copying.page_down", "A screen down"),
        listed("home", "show_line('first')", "copying.first", "The first line"),
        listed("end", "show_line('last')", "copying.last", "The last line"),
        listed("v,space", "select_lines", "copying.select", "Begin a selection, or give it up"),
        listed("y,enter,ctrl+c", "copy_lines", "copying.copy", "Copy and leave"),
        listed("escape,q", "leave_lines", "copying.leave", "Leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lines: LineCursor | None = None
        self._focus_back: Widget | None = None

    def copy(self, text: str, what: str) -> None:
        """Put a text on the clipboard, through the terminal, and say so."""
        # It is pasted into a shell as likely as not, and must give no orders there either.
        text = printable(text)
        self.app.copy_to_clipboard(text)
        count = text.strip("\n").count("\n") + 1
        size = f"{count:,} lines" if count > 1 else f"{len(text):,} characters"
        self.notify(f"Copied {what}: {size}", timeout=3, markup=False)

    @property
    def is_copying(self) -> bool:
        """Whether keys move the line cursor."""
        return self._lines is not None

    @property
    def _page_rows(self) -> int:
        return max(1, self.size.height - (1 if self._lines is not None else 0))

    def begin_lines(self) -> None:
        """Let keys choose lines to copy; or leave that."""
        if self._lines is not None or not self._blocks:
            self.leave_lines()
            return
        shown = [position for position in self._positions() if position and self.text_at(position)]
        line = shown[-1] if shown else Position(0, 0)
        self._lines = LineCursor(line, self._top, self.size.width)
        self._top = self._first_screen_row()
        self._focus_back = self.screen.focused
        self.can_focus = True
        self.screen.set_focus(self, scroll_visible=False)
        self._move_to(self._lines.line)

    def leave_lines(self) -> None:
        """Give the keys back; the reader is where they were."""
        if self._lines is None:
            return
        back, self._lines = self._lines.back, None
        if self._focus_back is not None and self.screen.focused in (self, None):
            self.screen.set_focus(self._focus_back)
        self.can_focus = False
        self._fix(back)

    def _move_to(self, line: Position) -> None:
        """Put the line cursor on a line and scroll as little as it takes."""
        if self._lines is None:
            return
        last = len(self._blocks) - 1
        block = min(line.block, last)
        row = line.row if line.block <= last else self.height_of(last)
        line = Position(block, min(row, self.height_of(block) - 1))
        self._lines.line = line
        top, rows = self._first_screen_row(), self._page_rows
        if line < top:
            top = line
        elif line >= self._moved(top, rows):
            top = self._moved(line, 1 - rows)
        self._fix(top)

    def _rewrap(self) -> None:
        """Wrap again; what was chosen stays chosen, and in sight."""
        if self._lines is not None and self._lines.width != self.size.width:
            self._lines.rewrap(self.size.width, self._now_at)
        super()._rewrap()
        if self._lines is not None:
            self._move_to(self._lines.line)

    def _now_at(self, was: Position, is_end: bool) -> Position:
        """Return where the first or the last letter of a row is since the width has changed."""
        if self._lines is None or was.block >= len(self._blocks):
            return was
        gap, before = self._gap(was.block), self._letters(was.block, self._lines.width)
        row = max(0, was.row - gap)
        letter = sum(before[: row + 1]) - 1 if is_end else sum(before[:row])
        ends = accumulate(self._letters(was.block, self.size.width))
        now = next((row for row, end in enumerate(ends) if end > letter), row)
        return Position(was.block, now + gap)

    def _letters(self, block: int, width: int) -> list[int]:
        """Return how many letters, blanks left out, each row of a block has at some width."""
        strips = self._blocks[block].strips(width, self._styles())
        return [len("".join(plain_text(strip)[MARGIN:].split())) for strip in strips]

    def scroll_pages(self, pages: int) -> None:
        """Scroll by screenfuls, or move the line cursor by as much."""
        if self._lines is None:
            super().scroll_pages(pages)
        else:
            self._move_to(self._moved(self._lines.line, pages * self._page_step))

    def show_start(self) -> None:
        """Scroll to the first row, or move the line cursor there."""
        if self._lines is None:
            super().show_start()
        else:
            self._move_to(Position(0, 0))

    def show_end(self) -> None:
        """Scroll to the last row and follow, or move the line cursor there."""
        if self._lines is None:
            super().show_end()
        else:
            self._move_to(Position(len(self._blocks), 0))

    def action_move_line(self, rows: int) -> None:
        """Move the line cursor."""
        if self._lines is not None:
            self._move_to(self._moved(self._lines.line, rows))

    def action_move_page(self, pages: int) -> None:
        """Move the line cursor by a screen."""
        self.scroll_pages(pages)

    def action_show_line(self, which: str) -> None:
        """Move the line cursor to the first or the last line."""
        if which == "first":
            self.show_start()
        else:
            self.show_end()

    def action_select_lines(self) -> None:
        """Begin a selection, or give it up."""
        if self._lines is not None:
            self._lines.select()
            self._repaint()

    def action_copy_lines(self) -> None:
        """Copy what is selected, or the line."""
        if self._lines is not None:
            self.copy("\n".join(self._selected()), "what was selected")
            self.leave_lines()

    def action_leave_lines(self) -> None:
        """Leave without copying."""
        self.leave_lines()

    def on_blur(self) -> None:
        """Leave when something else has the keys, but not with the terminal's window."""
        if self.app.app_focus:
            self.leave_lines()

    def _selected(self) -> Iterator[str]:
        if self._lines is None:
            return
        first, last = self._lines.span
        for block in range(first.block, min(last.block + 1, len(self._blocks))):
            start = first.row if block == first.block else 0
            end = last.row + 1 if block == last.block else self.height_of(block)
            for row in range(start, min(end, self.height_of(block))):
                yield self.text_at(Position(block, row))

    def _decorate(self, rows: list[Strip]) -> None:
        """Mark the chosen lines, and say below what the keys do."""
        super()._decorate(rows)
        if self._lines is None:
            return
        first, last = self._lines.span
        palette, width = self._styles(), self.size.width
        sign = Strip([Segment(SIGN, palette["cursor"])], 1)
        for y, position in enumerate(self._positions()):
            if position is not None and first <= position <= last:
                if self._lines.is_selecting:
                    rows[y] = laid_over(rows[y], palette["selection"])
                if position == self._lines.line:
                    self.app.cursor_position = self.content_region.offset + Offset(0, y)
                    if palette.signs.draws:
                        rows[y] = Strip.join([sign, rows[y].crop(1, width)])
        if self.size.height > 1:
            text = self._said(self._lines.is_selecting)
            hint = Strip([Segment(text, palette["label"])], cell_len(text))
            rows.append(hint.adjust_cell_length(width, palette["label"]).crop(0, width))

    def _said(self, is_selecting: bool) -> str:
        """Return what is going on and what the keys do."""
        select = {"copying.select": "give up" if is_selecting else "select"}
        words = hints(self.app, CopyingViewport.BINDINGS, {**_MOVING, **select, **_LEAVING})
        return f" {'Selecting' if is_selecting else 'Copying'}  {words}"
