"""Hunks applied to a text: each where it fits, if that is exactly one place.

A place fits if the file has there the lines that the hunk says stay or go: letter by letter, else
but for blanks at the end of lines, else but for the typography that models replace (dashes, quotes,
odd spaces). What stays is what the file has, never what the patch says it has.

Of several places those after the previous hunk are preferred, and those in the indented block that
a header opens. Where two places are left a hunk is refused: nobody can know which was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn, TypeAlias

from cody_core.errors import ToolError
from cody_core.tools.nearby import excerpt, nearest
from cody_core.tools.patch import Hunk, PatchLine

_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f", " "),
        "\u3000": " ",
    }
)
_PLACES_NAMED = 8
_LINES_SHOWN = 12

_Plain: TypeAlias = Callable[[str], str]


def apply(text: str, hunks: Sequence[Hunk], name: str) -> str:
    """Return a text with all hunks applied. ``name`` is what messages call the file.

    Raises:
        ToolError: a hunk fits nowhere, or in several places.
    """
    file = _File(text, name)
    edits: list[_Edit] = []
    after = 0
    for hunk in hunks:
        edit = _locate(file, hunk, after, edits)
        edits.append(edit)
        after = edit.end
    return _rewrite(file, sorted(edits, key=lambda edit: (edit.start, edit.end)))


def _as_typed(line: str) -> str:
    return line.rstrip().translate(_TYPOGRAPHY).rstrip()


_FITS: tuple[_Plain, ...] = (str, str.rstrip, _as_typed)


class _File:
    """The lines of a file, and how to find some in it."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.lines = text.split("\n") if text else []
        self.ends_in_newline = not text or text.endswith("\n")
        if text.endswith("\n"):
            self.lines.pop()

    @cached_property
    def _plain(self) -> tuple[list[str], ...]:
        return tuple([plain(line) for line in self.lines] for plain in _FITS)

    def find(self, wanted: Sequence[str], fit: int) -> Iterator[int]:
        """Return the indices at which lines begin that are like the wanted ones."""
        lines = self._plain[fit]
        sought = [_FITS[fit](line) for line in wanted]
        start = -1
        while True:
            try:
                start = lines.index(sought[0], start + 1)
            except ValueError:
                return
            if lines[start : start + len(sought)] == sought:
                yield start

    def block(self, index: int) -> int:
        """Return the index after the last line of the indented block that a line opens."""
        margin = _indentation(self.lines[index])
        for after in range(index + 1, len(self.lines)):
            line = self.lines[after]
            if line.strip() and _indentation(line) <= margin and not _continues(line):
                return after
        return len(self.lines)


def _continues(line: str) -> bool:
    """A signature over several lines closes its bracket at the margin of its first line."""
    return line.lstrip().startswith((")", "]", "{"))


def _indentation(line: str) -> int:
    expanded = line.expandtabs()
    return len(expanded) - len(expanded.lstrip())


@dataclass(frozen=True, slots=True)
class _Edit:
    """A hunk and the lines it takes the place of."""

    hunk: Hunk
    start: int
    end: int


def _locate(file: _File, hunk: Hunk, after: int, edits: Sequence[_Edit]) -> _Edit:
    if not hunk.old:
        return _append(file, hunk)
    scopes = _scopes(file, hunk)
    for candidate in _candidates(hunk):
        wanted = [line.text for line in candidate.old]
        for first in dict.fromkeys((after, 0)):
            for fit in range(len(_FITS)):
                places = [
                    place
                    for place in file.find(wanted, fit)
                    if place >= first and _is_free(place, place + len(wanted), edits)
                ]
                if places := _preferred(file, candidate, places, scopes):
                    if len(places) > 1:
                        _refuse_several(file, hunk, places)
                    return _Edit(candidate, places[0], places[0] + len(wanted))
    _refuse(file, hunk)


def _append(file: _File, hunk: Hunk) -> _Edit:
    """Place a hunk that only adds: it says where only if the file has one place, or its end."""
    if file.lines and not hunk.at_end:
        msg = (
            f"{file.name}: the hunk at line {hunk.number} of the patch only adds lines, so that "
            "nobody can tell where. Give it lines around the place, or '*** End of File' to append."
        )
        raise ToolError(msg)
    return _Edit(hunk, len(file.lines), len(file.lines))


def _candidates(hunk: Hunk) -> Iterator[Hunk]:
    """Return the hunk, and without the empty lines at its end: those may only look like context."""
    yield hunk
    lines = list(hunk.lines)
    while lines and lines[-1].sign == " " and not lines[-1].text.strip():
        lines.pop()
    if len(lines) < len(hunk.lines):
        shorter = replace(hunk, lines=tuple(lines))
        if shorter.old:
            yield shorter


def _is_free(start: int, end: int, edits: Sequence[_Edit]) -> bool:
    return all(end <= edit.start or edit.end <= start for edit in edits)


