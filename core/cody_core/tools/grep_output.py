"""What a search wrote, read: which files count, records of any length in bounded memory, results.

A record is ``path NUL line : column : text`` for a match and ``path NUL line - text`` for a line
around one. A name may hold line ends, so a record begins where the one before it ended and its
name ends at the null character. Of a text only what is shown is kept: the place of the match.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cody_core.errors import ToolError
from cody_core.tools.ignore import Folder, Rules
from cody_core.tools.reading import label
from cody_core.tools.workspace import is_inside

LONGEST_TEXT = 400
"""In bytes, of a line that is shown."""
_BEFORE_MATCH = 100
MOST_BYTES = 50_000
"""Of output."""
_MOST_GLOBS = 100
_HEADER = re.compile(rb"([^\0]+)\0(\d+)(?:-|:(\d+):)")
_BINARY = re.compile(
    rb'(.*?): WARNING: stopped searching binary file after match \(found "\\0" byte around'
    rb" offset \d+\)\n",
    re.DOTALL,
)


class Choice:
    """Which files are searched.

    Args:
        root: The directory; names are relative to it.
        workspace: Where names are shown from.
        include: A glob that files must be like; with a leading ``!``, must not.
        single: The one file that is searched, whatever else holds.
        skip: Tells of folders in which nothing is found.

    Raises:
        ToolError: ``include`` is not a glob.
    """

    def __init__(
        self,
        root: Path,
        workspace: Path,
        include: str | None,
        single: str | None,
        skip: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.root = root
        self.skip = skip
        self.single = single
        self._workspace = workspace
        globs = expand(f"{{{include}}}") if include else []
        # A glob with directories in it may be meant from either place.
        bases = {root, workspace.resolve()} if is_inside(root, workspace) else {root}
        self._rules = [Rules(str(base), map(_as_rule, globs)) for base in bases]
        if globs and not all(self._rules):
            raise ToolError(f"{include!r} is not a glob; *.py or src/**/*.ts is one.")
        self._otherwise = bool(globs) and all(glob.startswith("!") for glob in globs)
        self._folders: dict[str, Folder | None] = {"": Folder.at(root)}
        self._known: dict[str, bool] = {}

        self.extension = include if include and re.fullmatch(r"\*\.\w+", include) else None

    def includes(self, name: str) -> bool:
        """Tell whether a file is like the glob."""
        if not any(self._rules):
            return True
        path = os.path.join(self.root, name)
        verdicts = [rules.verdict(path, os.path.basename(name), False) for rules in self._rules]
        if self._otherwise:
            return False not in verdicts
        return True in verdicts

    def takes(self, name: str) -> bool:
        """Tell whether a file counts: it is like the glob, neither ignored nor hidden."""
        if self.single is not None:
            return True
        if name not in self._known:
            self._known[name] = self.includes(name) and self._shows(name)
        return self._known[name]

    def label(self, name: str) -> str:
        """Return a name as it is shown."""
        return label(self.root / name, self._workspace)

    def _shows(self, name: str) -> bool:
        above, _, own = name.rpartition("/")
        folder = self._folder(above)
        return folder is not None and folder.shows(own, is_folder=False, hidden=False)

    def _folder(self, name: str) -> Folder | None:
        """Return a folder, or ``None`` if it or one above it is ignored or hidden."""
        parts = name.split("/") if name else []
        for count in range(1, len(parts) + 1):
            above, here = "/".join(parts[: count - 1]), "/".join(parts[:count])
            if here not in self._folders:
                outer, own = self._folders[above], parts[count - 1]
                shown = outer is not None and outer.shows(own, is_folder=True, hidden=False)
                shown = shown and not self.skip(os.path.join(self.root, here))
                self._folders[here] = outer.enter(own) if outer and shown else None
        return self._folders[name]


def expand(glob: str) -> list[str]:
    """Return a glob with ``{a,b}`` as the globs it stands for.

    Raises:
        ToolError: they are too many.
    """
    done: list[str] = []
    todo = [glob]
    while todo:
        if len(todo) + len(done) > _MOST_GLOBS:
            raise ToolError(f"{glob!r} stands for more than {_MOST_GLOBS} globs.")
        one = todo.pop()
        braces = _outermost(one)
        if braces is None:
            done.append(one)
        else:
            start, commas, end = braces
            edges = [start, *commas, end]
            choices = [one[a + 1 : b] for a, b in pairwise(edges)]
            todo += [f"{one[:start]}{choice}{one[end + 1 :]}" for choice in choices]
    return done


def _outermost(glob: str) -> tuple[int, list[int], int] | None:
    """Return where the first braces open, the commas right in them, and where they close."""
    start = glob.find("{")
    depth, commas = 0, []
    for position in range(max(start, 0), len(glob)):
        character = glob[position]
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 1:
            commas.append(position)
        if depth == 0 and character == "}":
            return start, commas, position
    return None


def _as_rule(glob: str) -> str:
    glob = glob.strip().replace("#", "\\#")
    return f"{glob}**" if glob.endswith("/") else glob.removeprefix("./")


@dataclass
class _Record:
    """A line of a file: ``text`` is what is kept of it, from byte ``start`` on."""

    name: str
    line: int
    column: int | None
    start: int
    text: bytes = b""
    length: int = 0

    def take(self, data: bytes) -> None:
        """Add what came next, or rather what of it is kept."""
        first = max(0, self.start - self.length)
        self.text += data[first : first + LONGEST_TEXT - len(self.text)]
        self.length += len(data)

    def shown(self, name: str) -> str:
        """Return the line as it is shown."""
        data = self.text
        if self.start:
            data = data.lstrip(bytes(range(0x80, 0xC0)))
        cut = self.start + len(self.text) < self.length
        text, _ = codecs.utf_8_decode(data, "replace", not cut)
        left = "… " if self.start else ""
        right = " …" if cut else ""
        mark = "-" if self.column is None else ":"
        return f"{name}{mark}{self.line}{mark} {left}{text.rstrip(chr(13))}{right}"


class Results:
    """The matches of a search as they arrive, ``limit`` matches at most."""

    def __init__(self, choice: Choice, limit: int) -> None:
        self._choice = choice
        self._limit = limit
        self._head = b""
        self._record: _Record | None = None
        self._last: str | None = None
        self._records: list[_Record] = []
        self.found = 0
        self.full = False
        self.stopped: float | None = None

    def feed(self, data: bytes) -> None:
        """Take what a search wrote next; ``full`` tells when nothing more is needed."""
        while data and not self.full:
            if self._record is None:
                data = self._begin(data)
                continue
            text, end, data = data.partition(b"\n")
            self._record.take(text)
            if end:
                self._add(self._record)
                self._record = None

    def end(self) -> None:
        """Take note that there is no more."""
        self._drop_binary(self._head)

    def report(self) -> str:
        """Return what was found, as the model reads it."""
        lines: list[str] = []
        used = 0
        previous: _Record | None = None
        context = any(record.column is None for record in self._records)
        for record in self._records:
            apart = previous is None or (record.name, record.line) != (
                previous.name,
                previous.line + 1,
            )
            if context and apart and previous is not None:
                lines.append("--")
            line = record.shown(self._choice.label(record.name))
            used += len(line.encode()) + 1
            if used > MOST_BYTES:
                self.full = True
                break
            lines.append(line)
            previous = record
        return "\n".join([*lines, *self._notes()]) + "\n"

    def _notes(self) -> list[str]:
        notes = []
        if not self.found:
            notes.append("No line matches.")
        if self.full:
            notes.append("[there are more matches: narrow the pattern, path or include]")
        if self.stopped is not None:
            notes.append(
                f"[stopped after {self.stopped:g} s, there may be more:"
                " narrow path or include, or simplify the pattern]"
            )
        return notes

    def _begin(self, data: bytes) -> bytes:
        """Take the beginning of a record; return what is left of the data."""
        self._head += data
        header = _HEADER.match(self._head)
        if header is None:
            return b""
        name = _name(self._drop_binary(header[1]))
        column = None if header[3] is None else int(header[3])
        start = 0 if (column or 0) <= LONGEST_TEXT // 2 else (column or 0) - _BEFORE_MATCH
        self._record = _Record(name, int(header[2]), column, start)
        rest, self._head = self._head[header.end() :], b""
        return rest

    def _drop_binary(self, data: bytes) -> bytes:
        """Forget the matches of a file that turned out not to be text; return what follows."""
        warning = _BINARY.match(data)
        # With another name it is a file whose own name pretends to be a warning.
        if warning is None or _name(warning[1]) != self._last:
            return data
        while self._records and self._records[-1].name == self._last:
            self.found -= self._records.pop().column is not None
        return data[warning.end() :]

    def _add(self, record: _Record) -> None:
        self._last = record.name
        if not self._choice.takes(record.name):
            return
        if record.column is not None:
            if self.found == self._limit:
                self.full = True
                return
            self.found += 1
        self._records.append(record)


def _name(data: bytes) -> str:
    return os.fsdecode(data.removeprefix(b"./"))
