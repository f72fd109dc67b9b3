"""A viewport over blocks: where we are, which rows that makes, and what of them is selected.

No widget per message and no virtual screen: a position is a block and a row of it, and only blocks
that are seen are rendered, so a thread of any length opens at once. The blocks keep their strips,
and ``render_lines`` hands them over as they are; after a change only rows that look different are
drawn again.

The position is either the end, which is then followed, or fixed: what comes below does not move it.
Nothing here knows what the blocks are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from cody_tui.signs import signs
from cody_tui.widgets.blocks import MARGIN, Block
from cody_tui.widgets.hits import plain_text
from cody_tui.widgets.marking import span_over
from cody_tui.widgets.palette import Palette, theme_palette

WHEEL_ROWS: Final = 3
_BLOCK_ROWS: Final = 1 << 24
"""Rows are numbered for selections by block and row in it: no block has as many rows."""


class Position(NamedTuple):
    """A row: a block by its index, and which of its rows; the gap above it is one of them."""

    block: int
    row: int


class Viewport(Widget):
    """Shows blocks one below the other."""

    def __init__(self) -> None:
        self._is_restyled = False
        super().__init__()
        self._blocks: list[Block] = []
        self._top: Position | None = None
        self._top_rows = 0
        self._unseen = False
        self._rows: list[Strip] = []
        self._row_keys: list[int] = []
        self._palette: Palette | None = None
        self._colours: Mapping[str, str] = {}

    # Where we are

    @property
    def is_following(self) -> bool:
        """Whether the end is shown, and stays shown when more comes."""
        return self._top is None

    @property
    def has_unseen(self) -> bool:
        """Whether something has come below the rows that are shown."""
        return self._unseen

    def scroll_rows(self, rows: int) -> None:
        """Scroll down by so many rows, or up by a negative number; at the end it is followed."""
        if not self.size or not self._blocks:
            return
        start = self._top or self._last_screen()
        if start is not None:
            self._go_to(self._moved(start, rows))

    def scroll_pages(self, pages: int) -> None:
        """Scroll by screenfuls, two rows of the last one kept in sight."""
        self.scroll_rows(pages * self._page_step)

    def show_start(self) -> None:
        """Scroll to the first row."""
        if self._last_screen() is not None:
            self._fix(Position(0, 0))

    def show_end(self) -> None:
        """Scroll to the last row and follow."""
        self._fix(None)

    @property
    def _page_step(self) -> int:
        return max(1, self._page_rows - 2)

    @property
    def _page_rows(self) -> int:
        """How many rows show blocks: all of them, unless something else stands below."""
        return self.size.height

    def _go_to(self, top: Position) -> None:
        """Show that row at the top, or follow the end if that is as far down."""
        end = self._last_screen()
        self._fix(None if end is None or top >= end else top)

    def _fix(self, top: Position | None) -> None:
        self._top = top = top if top is not None and top.block < len(self._blocks) else None
        if top is None:
            self._unseen = False
        else:
            self._top_rows = self.height_of(top.block)
        self._repaint()

    def _moved(self, start: Position, rows: int) -> Position:
        block, row = start.block, start.row + rows
        while row < 0 and block > 0:
            block -= 1
            row += self.height_of(block)
        while block < len(self._blocks) - 1 and row >= self.height_of(block):
            row -= self.height_of(block)
            block += 1
        return Position(block, max(0, row))

    def _first_screen_row(self) -> Position:
        return self._top or self._last_screen() or Position(0, 0)

    def _last_screen(self) -> Position | None:
        """Return the first row of the last screenful, or ``None`` if all fits on one."""
        missing = self._page_rows
        for block in range(len(self._blocks) - 1, -1, -1):
            height = self.height_of(block)
            if height > missing or (height == missing and block > 0):
                return Position(block, height - missing)
            missing -= height
        return None

    # Rows

    def _strips(self, index: int) -> Sequence[Strip]:
        return self._blocks[index].strips(self.size.width, self._styles())

    def height_of(self, index: int) -> int:
        """Return how many rows a block has, the gap above it included."""
        return len(self._strips(index)) + self._gap(index)

    def _gap(self, index: int) -> int:
        return 1 if index and self._blocks[index].gap else 0

    def text_at(self, position: Position) -> str:
        """Return the text of a row, the margin left out."""
        row = position.row - self._gap(position.block)
        strips = self._strips(position.block)
        return plain_text(strips[row])[MARGIN:].rstrip() if 0 <= row < len(strips) else ""

    def _position_at(self, y: int) -> Position | None:
        """Return which row of which block is on a row of the screen."""
        if not 0 <= y < min(len(self._row_keys), self._page_rows):
            return None
        block, row = divmod(self._row_keys[y], _BLOCK_ROWS)
        return Position(block, row) if block < len(self._blocks) else None

    def _positions(self) -> list[Position | None]:
        """Return what is on each row of the screen, from the top."""
        return [self._position_at(y) for y in range(self._page_rows)]

    def _styles(self) -> Palette:
        if self._palette is None or self._is_restyled:
            self._is_restyled = False
            colours, said = self.app.theme_variables, signs(self.app)
            if self._palette is None or (colours, said) != (self._colours, self._palette.signs):
                self._colours, self._palette = colours, theme_palette(said)
        return self._palette

    def _set_blocks(self, blocks: list[Block], *, news: bool) -> None:
        self._blocks = blocks
        if self._top is not None and news:
            self._unseen = True
        self._repaint()

    def _repaint(self) -> None:
        """Compose the rows anew and refresh those that look different."""
        if not self.is_attached or not self.size:
            return
        before = self._rows
        self._compose_rows()
        width = self.size.width
        if len(before) != len(self._rows):
            self.refresh()
            return
        changed = [
            Region(0, y, width, 1)
            for y, (old, new) in enumerate(zip(before, self._rows, strict=True))
            if old is not new and old != new
        ]
        if changed:
            self.refresh(*changed)

    def _compose_rows(self) -> None:
        width, height = self.size.width, self._page_rows
        if self._top is not None and self._top.block >= len(self._blocks):
            self._top = None
        block, skip = self._first_screen_row()
        blank = Strip.blank(width, self._styles()["text"])
        rows: list[Strip] = []
        keys: list[int] = []
        while len(rows) < height and block < len(self._blocks):
            gap = self._gap(block)
            shown = [blank] if skip < gap else []
            first, room = max(0, skip - gap), height - len(rows) - len(shown)
            shown.extend(self._strips(block)[first : first + room])
            keys.extend(range(block * _BLOCK_ROWS + skip, block * _BLOCK_ROWS + skip + len(shown)))
            rows.extend(shown)
            block, skip = block + 1, 0
        keys.extend(range(block * _BLOCK_ROWS, block * _BLOCK_ROWS + height - len(rows)))
        rows.extend([blank] * (height - len(rows)))
        self._row_keys = keys
        self._decorate(rows)
        self._rows = rows

    @property
    def _hint(self) -> str:
        return " ↓ new " if self._styles().signs.draws else " new below "

    def _decorate(self, rows: list[Strip]) -> None:
        """Lay over the rows what does not belong to a block."""
        if self._unseen:
            hint = Strip([Segment(self._hint, self._styles()["hint"])], len(self._hint))
            rows[-1] = Strip.join([rows[-1].crop(0, self.size.width - len(self._hint)), hint])

    # What Textual asks and tells

    def render_lines(self, crop: Region) -> list[Strip]:
        """Hand over rows that are composed already; what is not selected is not styled again."""
        if len(self._rows) != self.size.height or self._is_restyled:
            self._compose_rows()
        rows = self._rows[crop.y : crop.bottom]
        if selection := self.text_selection:
            rows = [self._chosen(y, selection) for y in crop.line_range]
        if filters := self.get_line_filters():
            ground = self.background_colors[1]  # dear, and the same for every row
            for line_filter in filters:
                rows = [row.apply_filter(line_filter, ground) for row in rows]
        if crop.column_span != (0, self.size.width):
            rows = [row.crop(*crop.column_span) for row in rows]
        return rows

    def render_line(self, y: int) -> Strip:
        """Return a row that says where in the transcript its text is, for selections."""
        if y >= len(self._row_keys) or y >= len(self._rows):
            return Strip.blank(self.size.width)
        return self._rows[y].apply_offsets(0, self._row_keys[y])

    def _chosen(self, y: int, selection: Selection) -> Strip:
        span = selection.get_span(self._row_keys[y]) if y < len(self._row_keys) else None
        row = self._rows[y]
        return row if span is None else span_over(row, *span, self._styles()["selection"])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text, without the margin and the padding that rows have."""
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else len(self._blocks) * _BLOCK_ROWS
        lines: list[str] = []
        for block in range(first // _BLOCK_ROWS, min(last // _BLOCK_ROWS + 1, len(self._blocks))):
            gap = self._gap(block)
            texts = [""] * gap + [plain_text(strip) for strip in self._strips(block)]
            for row, text in enumerate(texts):
                if (span := selection.get_span(block * _BLOCK_ROWS + row)) is not None:
                    end = len(text) if span[1] == -1 else span[1]
                    lines.append(text[max(MARGIN, span[0]) : end].rstrip())
        return "\n".join(lines), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw the rows again: any of them may be selected now."""
        self.refresh()

    def notify_style_update(self) -> None:
        """Take the styles of another theme when they are there: this is told before they are."""
        super().notify_style_update()
        self._is_restyled = True
        if self.is_attached:
            self.refresh()

    def on_resize(self) -> None:
        """Wrap again what is seen."""
        self._rewrap()

    def _rewrap(self) -> None:
        """Wrap again; the row at the top stays about where it was."""
        if self._top is not None:
            block = self._top.block
            height = self.height_of(block)
            row = self._top.row * height // max(1, self._top_rows)
            self._top, self._top_rows = Position(block, min(row, height - 1)), height
        self._rows = []
        self._repaint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.scroll_rows(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.scroll_rows(-WHEEL_ROWS)
