"""``read_file``: lines of a text file with their numbers, however large or odd the file is.

Lines are taken as bytes and only what is shown is decoded: UTF-8, else Latin-1, in which every
byte is a character. So a file of any size takes little memory, and what is skipped costs no more
than reading it. UTF-16 is known by its byte order mark and has to be decoded from the start.
"""

from __future__ import annotations

import codecs
import difflib
import io
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from cody_core.tools.reading import (
    Stop,
    in_thread,
    is_binary,
    label,
    open_regular,
    printable,
    size,
    target,
)
from cody_core.tools.workspace import resolve

DEFAULT_LINES = 2000
MOST_BYTES = 50_000
"""Of output."""
LONGEST_LINE = 2000
"""In characters; the rest of a line is counted."""
_CHUNK = 1 << 20
_MOST_NAMES = 5_000

_MAGIC = (
    (b"\x89PNG", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"%PDF", "PDF document"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x7fELF", "ELF program"),
    (b"SQLite format 3", "SQLite database"),
)


class ReadFileArguments(BaseModel):
    """What the model says."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    path: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("path", "file_path"),
            description="The file: relative to the workspace, or absolute.",
        ),
    ]
    offset: Annotated[int, Field(ge=0, description="The first line to read; 1 is the first.")] = 1
    limit: Annotated[int, Field(ge=1, description="How many lines to read.")] = DEFAULT_LINES

    @property
    def first(self) -> int:
        """The first line; those who count from 0 mean the same."""
        return max(1, self.offset)


class ReadFile:
    """Reads a text file."""

    name = "read_file"
    description = (
        "Read lines of a text file, each with its number and a tab before it. Long files are read"
        f" in parts: at most {MOST_BYTES // 1000} kB at once, then go on with offset."
    )
    kind: ToolKind = "read"
    arguments: type[BaseModel] = ReadFileArguments

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Say which lines of which file would be read.

        Whether there is such a file is not looked at: outside the workspace, even that is told
        only with consent.
        """
        asked: ReadFileArguments = arguments
        path = resolve(asked.path, context.workspace)
        lines = ""
        if asked.first > 1 or asked.limit != DEFAULT_LINES:
            lines = f":{asked.first}-{asked.first + asked.limit - 1}"
        return Intent(f"read {label(path, context.workspace)}{lines}", paths=(path,))

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Read it."""
        asked: ReadFileArguments = arguments
        path = target(asked.path, context)
        name = label(path, context.workspace)
        return ToolResult(await in_thread(partial(_read, path, name, asked)))


def _read(path: Path, name: str, asked: ReadFileArguments, stop: Stop) -> str:
    try:
        descriptor = open_regular(path, name)
    except FileNotFoundError as error:
        raise ToolError(f"There is no file {name}.{_similar(path)}") from error
    except OSError as error:
        raise ToolError(f"{name} cannot be read: {error.strerror}") from error
    with io.FileIO(descriptor) as file:
        if is_binary(descriptor):
            raise ToolError(f"{name} is not text: {_kind(file)}, {_size(file)}.")
        try:
            return _Reading(file, name, asked, stop).text()
        except OSError as error:
            raise ToolError(f"{name} cannot be read: {error.strerror}") from error


@dataclass
class _Reading:
    """One reading of an open file."""

    file: io.FileIO
    name: str
    asked: ReadFileArguments
    stop: Stop
    out: list[str] = field(default_factory=list)
    used: int = 0
    odd: bool = False

    def text(self) -> str:
        before = self.asked.first - 1
        with closing(self._lines()) as lines:
            skipped = lines.skip(before)
            if self.stop():
                raise ToolError(f"Reading {self.name} up to line {before + 1} took too long.")
            following = self._collect(lines) if skipped == before else None
            if not self.out:
                return self._nothing(skipped)
            return "".join(self.out) + self._notes(lines.encoding, following)

    def _collect(self, lines: _Bytes | _Utf16) -> int | None:
        """Read the lines, and return the number of the one to go on with if there are more."""
        number = self.asked.first
        while (line := lines.next(LONGEST_LINE)) is not None:
            if not self._add(number, line):
                return number
            number += 1
            if number == self.asked.first + self.asked.limit or self.stop():
                return number if lines.more() else None
        return None

    def _lines(self) -> _Bytes | _Utf16:
        head = self.file.read(3) or b""
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.file.seek(0)
            return _Utf16(self.file, self.stop)
        self.file.seek(3 if head == codecs.BOM_UTF8 else 0)
        return _Bytes(self.file, self.stop)

    def _add(self, number: int, line: _Line) -> bool:
        text = line.text
        if line.length > len(text):
            text += f" … [cut: the line has {line.length:,} {line.unit}]"
        shown = f"{number:>6}\t{text}\n"
        self.used += len(shown.encode())
        if self.used > MOST_BYTES and self.out:
            return False
        self.out.append(shown)
        self.odd = self.odd or line.odd
        return True

    def _nothing(self, lines: int) -> str:
        if lines == 0:
            return f"({self.name} is empty)\n"
        raise ToolError(f"{self.name} has only {lines:,} lines.")

    def _notes(self, encoding: str, following: int | None) -> str:
        notes = ""
        if self.odd:
            notes += "[what is not UTF-8 was read as Latin-1]\n"
        elif encoding != "UTF-8":
            notes += f"[{encoding}]\n"
        if following is not None:
            notes += f"[{_size(self.file)} in all; go on with offset={following}]\n"
        return notes


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, cut; ``length`` says how long it was, ``odd`` that it was not UTF-8."""

    text: str
    length: int
    unit: Literal["characters", "bytes"]
    odd: bool = False


class _Bytes:
    """The lines of a file in which a line end is one byte."""

    encoding = "UTF-8"

    def __init__(self, file: io.FileIO, stop: Callable[[], bool]) -> None:
        self._file = file
        self._buffer = io.BufferedReader(file, _CHUNK)
        self._stop = stop

    def skip(self, count: int) -> int:
        """Pass lines over, and return how many there were to pass over."""
        passed = 0
        ended = True
        while passed < count and not self._stop():
            chunk = self._buffer.peek()
            if not chunk:
                return passed + (not ended)
            ends = chunk.count(b"\n")
            if passed + ends <= count - 1:
                self._buffer.read(len(chunk))
                passed += ends
                ended = chunk.endswith(b"\n")
            else:
                for _ in range(count - passed):
                    self._buffer.readline()
                return count
        return passed

    def next(self, longest: int) -> _Line | None:
        """Return the next line, or ``None`` at the end."""
        # No character takes more than four bytes.
        raw = self._buffer.readline(4 * longest + 2)
        if not raw:
            return None
        length, whole = len(raw), raw.endswith(b"\n")
        while not whole and not self._stop() and (rest := self._buffer.readline(_CHUNK)):
            length += len(rest.removesuffix(b"\n"))
            whole = rest.endswith(b"\n")
        cut = length > len(raw)
        text, odd = _decode(raw if cut else raw.removesuffix(b"\n").removesuffix(b"\r"), cut)
        if cut:
            return _Line(text[:longest], length, "bytes", odd)
        return _Line(text[:longest], len(text), "characters", odd)

    def close(self) -> None:
        """Close the file."""
        self._buffer.close()

    def more(self) -> bool:
        """Tell whether there are more lines."""
        return bool(self._buffer.peek())


class _Utf16:
    """The lines of a file that begins with a byte order mark of UTF-16."""

    encoding = "UTF-16"

    def __init__(self, file: io.FileIO, stop: Callable[[], bool]) -> None:
        buffer = io.BufferedReader(file, _CHUNK)
        self._text = io.TextIOWrapper(buffer, "utf-16", errors="replace", newline="\n")
        self._stop = stop

    def skip(self, count: int) -> int:
        """Pass lines over, and return how many there were to pass over."""
        passed = 0
        while passed < count and not self._stop() and self.next(1) is not None:
            passed += 1
        return passed

    def next(self, longest: int) -> _Line | None:
        """Return the next line, or ``None`` at the end."""
        text = self._text.readline(longest + 2)
        if not text:
            return None
        length, whole = len(text), text.endswith("\n")
        while not whole and not self._stop() and (rest := self._text.readline(_CHUNK)):
            length += len(rest.removesuffix("\n"))
            whole = rest.endswith("\n")
        if length > len(text):
            return _Line(text[:longest], length, "characters")
        text = text.removesuffix("\n").removesuffix("\r")
        return _Line(text[:longest], len(text), "characters")

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def more(self) -> bool:
        """Tell whether there are more lines; nothing is read after it."""
        return self.next(1) is not None


def _decode(raw: bytes, cut: bool) -> tuple[str, bool]:
    """Return a line's text and whether it is not UTF-8; a cut one may end within a character."""
    try:
        return codecs.utf_8_decode(raw, "strict", not cut)[0], False
    except UnicodeDecodeError:
        return raw.decode("latin-1"), True


def _kind(file: io.FileIO) -> str:
    head = file.read(16) or b""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "binary data")


def _size(file: io.FileIO) -> str:
    return size(os.fstat(file.fileno()).st_size)


def _similar(path: Path) -> str:
    """Return a sentence with the names most like that of a file that is not there."""
    try:
        with os.scandir(path.parent) as entries:
            names = {entry.name.casefold(): entry.name for entry in islice(entries, _MOST_NAMES)}
    except OSError:
        return " There is no such directory either."
    alike = difflib.get_close_matches(path.name.casefold(), names, n=3)
    if not alike:
        return " list_dir and file_search find what there is."
    return f" Did you mean {', '.join(printable(names[name]) for name in alike)}?"
