"""Hunks applied to a text: each where it fits, if that is exactly one place.

A place fits if the file has there the lines that the hunk says stay or go: letter by letter, else
but for blanks at the end of lines, else but for the typography that models replace (dashes, quotes,
odd spaces). What stays is what the file has, never what the patch says it has.

Of several places those after the previous hunk are preferred, and those in the indented block that
a header opens. Where two places are left a hunk is refused: nobody can know which was meant.

A file may be large and all of its lines alike, and a patch have a hunk for each: nothing here looks
at all lines, blocks or hunks once for each of the others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    taken = _Spans()
    after = 0
    for hunk in hunks:
        edit = _locate(file, hunk, after, taken)
        edits.append(edit)
        taken.add(edit.start, edit.end)
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
    def plain(self) -> tuple[list[str], ...]:
        """The lines, as each of the ways to compare them sees them."""
        return tuple([plain(line) for line in self.lines] for plain in _FITS)

    @cached_property
    def _places(self) -> tuple[Mapping[str, Sequence[int]], ...]:
        found: tuple[dict[str, list[int]], ...] = tuple({} for _ in _FITS)
        for places, lines in zip(found, self.plain, strict=True):
            for index, line in enumerate(lines):
                places.setdefault(line, []).append(index)
        return found

    def find(self, wanted: Sequence[str], fit: int) -> Iterator[int]:
        """Return the indices at which lines begin that are like the wanted ones."""
        lines = self.plain[fit]
        sought = [_FITS[fit](line) for line in wanted]
        for start in self._places[fit].get(sought[0], ()):
            if lines[start : start + len(sought)] == sought:
                yield start

    @cached_property
    def ends(self) -> Sequence[int]:
        """For each line the index after the last one of the indented block that it opens."""
        ends = [0] * len(self.lines)
        # The lines that may end a block, from the last one up, each indented more than those before
        # it: one that is indented no less than a nearer one is the next of no line above that.
        closing, margins = [len(self.lines)], [-1]
        for index in reversed(range(len(self.lines))):
            line = self.lines[index]
            margin = _indentation(line)
            ends[index] = closing[bisect_right(margins, margin) - 1]
            if line.strip() and not _continues(line):
                keep = bisect_left(margins, margin)
                closing[keep:], margins[keep:] = [index], [margin]
        return ends


def _continues(line: str) -> bool:
    """A signature over several lines closes its bracket at the margin of its first line."""
    return line.lstrip().startswith((")", "]", "{"))


def _indentation(line: str) -> int:
    expanded = line.expandtabs()
    return len(expanded) - len(expanded.lstrip())


@dataclass(slots=True)
class _Spans:
    """Stretches of lines of which no two overlap, in their order."""

    all: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def joined(cls, blocks: Iterable[tuple[int, int]]) -> _Spans:
        """Return blocks, which are in order, as stretches: those that overlap as one."""
        found: list[tuple[int, int]] = []
        for start, end in blocks:
            if found and start < found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], end))
            else:
                found.append((start, end))
        return cls(found)

    def add(self, start: int, end: int) -> None:
        """Add a stretch that is free."""
        insort(self.all, (start, end))

    def is_free(self, start: int, end: int) -> bool:
        """Tell whether lines are in no stretch."""
        before = bisect_left(self.all, (end,)) - 1
        return before < 0 or self.all[before][1] <= start

    def holds(self, index: int) -> bool:
        """Tell whether a line is in one."""
        before = bisect_left(self.all, (index + 1,)) - 1
        return before >= 0 and index < self.all[before][1]


@dataclass(frozen=True, slots=True)
class _Edit:
    """A hunk and the lines it takes the place of."""

    hunk: Hunk
    start: int
    end: int


def _locate(file: _File, hunk: Hunk, after: int, taken: _Spans) -> _Edit:
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
                    if place >= first and taken.is_free(place, place + len(wanted))
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


def _preferred(file: _File, hunk: Hunk, places: list[int], scopes: _Spans) -> list[int]:
    """Keep the places at the end if the hunk says so, and those that its headers point to."""
    if hunk.at_end:
        length = len(hunk.old)
        places = [place for place in places if place + length == len(file.lines)] or places
    inside = [place for place in places if scopes.holds(place)]
    return inside or [place for place in places if place >= scopes.all[0][0]]


def _scopes(file: _File, hunk: Hunk) -> _Spans:
    """Return the blocks that the headers of a hunk open, each header within those before it."""
    scopes = _Spans([(-1, len(file.lines))])
    for number, header in hunk.headers:
        inside = [i for start, end in scopes.all for i in range(start + 1, end)]
        hits = _headed(file, header, inside)
        hits = hits or _headed(file, header, range(scopes.all[0][0] + 1, len(file.lines)))
        if not hits:
            _refuse_header(file, number, header)
        scopes = _Spans.joined((index, file.ends[index]) for index in hits)
    return scopes


def _headed(file: _File, header: str, indices: Sequence[int]) -> list[int]:
    """Return which lines a header names: the whole of them, or at least how they begin."""
    typed = _as_typed(header).strip()
    _, bare, plain = file.plain
    tests: tuple[Callable[[int], bool], ...] = (
        lambda index: bare[index] == header,
        lambda index: bare[index].strip() == header.strip(),
        lambda index: plain[index].strip() == typed,
        lambda index: plain[index].lstrip().startswith(typed),
    )
    found = ([index for index in indices if test(index)] for test in tests)
    return next(filter(None, found), [])


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
