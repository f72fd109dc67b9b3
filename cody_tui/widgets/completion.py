"""A short list above the prompt: what a word could become, or what was sent before.

It floats above the transcript and takes no room of it: nothing moves when it comes or goes. It
never has the focus; whoever shows it hands it the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from cody_tui.signs import signs
from cody_tui.text import printable

MOST_ROWS: Final = 8
_NOTE_GAP: Final = 3


class Suggestion(NamedTuple):
    """A row of the list."""

    text: str
    """What it stands for."""
    label: str
    """What is shown; of a long one the end."""
    note: str = ""
    """What is said beside it."""
    keep_start: bool = False
    """Whether of a long label the beginning is shown."""


class Suggestions(Widget, can_focus=False):
    """The list. One of its rows is chosen."""

    DEFAULT_CSS = """
    Suggestions {
        height: auto;
        max-height: 8;
        background: $surface;
        color: $foreground;
        &.-floating { overlay: screen; margin: 0 1; padding: 0 1; display: none; }
    }
    """

    rows: reactive[tuple[Suggestion, ...]] = reactive((), layout=True)
    chosen: reactive[int] = reactive(0)

    def __init__(self, take: Callable[[Suggestion], None], *, classes: str = "") -> None:
        """Prepare a list; ``take`` is called with a row that was clicked."""
        super().__init__(classes=classes)
        self._take = take

    @property
    def shown(self) -> tuple[Suggestion, ...]:
        """The rows there is room for; the chosen one is among them."""
        return self.rows[self._first : self._first + MOST_ROWS]

    @property
    def _first(self) -> int:
        return max(0, self.chosen - MOST_ROWS + 1)

    @property
    def is_open(self) -> bool:
        """Whether there is anything to choose from."""
        return self.display and bool(self.rows)

    @property
    def suggestion(self) -> Suggestion | None:
        """The row that is chosen."""
        return self.rows[self.chosen] if self.rows else None

    def offer(self, rows: Sequence[Suggestion]) -> None:
        """Show these rows, the first one chosen; without any, nothing is shown."""
        self.chosen = 0
        self.rows = tuple(rows)
        if self.has_class("-floating"):
            self.display = bool(self.rows)
            self.styles.offset = (0, -len(self.shown))

    def move(self, step: int) -> None:
        """Choose the next row, or one before it; after the last comes the first."""
        if self.rows:
            self.chosen = (self.chosen + step) % len(self.rows)

    def on_click(self, event: events.Click) -> None:
        """Take the row under the mouse."""
        event.stop()
        row = event.get_content_offset(self)
        if row is not None and row.y < len(self.shown):
            self._take(self.shown[row.y])

    def render(self) -> Content:
        """Put the rows below each other; a mark tells which one is chosen, not only its colour."""
        width = self.content_size.width
        column = max((cell_len(row.label) for row in self.rows), default=0) + _NOTE_GAP
        return Content("\n").join(
            self._line(row, width, column, index == self.chosen)
            for index, row in enumerate(self.shown, self._first)
        )

    def _line(self, row: Suggestion, width: int, column: int, is_chosen: bool) -> Content:
        sign = signs(self.app).cursor
        mark = sign if is_chosen else " " * len(sign)
        label = _cut(printable(row.label), width - len(mark), keep_start=row.keep_start)
        note = printable(row.note)
        if not note or column + len(mark) + cell_len(note) > width:
            note, column = "", 0
        gap = " " * max(0, column - cell_len(label))
        style = "bold $foreground on $panel" if is_chosen else "$foreground"
        line = Content.assemble((mark + label, style), gap, (note, "$text-muted"))
        return line.pad_right(max(0, width - line.cell_length))


def _cut(text: str, width: int, *, keep_start: bool) -> str:
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) >= width:
        text = text[:-1] if keep_start else text[1:]
    return f"{text}…" if keep_start else f"…{text}"
