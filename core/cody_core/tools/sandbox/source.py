"""The forms in which a script can be evaluated, and the way back to the lines of its source."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cody_core.tools.sandbox.engine import PRELUDE_LINE, Thrown

FRAME = re.compile(r"at (?:(?P<name>.*?) \()?eval_script:(?P<line>\d+):(?P<column>\d+)\)?")
FRAMES_SHOWN = 8
WORD = re.compile(r"\w+")

TYPED_CALL = re.compile(r"[\w$]\s*<[^<>()=;]+>\s*\(")
"""``f<string>(x)``: JavaScript too, but a comparison there that nobody ever wrote."""

HEAD, TAIL = "(async () => {", "\n})()"
"""Where a ``return`` is allowed. On the first line, so that lines stay what they are."""

RETURN_OUTSIDE = "return not in a function"


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in the script; ``name`` is the function's, if it is in one."""

    name: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Form:
    """One way to evaluate a script: ``text`` is what the engine is given."""

    source: str
    text: str
    wrapped: bool = False
    stripped: bool = False

    def frames(self, stack: str) -> list[Frame]:
        """Find the places of a stack that are in the script, innermost first."""
        frames = []
        for found in FRAME.finditer(stack):
            around = found["name"] == "<eval>" and self.wrapped
            if around or int(found["line"]) > PRELUDE_LINE:
                continue
            line = self._line(int(found["line"]), int(found["column"]))
            name = found["name"] if found["name"] not in ("<eval>", "<anonymous>") else None
            frames.append(Frame(name, line))
        return frames[:FRAMES_SHOWN]

    def _line(self, line: int, column: int) -> int:
        lines = self.source.count("\n") + 1
        found = self._printed_from(line, column) if self.stripped else line
        return max(1, min(found, lines))

    def _printed_from(self, line: int, column: int) -> int:
        """Find the line that the word at a place of the stripped text was printed from.

        Stripping prints the program anew, but takes words away only: the words left are matched
        with those of the source.
        """
        printed, source = _words(self.text), _words(self.source)
        wanted = next(
            (index for index, (_, place) in enumerate(printed) if place >= (line, column)),
            len(printed) - 1,
        )
        matcher = difflib.SequenceMatcher(
            None, [word for word, _ in printed], [word for word, _ in source], autojunk=False
        )
        best = 1
        for block in matcher.get_matching_blocks()[:-1]:
            if block.a > wanted:
                break
            best = source[block.b + min(wanted - block.a, block.size - 1)][1][0]
        return best


def forms(code: str, strip_types: Callable[[str], str]) -> Iterator[Form | Thrown]:
    """Yield the forms to try in turn, or why there is no such form.

    A script first: the value of its last statement is its result. A function's body next, where
    ``return`` is allowed. Text with the looks of a typed call is taken for TypeScript first.
    """
    plain = [Form(code, code), Form(code, HEAD + code + TAIL, wrapped=True)]
    if not TYPED_CALL.search(code):
        yield from plain
    for form in plain:
        try:
            yield replace(form, text=strip_types(form.text), stripped=True)
        except Thrown as error:
            yield error
    if TYPED_CALL.search(code):
        yield from plain


def describe(message: str, frames: list[Frame]) -> str:
    """Say what was thrown and where."""
    lines = [message]
    if frames:
        lines[0] += f" (line {frames[0].line})"
    if len(frames) > 1 or (frames and frames[0].name):
        lines += [f"    at {frame.name or 'the script'}, line {frame.line}" for frame in frames]
    return "\n".join(lines)


def _words(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Return the words of a text with the line and column where each ends."""
    return [
        (found.group(), (number, found.end()))
        for number, line in enumerate(text.split("\n"), start=1)
        for found in WORD.finditer(line)
    ]
