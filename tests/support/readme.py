"""A README taken apart: its fenced blocks, the commands in them, and output to compare."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"^(?:export )?\w+=\S+$")
_VARIES = {
    "uuid": (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",) * 2,
    "hex": (r"\b[0-9a-f]{32}\b",) * 2,
    "minute": (r"\d{4}-\d\d-\d\d \d\d:\d\d",) * 2,
    "offset": (r"\b\d{13}\b",) * 2,
    "spent": (r" *\b[\d.]+ ms",) * 2,
    "tokens": (r"tokens: \d+",) * 2,
    "left_out": ("…", r".*?"),
    "blanks": (r"  +", r"  +"),
}
"""What is another one each time, by name: how it is written, and what may be there instead."""
_VARYING = re.compile("|".join(f"(?P<{name}>{written})" for name, (written, _) in _VARIES.items()))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, the line of its fence, and the language behind that."""

    language: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """The blocks below one heading."""

    heading: str
    blocks: Sequence[Block]


def sections(text: str) -> list[Section]:
    """Return what is below each heading that has blocks below it."""
    found: dict[str, list[Block]] = {}
    # A line of shell that is a comment is no heading.
    prose = _FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
    headings = [(match.start(), match[1]) for match in _HEADING.finditer(prose)]
    for match in _FENCE.finditer(text):
        heading = [name for at, name in headings if at < match.start()][-1]
        line = text.count("\n", 0, match.start()) + 1
        found.setdefault(heading, []).append(Block(match[1], match[2], line))
    return [Section(heading, blocks) for heading, blocks in found.items()]


def commands(block: Block) -> Iterator[str]:
    """Yield the commands of a block of shell, a line each, without the comments."""
    for line in block.text.splitlines():
        if words := shlex.split(line, comments=True):
            comment = re.search(r"(?:^|\s)#\s.*$", line)
            yield line[: comment.start()].rstrip() if comment else line
            assert words


def is_assignment(command: str) -> bool:
    """Tell whether a command does nothing but set a variable."""
    return _ASSIGNMENT.match(command) is not None or bool(
        re.match(r"^export \w+='[^']*'$", command)
    )


def is_session(command: str) -> bool:
    """Tell whether a command opens the terminal app: it names no other of the program."""
    first, *rest = shlex.split(command)
    return first == "cody" and (not rest or rest[0].startswith("-"))


def looks_like(actual: str, shown: str) -> bool:
    """Tell whether output is what is shown, where ``…`` stands for anything."""
    pattern, at = "", 0
    for match in _VARYING.finditer(shown):
        pattern += re.escape(shown[at : match.start()]) + _VARIES[str(match.lastgroup)][1]
        at = match.end()
    return re.fullmatch(pattern + re.escape(shown[at:]), actual, re.DOTALL) is not None
