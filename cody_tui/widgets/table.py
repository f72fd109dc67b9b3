"""Tables: columns as wide as they need, narrowed together until they fit, cells wrapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple, TypeAlias

from cody_tui.widgets.lines import Line, Run, width_of, wrap
from cody_tui.widgets.palette import Palette

Row: TypeAlias = Sequence[Sequence[Run]]
GAP: Final = 3
MIN_COLUMN: Final = 4


class Layout(NamedTuple):
    """How a table is laid out; its rows know nothing of each other.

    Attributes:
        head: The cells above the rows.
        aligns: How columns are aligned: ``left``, ``right``, ``center`` or not at all.
        columns: How wide they are, in cells.
        width: How wide a row is that is read out, in cells.
        palette: The styles.
    """

    head: Row
    aligns: Sequence[str]
    columns: Sequence[int]
    width: int
    palette: Palette

    def head_lines(self, *, has_body: bool) -> list[Line]:
        """Return what stands above the rows; read out, a head is said with each of them."""
        if not self.palette.signs.draws:
            return [] if has_body else self._read_out(())
        rule = "─┼─".join("─" * column for column in self.columns)
        return [*self._in_columns(self.head), [(rule, self.palette["rule"])]]

    def row_lines(self, row: Row) -> list[Line]:
        """Return a row in columns, or as it is read out."""
        return self._in_columns(row) if self.palette.signs.draws else self._read_out(row)

    def _read_out(self, row: Row) -> list[Line]:
        """Return what the cells of a row are about, and what they say."""
        muted = self.palette["muted"]
        runs: list[Run] = []
        for title, cell in zip_longest(self.head, row, fillvalue=()):
            runs += [(", ", muted)] if runs else []
            runs += [*title, (": ", muted), *cell] if cell else title
        return wrap(runs, self.width)

    def _in_columns(self, row: Row) -> list[Line]:
        padded = [*row, *[()] * (len(self.columns) - len(row))]
        cells = [wrap(cell, column) for cell, column in zip(padded, self.columns, strict=True)]
        lines: list[Line] = []
        for parts in zip_longest(*cells, fillvalue=()):
            line: Line = []
            for part, column, align in zip(parts, self.columns, self.aligns, strict=True):
                if line:
                    line.append((" │ ", self.palette["rule"]))
                line.extend(_aligned(part, column, align, self.palette))
            lines.append(line)
        return lines


def table_lines(
    head: Row, rows: Sequence[Row], aligns: Sequence[str], width: int, palette: Palette
) -> list[Line]:
    """Lay a table out in at most ``width`` cells, or as close to it as its columns allow."""
    layout = Layout(head, aligns, shared(natural([head, *rows]), width), width, palette)
    lines = layout.head_lines(has_body=bool(rows))
    for row in rows:
        lines.extend(layout.row_lines(row))
    return lines


def natural(rows: Iterable[Row]) -> list[int]:
    """Return how many cells each column of some rows would like to have."""
    wanted: list[int] = []
    for row in rows:
        wanted += [1] * (len(row) - len(wanted))
        for index, cell in enumerate(row):
            wanted[index] = max(wanted[index], width_of(cell))
    return wanted


def shared(natural: Sequence[int], width: int) -> list[int]:
    """Give every column what it wants if that is no more than its share; the rest share again."""
    room = max(width - GAP * (len(natural) - 1), MIN_COLUMN * len(natural))
    widths = list(natural)
    open_columns = set(range(len(natural)))
    while open_columns:
        share = room // len(open_columns)
        fitting = {index for index in open_columns if natural[index] <= share}
        if not fitting:
            for index in open_columns:
                widths[index] = max(MIN_COLUMN, share)
            break
        room -= sum(natural[index] for index in fitting)
        open_columns -= fitting
    return widths


def _aligned(line: Sequence[Run], width: int, align: str, palette: Palette) -> Line:
    space = max(0, width - width_of(line))
    left = space if align == "right" else space // 2 if align == "center" else 0
    ground = palette["text"]
    return [(" " * left, ground), *line, (" " * (space - left), ground)]
