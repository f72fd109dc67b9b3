"""Rows that are made when they are looked at.

The output of a tool may be a megabyte, and nobody sees more of it than a screenful. Its lines are
counted once, which is cheap; a row becomes a strip when it is asked for.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, overload

from rich.cells import cell_len, chop_cells
from rich.style import Style
from textual.strip import Strip

from cody_tui.text import printable
from cody_tui.widgets.lines import TAB, Run, to_strip

MOST_KEPT: Final = 1_000
"""Strips that are kept for the next time they are asked for: some screenfuls."""


class Rows(Sequence[Strip]):
    """A sequence of strips that knows its length before it has them."""

    @abstractmethod
    def row(self, index: int) -> Strip:
        """Return one row; ``index`` is not negative and less than the length."""

    @overload
    def __getitem__(self, index: int) -> Strip: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Strip]: ...
    def __getitem__(self, index: int | slice) -> Strip | Sequence[Strip]:
        """Return a row, or a list of some."""
        if isinstance(index, slice):
            return [self.row(n) for n in range(*index.indices(len(self)))]
        count = len(self)
        if not -count <= index < count:
            msg = f"row {index} of {count}"
            raise IndexError(msg)
        return self.row(index % count)


class JoinedRows(Rows):
    """Several sequences of strips, one below the other."""

    def __init__(self, parts: Sequence[Sequence[Strip]]) -> None:
        self._parts = [part for part in parts if part]
        self._starts: list[int] = []
        self._count = 0
        for part in self._parts:
            self._starts.append(self._count)
            self._count += len(part)

    def __len__(self) -> int:
        """Return how many rows all parts have."""
        return self._count

    def row(self, index: int) -> Strip:
        """Return a row of the part it is in."""
        part = bisect_right(self._starts, index) - 1
        return self._parts[part][index - self._starts[part]]


class Look(NamedTuple):
    """How the lines of a text stand on the screen."""

    width: int
    """Cells of a row."""
    content: int
    """Cells of it that the text may take."""
    indent: tuple[Run, ...]
    ground: Style
    style: Callable[[str], Style]
    """The style of a line."""
    margin: int = 2
    first: tuple[Run, ...] | None = None
    """What the first row has in place of the indent, if anything."""


class TextRows(Rows):
    """The lines of a text, folded where the width ends. The text may grow."""

    def __init__(self, look: Look, text: str = "") -> None:
        self._look = look
        self._text = ""
        self._reset()
        self.update(text)

    def _reset(self) -> None:
        self._lines = [""]
        self._starts = [0]
        self._count = 1
        self._last = 0
        """Where in the text its last line begins: all before it is counted for good."""
        self._kept: dict[int, Strip] = {}
        self._chopped: tuple[int, list[str]] = (-1, [])

    def update(self, text: str) -> None:
        """Show a text; of one that has grown only the new lines are counted."""
        if text == self._text:
            return
        if not text.startswith(self._text):
            self._reset()
        fresh = printable(text[self._last :]).expandtabs(TAB).split("\n")
        self._text, self._last = text, text.rfind("\n") + 1
        self._lines.pop()
        self._count = self._starts.pop()
        self._kept = {row: strip for row, strip in self._kept.items() if row < self._count}
        self._chopped = (-1, [])
        for line in fresh:
            self._lines.append(line)
            self._starts.append(self._count)
            self._count += self._height(line)

    def __len__(self) -> int:
        """Return how many rows there are; a last newline begins none."""
        return self._count - (1 if len(self._lines) > 1 and not self._lines[-1] else 0)

    def row(self, index: int) -> Strip:
        """Return a row, made now unless it was made a moment ago."""
        strip = self._kept.get(index)
        if strip is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[index] = strip = self._made(index)
        return strip

    def _made(self, index: int) -> Strip:
        number = bisect_right(self._starts, index) - 1
        line, piece = self._lines[number], index - self._starts[number]
        look = self._look
        run = (self._piece(number, line, piece), look.style(line))
        indent = look.first if look.first is not None and index == 0 else look.indent
        return to_strip([*indent, run], look.width, look.ground, margin=look.margin)

    def _height(self, line: str) -> int:
        width = self._look.content
        if line.isascii():
            return max(1, -(-len(line) // width))
        return 1 if cell_len(line) <= width else len(chop_cells(line, width))

    def _piece(self, number: int, line: str, piece: int) -> str:
        width = self._look.content
        if line.isascii():
            return line[piece * width : (piece + 1) * width]
        if cell_len(line) <= width:
            return line
        if self._chopped[0] != number:
            self._chopped = (number, chop_cells(line, width))
        return self._chopped[1][piece]
