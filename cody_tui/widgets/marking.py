"""Marks over rows that are composed already: what is selected, and where a text was found.

A text may go on in the next row, so rows are searched together: as they are read, without the
margin, the bars and the padding that they have.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

_AROUND: Final = " ▌│▎┃"
"""What stands before the text of a row."""


class Span(NamedTuple):
    """Some characters of a row."""

    row: int
    start: int
    end: int


Place: TypeAlias = tuple[Span, ...]
"""Where a text was found: in one row, or at the end of one and the beginning of the next."""


def pattern(text: str) -> re.Pattern[str] | None:
    """Return what finds a text, whatever its case and white space; ``None`` if there is no text."""
    words = text.split()
    return re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE) if words else None


def places(rows: Sequence[str], sought: re.Pattern[str]) -> list[Place]:
    """Return where something stands in rows."""
    starts: list[int] = []
    leads: list[int] = []
    bodies: list[str] = []
    length = 0
    for row in rows:
        lead = len(row) - len(row.lstrip(_AROUND))
        starts.append(length)
        leads.append(lead)
        bodies.append(row[lead:].rstrip())
        length += len(bodies[-1]) + 1
    found: list[Place] = []
    for match in sought.finditer(" ".join(bodies)):
        first = bisect_right(starts, match.start()) - 1
        last = bisect_right(starts, match.end() - 1) - 1
        found.append(
            tuple(
                Span(
                    row,
                    leads[row] + max(0, match.start() - starts[row]),
                    leads[row] + min(len(bodies[row]), match.end() - starts[row]),
                )
                for row in range(first, last + 1)
            )
        )
    return found


def laid_over(row: Strip, style: Style) -> Strip:
    """Return a row in a style that counts before its own."""
    return Strip(
        (
            Segment(text, style if own is None else own + style, control)
            for text, own, control in row
        ),
        row.cell_length,
    )


def span_over(row: Strip, start: int, end: int, style: Style) -> Strip:
    """Lay a style over some characters of a row; ``end`` may be -1, for its last."""
    text = row.text
    left = cell_len(text[:start])
    right = row.cell_length if end == -1 else cell_len(text[:end])
    if right <= left:
        return row
    return Strip.join([row.crop(0, left), laid_over(row.crop(left, right), style), row.crop(right)])
