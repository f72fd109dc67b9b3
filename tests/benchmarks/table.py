"""Aligned tables of figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ROUNDING: Final = 1e-6


class Table:
    """A title, a header and rows; the first column is text, the others are numbers."""

    def __init__(self, title: str, *columns: str) -> None:
        self._title = title
        self._rows: list[Sequence[str]] = [columns]

    def add(self, label: str, *values: float | str) -> None:
        """Add a row; numbers are shown with three digits or more, ``str`` as it is."""
        self._rows.append([label, *map(_shown, values)])

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self._rows, strict=True)]
        lines = [self._title]
        for label, *values in self._rows:
            cells = [value.rjust(width) for value, width in zip(values, widths[1:], strict=True)]
            lines.append("  ".join(["", label.ljust(widths[0]), *cells]))
        return "\n".join(lines)


class Goals(Table):
    """Figures and what they may be at most."""

    def __init__(self, title: str) -> None:
        super().__init__(title, "what", "measured", "goal", "of the goal", "")

    def goal(self, label: str, value: float, limit: float) -> None:
        """Add a figure."""
        mark = "PASS" if value <= limit + ROUNDING else "over"
        self.add(label, value, limit, value / limit, mark)

    def note(self, label: str, value: float) -> None:
        """Add a figure that nothing is demanded of."""
        self.add(label, value, "", "", "")


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
