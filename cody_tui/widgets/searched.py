"""A viewport in which a text is marked wherever it stands."""

from __future__ import annotations

import re
from itertools import groupby

from textual.strip import Strip

from cody_tui.widgets.blocks import Block
from cody_tui.widgets.hits import plain_text
from cody_tui.widgets.marking import Place, pattern, places, span_over
from cody_tui.widgets.viewport import Position, Viewport

ABOVE = 3
"""A place that is scrolled to has a third of the screen above it, in parts of which this is one."""


class SearchedViewport(Viewport):
    """Marks what is searched for; one of the places is the one that is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._sought: re.Pattern[str] | None = None
        self._found: tuple[Block, Place] | None = None

    def mark(self, text: str) -> None:
        """Mark the places of a text, or none."""
        sought = pattern(text)
        if sought != self._sought:
            self._sought, self._found = sought, None
            self._repaint()

    def _places(self, index: int) -> list[Place]:
        """Return all places of a block, seen or not."""
        if self._sought is None:
            return []
        return places([plain_text(strip) for strip in self._strips(index)], self._sought)

    def _show_place(self, index: int, place: Place) -> None:
        """Mark a place as the one that is shown, and scroll to it if it is not in sight."""
        self._found = (self._blocks[index], place)
        row = Position(index, self._gap(index) + place[0].row)
        top, rows = self._first_screen_row(), self._page_rows
        if top <= row < self._moved(top, rows - len(place) + 1):
            self._go_to(top)
        else:
            self._go_to(self._moved(row, -(rows // ABOVE)))

    def _decorate(self, rows: list[Strip]) -> None:
        """Mark the places on the rows that are seen."""
        if self._sought is not None:
            seen = [(y, at) for y, at in enumerate(self._positions()) if at is not None]
            for index, group in groupby(seen, key=lambda pair: pair[1].block):
                self._mark(rows, index, list(group), self._sought)
        super()._decorate(rows)

    def _mark(
        self,
        rows: list[Strip],
        index: int,
        seen: list[tuple[int, Position]],
        sought: re.Pattern[str],
    ) -> None:
        """Mark the places of one block on the rows that show it."""
        first, palette = seen[0][1].row - self._gap(index), self._styles()
        shown = self._found[1] if self._found and self._found[0] is self._blocks[index] else ()
        for place in places([plain_text(rows[y]) for y, _ in seen], sought):
            is_shown = any(span._replace(row=span.row + first) in shown for span in place)
            style = palette["found" if is_shown else "match"]
            for row, start, end in place:
                y = seen[row][0]
                rows[y] = span_over(rows[y], start, end, style)
