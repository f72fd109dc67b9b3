"""What an edit does, as a unified diff that people read and ``patch -p1`` applies."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cody_core.tools.edits_text import Text, is_binary

_CONTEXT = 3
_MOST_COMPARED = 20_000
_NO_NEWLINE = "\\ No newline at end of file\n"

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}

_Opcode: TypeAlias = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """The diff of one file and how many lines come and go."""

    text: str
    added: int = 0
    removed: int = 0


def one_line(name: str) -> str:
    """Return a name as it is, or as git quotes it if it would break out of its line."""
    if name.isprintable() and '"' not in name:
        return name
    return '"' + "".join(_escaped(letter) for letter in name) + '"'


def _escaped(letter: str) -> str:
    if (known := _ESCAPES.get(letter)) is not None:
        return known
    if letter.isprintable():
        return letter
    return "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape"))


def diff(before: bytes | None, after: bytes | None, old: str, new: str) -> FileDiff:
    """Compare a file before and after, ``None`` for no file; ``old`` and ``new`` name it."""
    source = "/dev/null" if before is None else one_line(f"a/{old}")
    target = "/dev/null" if after is None else one_line(f"b/{new}")
    moved = before is not None and after is not None and old != new
    renamed = f"rename from {one_line(old)}\nrename to {one_line(new)}\n" if moved else ""
    if is_binary(before) or is_binary(after):
        same = f"Binary files {source} and {target} differ\n" if before != after else ""
        return FileDiff(renamed + same)
    a, b = _lines(before, after)
    groups = _groups(a, b)
    opcodes = [opcode for group in groups for opcode in group]
    added = sum(opcode[4] - opcode[3] for opcode in opcodes if opcode[0] != "equal")
    removed = sum(opcode[2] - opcode[1] for opcode in opcodes if opcode[0] != "equal")
    head = f"--- {source}\n+++ {target}\n" if before != after or not moved else ""
    hunks = "".join(_hunk(a, b, group) for group in groups)
    return FileDiff(renamed + head + hunks, added, removed)


def _lines(before: bytes | None, after: bytes | None) -> tuple[list[str], list[str]]:
    """Return the lines with their ends; a carriage return only where it says something new."""
    a = Text.decode(before or b"", "")
    b = Text.decode(after or b"", "")
    if before and after and a.crlf != b.crlf:
        return _split(str(before, a.encoding)), _split(str(after, b.encoding))
    return _split(a.text), _split(b.text)


def _split(text: str) -> list[str]:
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _groups(a: Sequence[str], b: Sequence[str]) -> list[list[_Opcode]]:
    """Return the differences in groups with the lines around them.

    What both have at the beginning and the end is left out of the comparison, and what is too large
    to be compared in reasonable time is replaced as a whole.
    """
    most = min(len(a), len(b))
    head = next((i for i in range(most) if a[i] != b[i]), most)
    most -= head
    tail = next((i for i in range(most) if a[-1 - i] != b[-1 - i]), most)
    start = max(head - _CONTEXT, 0)
    rest = max(tail - _CONTEXT, 0)
    if len(a) + len(b) - 2 * (head + tail) > _MOST_COMPARED:
        a_end, b_end = len(a) - tail, len(b) - tail
        opcodes: list[_Opcode] = [
            ("equal", start, head, start, head),
            ("replace", head, a_end, head, b_end),
            ("equal", a_end, len(a) - rest, b_end, len(b) - rest),
        ]
        return [opcodes]
    matcher = difflib.SequenceMatcher(None, a[start : len(a) - rest], b[start : len(b) - rest])
    return [
        [(tag, i1 + start, i2 + start, j1 + start, j2 + start) for tag, i1, i2, j1, j2 in group]
        for group in matcher.get_grouped_opcodes(_CONTEXT)
    ]


def _hunk(a: Sequence[str], b: Sequence[str], group: Sequence[_Opcode]) -> str:
    first, last = group[0], group[-1]
    head = f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n"
    return head + "".join(_marked(a, b, group))


def _marked(a: Sequence[str], b: Sequence[str], group: Sequence[_Opcode]) -> Iterator[str]:
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            yield from (_ended(" " + line) for line in a[i1:i2])
        else:
            yield from (_ended("-" + line) for line in a[i1:i2])
            yield from (_ended("+" + line) for line in b[j1:j2])


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _range(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
