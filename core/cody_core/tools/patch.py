r"""The patch format that models were trained on, read into operations on files.

    *** Begin Patch
    *** Add File: new.py
    +a line
    *** Delete File: old.py
    *** Update File: src/a.py
    *** Move to: src/b.py
    @@ class A
    @@     def f(self):
     a line that stays
    -a line that goes
    +a line that comes
    *** End of File
    *** End Patch

Nothing here reads or writes a file. What models add around a patch (a here-document, a code fence)
is taken off; what could mean two things, such as a patch without its end, is refused. A line
``\ No newline at end of file`` after another says what it says in a unified diff.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cody_core.errors import ToolError

Sign: TypeAlias = Literal[" ", "-", "+"]

BEGIN = "*** Begin Patch"
END = "*** End Patch"
_ADD = "*** Add File:"
_DELETE = "*** Delete File:"
_UPDATE = "*** Update File:"
_MOVE = "*** Move to:"
_AT_END = "*** End of File"
_NO_NEWLINE = "\\ No newline"

_OPENING = re.compile(r"(apply_patch\s*)?<<-?\s*(['\"]?)\w+\2|```[\w-]*|apply_patch")
_CLOSING = re.compile(r"\w+|```|\)")
_RANGES = re.compile(r"@@ -\d+(,\d+)? \+\d+(,\d+)? @@.*")


@dataclass(frozen=True, slots=True)
class PatchLine:
    """A line of a hunk. ``number`` is its line in the patch; ``newline`` whether it ends in one."""

    number: int
    sign: Sign
    text: str
    newline: bool = True


@dataclass(frozen=True, slots=True)
class Hunk:
    """A change at one place of a file.

    Attributes:
        number: The line of the patch where it begins.
        headers: Lines that come before the place, outermost first, each with its line in the patch.
        lines: What is there and what becomes of it.
        at_end: The lines are the last ones of the file.
    """

    number: int
    headers: tuple[tuple[int, str], ...]
    lines: tuple[PatchLine, ...]
    at_end: bool = False

    @property
    def old(self) -> tuple[PatchLine, ...]:
        """The lines that the file must have."""
        return tuple(line for line in self.lines if line.sign != "+")


@dataclass(frozen=True, slots=True)
class AddFile:
    """A new file and all of its text."""

    number: int
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """A file that goes."""

    number: int
    path: str


@dataclass(frozen=True, slots=True)
class UpdateFile:
    """A file that changes, or moves, or both."""

    number: int
    path: str
    move_to: str | None
    hunks: tuple[Hunk, ...]


Operation: TypeAlias = AddFile | DeleteFile | UpdateFile
_Lines: TypeAlias = deque[tuple[int, str]]


def parse(patch: str) -> tuple[Operation, ...]:
    """Read a patch.

    Raises:
        ToolError: it is not a patch, or not a whole one; the message names the line.
    """
    lines = _body(patch)
    operations: list[Operation] = []
    while lines:
        number, text = lines.popleft()
        if text.strip():
            operations.append(_operation(number, text, lines))
    if not operations:
        msg = f"The patch is empty: there is no file between {BEGIN!r} and {END!r}."
        raise ToolError(msg)
    return tuple(operations)


def _body(patch: str) -> _Lines:
    """Return the numbered lines between the two markers."""
    lines = [text.removesuffix("\r") for text in patch.split("\n")]
    begin = next((i for i, text in enumerate(lines) if text.strip() == BEGIN), None)
    if begin is None:
        msg = f"The patch must begin with a line {BEGIN!r}."
        raise ToolError(msg)
    # Not stripped on the left: a line of context may say the same.
    end = next((i for i, text in enumerate(lines) if text.rstrip() == END), None)
    if end is None or end < begin:
        msg = f"The patch has no line {END!r}: was it cut off? Nothing was changed."
        raise ToolError(msg)
    _only(lines, range(begin), _OPENING, f"before {BEGIN!r}")
    _only(lines, range(end + 1, len(lines)), _CLOSING, f"after {END!r}")
    return deque((i + 1, lines[i]) for i in range(begin + 1, end))


def _only(lines: Sequence[str], where: range, wrapping: re.Pattern[str], place: str) -> None:
    for i in where:
        if (text := lines[i].strip()) and not wrapping.fullmatch(text):
            msg = f"Line {i + 1}, {place}, is not part of a patch: {text!r}. Leave it out."
            raise ToolError(msg)


def _operation(number: int, text: str, lines: _Lines) -> Operation:
    if text.startswith(_ADD):
        return AddFile(number, _path(number, text, _ADD), _added(lines))
    if text.startswith(_DELETE):
        return DeleteFile(number, _path(number, text, _DELETE))
    if text.startswith(_UPDATE):
        return _update(number, _path(number, text, _UPDATE), lines)
    msg = (
        f"Line {number} of the patch is {text!r}, where a file must begin: "
        f"'{_ADD} PATH', '{_DELETE} PATH' or '{_UPDATE} PATH'."
    )
    raise ToolError(msg)


def _path(number: int, text: str, marker: str) -> str:
    if path := text.removeprefix(marker).strip():
        return path
    msg = f"Line {number} of the patch names no file: {text!r}."
    raise ToolError(msg)


def _added(lines: _Lines) -> str:
    """Return the text of a new file."""
    content: list[str] = []
    blank = 0
    newline = True
    while lines and not _is_marker(lines[0][1]):
        number, text = lines.popleft()
        if text.startswith("+"):
            # Empty lines without a sign belong to the file only when more of it follows.
            content += [""] * blank + [text[1:]]
            blank = 0
        elif not text.strip():
            blank += 1
        elif text.startswith(_NO_NEWLINE):
            newline = False
        elif text.rstrip() != _AT_END:
            msg = f"Line {number} of the patch must begin with '+', as in every new file: {text!r}."
            raise ToolError(msg)
    return "\n".join(content) + ("\n" if content and newline else "")


def _is_marker(text: str) -> bool:
    return text.startswith("*** ") and text.rstrip() != _AT_END


def _update(number: int, path: str, lines: _Lines) -> UpdateFile:
    move_to = None
    if lines and lines[0][1].startswith(_MOVE):
        move_to = _path(*lines.popleft(), _MOVE)
    hunks = _hunks(lines)
    if not hunks and move_to is None:
        msg = f"Line {number} of the patch updates {path!r}, but no hunk follows."
        raise ToolError(msg)
    return UpdateFile(number, path, move_to, hunks)


@dataclass(slots=True)
class _Draft:
    """A hunk being read."""

    headers: list[tuple[int, str]] = field(default_factory=list)
    lines: list[PatchLine] = field(default_factory=list)

    @property
    def has_lines(self) -> bool:
        """Whether there is more than empty lines, which may only keep hunks apart."""
        return any(line.sign != " " or line.text.strip() for line in self.lines)

    def finish(self, *, at_end: bool = False) -> tuple[Hunk, ...]:
        if self.has_lines:
            number = self.headers[0][0] if self.headers else self.lines[0].number
            headers = tuple((number, text) for number, text in self.headers if text.strip())
            return (Hunk(number, headers, tuple(self.lines), at_end),)
        if self.headers:
            msg = f"Line {self.headers[0][0]} of the patch begins a hunk that has no lines."
            raise ToolError(msg)
        return ()


def _hunks(lines: _Lines) -> tuple[Hunk, ...]:
    hunks: list[Hunk] = []
    draft = _Draft()
    while lines and not _is_marker(lines[0][1]):
        number, text = lines.popleft()
        if text.startswith("@@"):
            if draft.has_lines:
                hunks += draft.finish()
                draft = _Draft()
            draft.lines.clear()
            draft.headers.append((number, _header(text)))
        elif text.rstrip() == _AT_END:
            hunks += draft.finish(at_end=True)
            draft = _Draft()
        elif text.startswith(_NO_NEWLINE) and draft.lines:
            last = draft.lines.pop()
            draft.lines.append(PatchLine(last.number, last.sign, last.text, newline=False))
        else:
            draft.lines.append(_line(number, text))
    return (*hunks, *draft.finish())


def _header(text: str) -> str:
    """Return the line that a header names; the numbers that models invent are worth nothing."""
    if _RANGES.fullmatch(text):
        return ""
    return text.removeprefix("@@").removeprefix(" ").removesuffix("@@").rstrip()


def _line(number: int, text: str) -> PatchLine:
    match text[:1]:
        case "":
            return PatchLine(number, " ", "")
        case " " | "-" | "+" as sign:
            return PatchLine(number, sign, text[1:])
        case _:
            msg = (
                f"Line {number} of the patch must begin with ' ' (it stays), '-' (it goes), "
                f"'+' (it comes) or '@@': {text!r}."
            )
            raise ToolError(msg)
