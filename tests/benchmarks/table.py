"""Aligned tables of figures."""

from __future__ import annotations

from collections.abc import Sequence


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


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
