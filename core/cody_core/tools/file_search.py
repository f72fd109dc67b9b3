"""``file_search``: files whose path is like what somebody remembers of it.

The tool looks at what is there now, for a model that has just written it. ``Listing`` is for
somebody who types and wants an answer at every key: it remembers the files for a few seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from cody_core.tools.ignore import walk
from cody_core.tools.reading import Stop, in_thread, printable
from cody_core.tools.workspace import private_below

DEFAULT_RESULTS = 20
MOST_RESULTS = 200
MOST_FILES = 300_000
"""How many files are looked at before the search says that it stopped."""

MOST_LISTED = 50_000
"""How many files a listing remembers."""
LISTED_SECONDS = 5.0
"""How long a listing is believed."""

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
    """Finds files of the workspace by their paths; not in the ``guarded`` directories."""

    name = "file_search"
    description = (
        "Find files of the workspace by a fuzzy match of their path, best first:"
        " 'tstreg' finds tests/test_registry.py. What .gitignore names is left out."
    )
    kind: ToolKind = "read"
    arguments: type[BaseModel] = FileSearchArguments

    def __init__(self, guarded: Sequence[Path] = ()) -> None:
        self._guarded = guarded

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Say what would be looked for."""
        asked: FileSearchArguments = arguments
        root = context.workspace.resolve()
        return Intent(f"find files like {asked.query!r}", paths=(root,))

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Look for it."""
        asked: FileSearchArguments = arguments
        root = context.workspace.resolve()
        return ToolResult(await in_thread(partial(_search, root, self._guarded, asked)))


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


class Listing:
    """The files of a folder as they were a moment ago, for whoever completes paths.

    Hidden files are left out, as is what ``.gitignore`` names, what is no file, names that nobody
    could type, and what is in the ``guarded`` directories.
    """

    def __init__(
        self, root: Path, *, guarded: Sequence[Path] = (), seconds: float = LISTED_SECONDS
    ) -> None:
        self._root = root
        self._guarded = guarded
        self._seconds = seconds
        self._read: float | None = None
        self._paths: Sequence[str] = ()
        self._reading = asyncio.Lock()

    async def find(self, query: str, limit: int) -> list[str]:
        """Return the files most like a query, best first; without one, those least deep.

        Raises:
            ToolError: the folder cannot be read.
        """
        async with self._reading:
            if self._read is None or time.monotonic() - self._read > self._seconds:
                self._paths = await in_thread(self._list)
                self._read = time.monotonic()
        return await in_thread(partial(_best, self._paths, Likeness(query), limit))

    def _list(self, stop: Stop) -> Sequence[str]:
        root = self._root.resolve()
        found = _files(root, self._guarded, stop, hidden=False)
        files = (path for path, is_file in found if is_file)
        return list(islice((path for path in files if path.isprintable()), MOST_LISTED))


def _best(paths: Sequence[str], likeness: Likeness, limit: int, stop: Stop) -> list[str]:
    if likeness:
        found: Iterable[tuple[int, int, str]] = _scored(paths, likeness, stop)
    else:
        found = ((path.count("/"), 0, path) for path in paths)
    return [path for *_, path in heapq.nsmallest(limit, found)]


def _search(root: Path, guarded: Sequence[Path], asked: FileSearchArguments, stop: Stop) -> str:
    likeness = Likeness(asked.query)
    if not likeness:
        raise ToolError("The query holds nothing but spaces.")
    paths = [path for path, _ in islice(_files(root, guarded, stop), MOST_FILES + 1)]
    complete = len(paths) <= MOST_FILES and not stop()
    del paths[MOST_FILES:]
    scored = list(_scored(paths, likeness, stop))
    return _report(asked, scored, len(paths), complete and not stop())


def _files(
    root: Path, guarded: Sequence[Path], stop: Stop, *, hidden: bool = True
) -> Iterator[tuple[str, bool]]:
    """Yield the paths below a folder, and whether each leads to a file."""
    start = len(str(root).rstrip("/")) + 1
    try:
        for entry in walk(root, stop, hidden=hidden, skip=private_below(root, guarded)):
            if stop():
                return
            yield entry.path[start:], _is_file(entry)
    except OSError as error:
        raise ToolError(f"The workspace cannot be read: {error.strerror}") from error


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link in a circle
        return False


def _scored(paths: Iterable[str], likeness: Likeness, stop: Stop) -> Iterator[tuple[int, int, str]]:
    """Yield what is like it, so that the best sort first, and of equals the shorter path."""
    for path in paths:
        if stop():
            return
        if (score := likeness.score(path)) is not None:
            yield -score, len(path), path


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