def _preferred(
    file: _File, hunk: Hunk, places: list[int], scopes: Sequence[tuple[int, int]]
) -> list[int]:
    """Keep the places at the end if the hunk says so, and those that its headers point to."""
    if hunk.at_end:
        length = len(hunk.old)
        places = [place for place in places if place + length == len(file.lines)] or places
    inside = [place for place in places if any(start <= place < end for start, end in scopes)]
    return inside or [place for place in places if place >= scopes[0][0]]


def _scopes(file: _File, hunk: Hunk) -> list[tuple[int, int]]:
    """Return the blocks that the headers of a hunk open, each header within those before it."""
    scopes = [(-1, len(file.lines))]
    for number, header in hunk.headers:
        inside = [i for start, end in scopes for i in range(start + 1, end)]
        hits = _headed(file, header, inside)
        hits = hits or _headed(file, header, range(scopes[0][0] + 1, len(file.lines)))
        if not hits:
            _refuse_header(file, number, header)
        scopes = [(index, file.block(index)) for index in hits]
    return scopes


def _headed(file: _File, header: str, indices: Sequence[int]) -> list[int]:
    """Return which lines a header names: the whole of them, or at least how they begin."""
    typed = _as_typed(header).strip()
    tests: tuple[Callable[[str], bool], ...] = (
        lambda line: line.rstrip() == header,
        lambda line: line.strip() == header.strip(),
        lambda line: _as_typed(line).strip() == typed,
        lambda line: _as_typed(line).lstrip().startswith(typed),
    )
    for test in tests:
        if hits := sorted({index for index in indices if test(file.lines[index])}):
            return hits
    return []


def _rewrite(file: _File, edits: Sequence[_Edit]) -> str:
    """Return the text with each hunk in the place of the lines it was found to mean."""
    lines: list[str] = []
    done = 0
    newline = True
    for edit in edits:
        lines += file.lines[done : edit.start]
        newline = True
        at = edit.start
        for line in edit.hunk.lines:
            if line.sign == "+":
                lines.append(_ended_like(line.text, file.lines[max(at - 1, 0) : at + 1]))
                newline = _newline_after(file, edit.hunk, line)
                continue
            if line.sign == " ":
                lines.append(file.lines[at])
                newline = at + 1 < len(file.lines) or file.ends_in_newline
            at += 1
        done = edit.end
    if done < len(file.lines):
        lines += file.lines[done:]
        newline = file.ends_in_newline
    return "\n".join(lines) + ("\n" if lines and newline else "")


def _ended_like(text: str, neighbours: Sequence[str]) -> str:
    """Return a new line ended like the one before it, in files where line ends are mixed."""
    return text + "\r" if neighbours and neighbours[0].endswith("\r") else text


def _newline_after(file: _File, hunk: Hunk, line: PatchLine) -> bool:
    """Tell whether a new last line ends in a newline: if nothing is said, as the file did."""
    if not line.newline:
        return False
    return file.ends_in_newline or any(not old.newline for old in hunk.old)


def _refuse(file: _File, hunk: Hunk) -> NoReturn:
    wanted = [line.text for line in hunk.old]
    near = nearest(file.lines, wanted)
    what = f"{file.name}: the hunk at line {hunk.number} of the patch does not match the file."
    if near is None:
        first = next((line for line in hunk.old if line.text.strip()), hunk.old[0])
        msg = (
            f"{what} Nothing in the file is like line {first.number} of the patch, "
            f"{first.text!r}. Read the file again."
        )
        raise ToolError(msg)
    shown = excerpt(file.lines, near, min(len(wanted) + 2, _LINES_SHOWN))
    msg = f"{what} {_difference(file, hunk, near)} The file has there:\n{shown}"
    raise ToolError(msg)


def _difference(file: _File, hunk: Hunk, near: int) -> str:
    """Say which line of a hunk is the first that the file does not have."""
    for offset, line in enumerate(hunk.old):
        if near + offset >= len(file.lines):
            return f"Line {line.number} of the patch expects {line.text!r} after the file's end."
        actual = file.lines[near + offset]
        if _as_typed(actual) != _as_typed(line.text):
            return (
                f"Line {line.number} of the patch expects {line.text!r}, "
                f"line {near + offset + 1} of the file is {actual[:200]!r}."
            )
    return f"Its lines are at line {near + 1}, but that is not after its '@@' or taken already."


def _refuse_several(file: _File, hunk: Hunk, places: Sequence[int]) -> NoReturn:
    named = ", ".join(str(place + 1) for place in places[:_PLACES_NAMED])
    more = ", …" if len(places) > _PLACES_NAMED else ""
    msg = (
        f"{file.name}: the hunk at line {hunk.number} of the patch fits at {len(places)} places, "
        f"lines {named}{more}. Give it more lines around the change, or an '@@' line that only "
        "one of them has above it."
    )
    raise ToolError(msg)


def _refuse_header(file: _File, number: int, header: str) -> NoReturn:
    near = nearest(file.lines, [header])
    like = "" if near is None else f" The nearest is:\n{excerpt(file.lines, near, 1)}"
    msg = f"{file.name}: no line of the file is the '@@' of line {number}, {header!r}.{like}"
    raise ToolError(msg)
