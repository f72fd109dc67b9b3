"""Where in a file somebody may have meant, when what they named is not there."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Sequence

_MOST_WANTED = 60
_MOST_COMPARED = 5_000
_LONGEST_SHOWN = 200


def nearest(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return the index at which the wanted lines most likely begin, if any place is like them.

    The place that has most of the lines wins; with none of them anywhere, the line most like the
    first one does.
    """
    offsets: defaultdict[str, list[int]] = defaultdict(list)
    for offset, line in enumerate(wanted[:_MOST_WANTED]):
        if line.strip():
            offsets[line.strip()].append(offset)
    votes = Counter(
        index - offset
        for index, line in enumerate(lines)
        for offset in offsets.get(line.strip(), ())
    )
    if votes:
        start, _ = max(votes.items(), key=lambda vote: (vote[1], -vote[0]))
        return max(start, 0)
    return _most_alike(lines, next(iter(offsets), ""))


def excerpt(lines: Sequence[str], start: int, count: int) -> str:
    """Return some lines of a file with their numbers, as a model may quote them."""
    first, last = max(start, 0), min(start + count, len(lines))
    return "\n".join(
        f"{index + 1}: {lines[index][:_LONGEST_SHOWN]}" for index in range(first, last)
    )


def _most_alike(lines: Sequence[str], wanted: str) -> int | None:
    """Compare letter by letter, which is slow: only so many lines, and none that is very long."""
    if not wanted or len(wanted) > _LONGEST_SHOWN:
        return None
    places: dict[str, int] = {}
    for index, line in enumerate(lines):
        if len(places) >= _MOST_COMPARED:
            break
        if 0 < len(line) <= _LONGEST_SHOWN:
            places.setdefault(line.strip(), index)
    alike = difflib.get_close_matches(wanted, places, n=1)
    return places[alike[0]] if alike else None
