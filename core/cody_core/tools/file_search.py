"""``file_search``: files whose path is like what somebody remembers of it."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from cody_core.tools.ignore import walk
from cody_core.tools.reading import Stop, in_thread, printable

DEFAULT_RESULTS = 20
MOST_RESULTS = 200
MOST_FILES = 300_000
"""How many files are looked at before the search says that it stopped."""

_RUN = 8
_BOUNDARY = 10
_NAME_BEGINS = 6
_IN_NAME = 3
_SEPARATORS = frozenset("/_-. ")


class FileSearchArguments(BaseModel):
    """What the model says."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="Letters of the path in their order, not necessarily all of them.",
        ),
    ]
    limit: Annotated[int, Field(ge=1, le=MOST_RESULTS, description="How many files to name.")] = (
        DEFAULT_RESULTS
    )


class FileSearch:
    """Finds files of the workspace by their paths."""

    name = "file_search"
    description = (
        "Find files of the workspace by a fuzzy match of their path, best first:"
        " 'tstreg' finds tests/test_registry.py. What .gitignore names is left out."
    )
    kind: ToolKind = "read"
    arguments: type[BaseModel] = FileSearchArguments

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Say what would be looked for."""
        asked: FileSearchArguments = arguments
        root = context.workspace.resolve()
        return Intent(f"find files like {asked.query!r}", paths=(root,))

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Look for it."""
        asked: FileSearchArguments = arguments
        root = context.workspace.resolve()
        return ToolResult(await in_thread(partial(_search, root, asked)))


class Likeness:
    """How much paths are like a query; capitals do not matter, and neither do spaces.

    A path is like it if it holds the query's characters in their order. A character counts for
    more at the beginning of a word, right after the one before it, and in the file's name. There
    are many ways to find the same characters in a path: the leftmost, the rightmost, the leftmost
    in the name and the unbroken one are tried, all found without a loop in Python.
    """

    def __init__(self, query: str) -> None:
        self._wanted = "".join(query.lower().split())
        self._leftmost = _in_order(self._wanted)
        self._rightmost = _in_order(self._wanted[::-1])

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def score(self, path: str) -> int | None:
        """Return how much a path is like the query, or ``None`` if it is not."""
        folded = path.lower()
        found = self._leftmost.search(folded)
        if found is None:
            return None
        name = folded.rfind("/") + 1
        ways = {_positions(found)}
        if mirrored := self._rightmost.search(folded[::-1]):
            last = len(folded) - 1
            ways.add(tuple(last - position for position in reversed(_positions(mirrored))))
        if in_name := self._leftmost.search(folded, name):
            ways.add(_positions(in_name))
        if (start := folded.rfind(self._wanted)) >= 0:
            ways.add(tuple(range(start, start + len(self._wanted))))
        return max(_worth(way, folded, path, name) for way in ways)


def _search(root: Path, asked: FileSearchArguments, stop: Stop) -> str:
    likeness = Likeness(asked.query)
    if not likeness:
        raise ToolError("The query holds nothing but spaces.")
    start = len(str(root).rstrip("/")) + 1
    scored: list[tuple[int, int, str]] = []
    seen = 0
    complete = False
    try:
        for entry in walk(root, stop):
            if seen >= MOST_FILES or stop():
                break
            seen += 1
            path = entry.path[start:]
            if (score := likeness.score(path)) is not None:
                # In this order the best come first, and of equals the shorter path.
                scored.append((-score, len(path), path))
        else:
            complete = not stop()
    except OSError as error:
        raise ToolError(f"The workspace cannot be read: {error.strerror}") from error
    return _report(asked, scored, seen, complete)


def _report(
    asked: FileSearchArguments, scored: Sequence[tuple[int, int, str]], seen: int, complete: bool
) -> str:
    best = heapq.nsmallest(asked.limit, scored)
    lines = [printable(path) for *_, path in best]
    if not lines:
        lines.append(f"No path among {seen:,} files is like {asked.query!r}.")
    if len(scored) > len(best):
        lines.append(f"… {len(scored) - len(best):,} more, less alike")
    if not complete:
        lines.append(f"[stopped after {seen:,} files; there may be better ones]")
    return "\n".join(lines) + "\n"


def _in_order(characters: str) -> re.Pattern[str]:
    """Return a search for characters with anything between them, each in a group of its own."""
    first, *rest = (re.escape(character) for character in characters or "\0")
    # What is skipped cannot hold the character that ends it: there is nothing to come back to.
    return re.compile(f"({first})" + "".join(f"[^{one}]*+({one})" for one in rest))


def _positions(match: re.Match[str]) -> tuple[int, ...]:
    return tuple([start for start, _ in match.regs[1:]])


def _worth(positions: tuple[int, ...], folded: str, path: str, name: int) -> int:
    """Return what finding the characters at these positions is worth."""
    worth = _NAME_BEGINS if positions[0] == name else 0
    cased = len(path) == len(folded)
    previous = -2
    for position in positions:
        if position == previous + 1:
            worth += _RUN
        elif (
            position == 0
            or folded[position - 1] in _SEPARATORS
            or (cased and path[position].isupper() and path[position - 1].islower())
        ):
            worth += _BOUNDARY
        if position >= name:
            worth += _IN_NAME
        previous = position
    return worth
