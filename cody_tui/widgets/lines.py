"""Lines: runs of styled text, wrapped to a width and made into strips.

Every strip of a transcript is made by ``to_strip``, and it lets no control character through,
whatever a parser may have decoded in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.cache import FIFOCache
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from cody_tui.text import printable

Run: TypeAlias = tuple[str, Style]
Line: TypeAlias = list[Run]

TAB: Final = 4
_WIDE: Final = "\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60"
_CLOSING: Final = "\u3001\u3002\uff0c\uff0e\uff01\uff1f\uff1a\uff1b\u300d\u300f\uff09"
_WORD: Final = rf"[{_WIDE}][{_CLOSING}]*\s*|[^\s{_WIDE}]+\s*|\s+"
"""What stays together: a word with the space behind it, or one wide character."""


class _Forgetful(FIFOCache[Any, Any]):
    """A cache that keeps nothing."""

    __slots__ = ()

    def get(self, key: object, default: Any = None) -> Any:
        """Return the default."""
        return default

    def __setitem__(self, key: object, value: object) -> None:
        """Keep nothing."""


_FORGETFUL: Final = _Forgetful(0)


class Row(Strip):
    """A strip that can be drawn, is small, and leaves no garbage when it is dropped.

    A strip has seven caches for what was made of it, a kilobyte, and is in some of them itself: it
    would hold itself until a search for garbage finds it. Of a row only what is drawn is kept.
    """

    __slots__ = ["_filtered", "_filtered_for"]

    def __init__(self, segments: Iterable[Segment], cell_length: int | None = None) -> None:
        self._segments = list(segments)
        self._cell_length = cell_length
        self._divide_cache = self._crop_cache = self._style_cache = _FORGETFUL
        self._filter_cache = self._line_length_cache = self._crop_extend_cache = _FORGETFUL
        self._offsets_cache = _FORGETFUL
        self._render_cache = self._link_ids = self._cell_count = None
        self._filtered_for: tuple[LineFilter, Color] | None = None
        self._filtered: Strip | None = None

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """Return the row in parts."""
        cuts = list(cuts)
        return [self] if cuts == [self.cell_length] else super().divide(cuts)

    def apply_filter(self, filter: LineFilter, background: Color) -> Strip:  # noqa: A002
        """Return the row in other colours, or as it is."""
        if self._filtered_for != (filter, background):
            segments = filter.apply(self._segments, background)
            is_right = segments == self._segments
            self._filtered = None if is_right else Row(segments, self.cell_length)
            self._filtered_for = (filter, background)
        return self if self._filtered is None else self._filtered


def to_strip(line: Iterable[Run], width: int, ground: Style, *, margin: int = 2) -> Strip:
    """Return a line as a strip of exactly that width, indented by a margin."""
    segments = [Segment(" " * margin, ground)] if margin else []
    used = margin
    for text, style in line:
        if not text.isprintable():
            text = printable(text).replace("\n", " ").replace("\t", " ")
        segments.append(Segment(text, style))
        used += cell_len(text)
    if used > width:
        return Row(Strip(segments, used).crop(0, width), width)
    if used < width:
        segments.append(Segment(" " * (width - used), ground))
    return Row(segments, width)


def wrap(runs: Sequence[Run], width: int) -> list[Line]:
    """Break at spaces and newlines, and inside what is longer than a line; never empty."""
    lines: list[Line] = []
    for paragraph in _paragraphs(runs):
        text = "".join(text for text, _ in paragraph)
        if cell_len(text) <= width:
            lines.append(_trimmed(paragraph))
        else:
            lines.extend(_trimmed(line) for line in _cut(paragraph, _breaks(text, width)))
    return lines


def fold(runs: Sequence[Run], width: int) -> list[Line]:
    """Break only where the width ends, as code wants it: spaces stay where they are."""
    text = "".join(text for text, _ in runs)
    if cell_len(text) <= width:
        return [list(runs)]
    return list(_cut(runs, _chopped(text, max(2, width), 0)))


def prefixed(lines: Iterable[Line], first: Run, rest: Run) -> list[Line]:
    """Put one run before the first line and another before all others."""
    return [[first if index == 0 else rest, *line] for index, line in enumerate(lines)]


def width_of(line: Iterable[Run]) -> int:
    """Return how many cells a line takes."""
    return sum(cell_len(text) for text, _ in line)


def _paragraphs(runs: Sequence[Run]) -> Iterator[Line]:
    line: Line = []
    for text, style in runs:
        first, *others = text.split("\n")
        line.append((first, style))
        for other in others:
            yield line
            line = [(other, style)]
    yield line


def _breaks(text: str, width: int) -> list[int]:
    """Return the indexes at which a new line begins."""
    width = max(2, width)
    breaks: list[int] = []
    column = 0
    for match in re.finditer(_WORD, text):
        word = match[0]
        size = cell_len(word.rstrip())
        if column and column + size > width:
            breaks.append(match.start())
            column = 0
        if size > width:
            cuts = _chopped(word, width, match.start())
            breaks.extend(cuts)
            column = cell_len(text[cuts[-1] if cuts else match.start() : match.end()])
        else:
            column += cell_len(word)
    return breaks


def _chopped(text: str, width: int, start: int) -> list[int]:
    cuts: list[int] = []
    for piece in chop_cells(text, width)[:-1]:
        start += len(piece)
        cuts.append(start)
    return cuts


def _cut(runs: Sequence[Run], breaks: Sequence[int]) -> Iterator[Line]:
    line: Line = []
    position = 0
    pending = iter((*breaks, None))
    stop = next(pending)
    for text, style in runs:
        while stop is not None and stop - position < len(text):
            line.append((text[: stop - position], style))
            text, position = text[stop - position :], stop
            yield line
            line = []
            stop = next(pending)
        line.append((text, style))
        position += len(text)
    yield line


def _trimmed(line: Line) -> Line:
    while line and not (stripped := line[-1][0].rstrip(" ")):
        line.pop()
    if line and len(stripped) < len(line[-1][0]):
        line[-1] = (stripped, line[-1][1])
    return [run for run in line if run[0]]
