"""Tables: columns as wide as they need, narrowed together until they fit, cells wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final, TypeAlias

from cody_tui.widgets.lines import Line, Run, width_of, wrap
from cody_tui.widgets.palette import Palette

Row: TypeAlias = Sequence[Sequence[Run]]
GAP: Final = 3
MIN_COLUMN: Final = 4


def table_lines(
    head: Row, body: Sequence[Row], aligns: Sequence[str], width: int, palette: Palette
) -> list[Line]:
    """Lay a table out in at most ``width`` cells, or as close to it as its columns allow."""
    if not palette.signs.draws:
        return _read_out(head, body, width, palette)
    columns = _widths([head, *body], width)
    rule = palette["rule"]
    lines = _row(head, columns, aligns, palette)
    lines.append([("─┼─".join("─" * column for column in columns), rule)])
    for row in body:
        lines.extend(_row(row, columns, aligns, palette))
    return lines


def _read_out(head: Row, body: Sequence[Row], width: int, palette: Palette) -> list[Line]:
    """Return each row as it is read out: what its cells are about, and what they say."""
    muted = palette["muted"]
    lines: list[Line] = []
    for row in body or [()]:
        runs: list[Run] = []
        for title, cell in zip_longest(head, row, fillvalue=()):
            runs += [(", ", muted)] if runs else []
            runs += [*title, (": ", muted), *cell] if cell else title
        lines.extend(wrap(runs, width))
    return lines


def _widths(rows: Sequence[Row], width: int) -> list[int]:
    count = max(len(row) for row in rows)
    natural = [1] * count
    for row in rows:
        for index, cell in enumerate(row):
            natural[index] = max(natural[index], width_of(cell))
    room = max(width - GAP * (count - 1), MIN_COLUMN * count)
    return _shared(natural, room)


def _shared(natural: list[int], room: int) -> list[int]:
    """Give every column what it wants if that is no more than its share; the rest share again."""
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


def _row(row: Row, columns: Sequence[int], aligns: Sequence[str], palette: Palette) -> list[Line]:
    padded = [*row, *[()] * (len(columns) - len(row))]
    cells = [wrap(cell, column) for cell, column in zip(padded, columns, strict=True)]
    lines: list[Line] = []
    for parts in zip_longest(*cells, fillvalue=()):
        line: Line = []
        for part, column, align in zip(parts, columns, aligns, strict=True):
            if line:
                line.append((" │ ", palette["rule"]))
            line.extend(_aligned(part, column, align, palette))
        lines.append(line)
    return lines


def _aligned(line: Sequence[Run], width: int, align: str, palette: Palette) -> Line:
    space = max(0, width - width_of(line))
    left = space if align == "right" else space // 2 if align == "center" else 0
    ground = palette["text"]
    return [(" " * left, ground), *line, (" " * (space - left), ground)]
