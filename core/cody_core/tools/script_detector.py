"""Finds ``<script>…</script>`` blocks in streamed text: a state machine over its characters.

How the text is cut into deltas makes no difference. The rules:

- A block begins at ``<script>``, in any case, attributes allowed, all on one line. It ends at the
  first ``</script>``, be that in a string or a comment of the script, as in HTML.
- Nothing begins in a fenced block (three or more backticks or tildes as the first thing of a line,
  also in a quote or a list; up to a line with nothing but as many of them, or to the end).
- Nothing begins in inline code: from a run of backticks to a run of the same length, or to the end
  of the line where there is none. Markdown would let it go on in the next line; a stream cannot
  wait to see whether it does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

OPEN = "<script"
CLOSE = re.compile(r"</script\s{0,8}>\Z", re.IGNORECASE)
LONGEST_CLOSE = len("</script>") + 8
LONGEST_OPEN = 200
LONGEST_SHOWN = 32 * 1024
"""Characters of a script that are told before it is whole. No script that long is run."""
FENCE = 3
BEFORE_FENCE = frozenset(" \t>-*+.)0123456789")
BEFORE_FENCE_END = frozenset(" \t>")


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is no script; what is between two scripts may come in several pieces."""

    raw: str


@dataclass(frozen=True, slots=True)
class Script:
    """A script. ``raw`` has the tags too; ``closed`` is false if the text ended within it."""

    raw: str
    closed: bool = True

    @property
    def code(self) -> str:
        """The script itself, without a first line that is empty."""
        return _body(CLOSE.sub("", self.raw.partition(">")[2]))


Part: TypeAlias = Text | Script


def _body(text: str) -> str:
    first, newline, rest = text.partition("\n")
    return (text if first.strip() or not newline else rest).rstrip()


class _Mode(Enum):
    TEXT = auto()
    TAG = auto()  # what is held may become the beginning of a script
    SCRIPT = auto()
    CODE = auto()  # inline
    FENCE_LINE = auto()  # the rest of the line that opened a fence
    FENCE = auto()


class ScriptDetector:
    """Takes text as it comes and tells its parts; their ``raw`` joined is the text again."""

    def __init__(self) -> None:
        self._mode = _Mode.TEXT
        self._text: list[str] = []
        self._held: list[str] = []
        self._parts: list[Part] = []
        self._line_begins = True  # so far the line could still begin a fence, or end one
        self._run = ""  # the backticks or tildes just read
        self._run_begins_line = False
        self._opened = ""  # what opened the inline code or the fence

    @property
    def code_so_far(self) -> str | None:
        """What is certain of the script that is being read; ``None`` outside of one."""
        if self._mode is not _Mode.SCRIPT:
            return None
        if len(self._held) > LONGEST_SHOWN:
            return ""
        text = "".join(self._held).partition(">")[2]
        end = text.rfind("<", max(0, len(text) - LONGEST_CLOSE))
        text = text if end < 0 else text[:end]
        return _body(text) if text.strip() else ""

    def feed(self, text: str) -> list[Part]:
        """Take the next piece of text and return the parts that are certain."""
        for char in text:
            self._take(char)
        self._flush()
        return self._taken()

    def close(self) -> list[Part]:
        """End the text and return what is left: a script that was not closed among it."""
        held = "".join(self._held)
        self._held.clear()
        if self._mode is _Mode.SCRIPT:
            self._parts.append(Script(held, closed=False))
        elif held:
            self._text.append(held)
        self._mode = _Mode.TEXT
        self._flush()
        return self._taken()

    def _take(self, char: str) -> None:
        match self._mode:
            case _Mode.SCRIPT:
                self._in_script(char)
            case _Mode.TAG:
                self._in_tag(char)
            case _Mode.TEXT:
                self._in_text(char)
            case _Mode.CODE:
                self._in_code(char)
            case _Mode.FENCE_LINE:
                self._in_fence_line(char)
            case _Mode.FENCE:
                self._in_fence(char)

    def _in_script(self, char: str) -> None:
        self._held.append(char)
        if char == ">" and CLOSE.search("".join(self._held[-LONGEST_CLOSE:])):
            self._flush()
            self._parts.append(Script("".join(self._held)))
            self._held.clear()
            self._mode = _Mode.TEXT
            self._line_begins = False

    def _in_tag(self, char: str) -> None:
        length = len(self._held)
        if length < len(OPEN):
            fits = char.lower() == OPEN[length]
        elif length == len(OPEN):
            fits = char in "> \t/"
        else:
            fits = char not in "<`\n" and length < LONGEST_OPEN
        if not fits:
            self._text += self._held
            self._held.clear()
            self._mode = _Mode.TEXT
            self._line_begins = False
            self._in_text(char)
            return
        self._held.append(char)
        if char == ">":
            self._mode = _Mode.SCRIPT

    def _in_text(self, char: str) -> None:
        if self._extends_run(char, "`~"):
            return
        run, self._run = self._run, ""
        if len(run) >= FENCE and self._run_begins_line:
            self._enter(_Mode.FENCE_LINE, run)
        elif run.startswith("`"):
            self._enter(_Mode.CODE, run)
        elif char in "`~":
            self._begin_run(char)
            return
        elif char == "<":
            self._held.append(char)
            self._mode = _Mode.TAG
            return
        else:
            self._emit(char, BEFORE_FENCE)
            return
        self._take(char)

    def _in_code(self, char: str) -> None:
        if self._extends_run(char, "`"):
            return
        run, self._run = self._run, ""
        if run == self._opened or char == "\n":
            self._mode = _Mode.TEXT
            self._in_text(char)
        elif char == "`":
            self._begin_run(char)
        else:
            self._emit(char, frozenset())

    def _in_fence_line(self, char: str) -> None:
        if char == "`" and self._opened.startswith("`"):
            # No fence after all: a fence of backticks has none behind it.
            self._mode = _Mode.CODE
            self._begin_run(char)
            return
        self._emit(char, frozenset())
        if char == "\n":
            self._mode = _Mode.FENCE

    def _in_fence(self, char: str) -> None:
        if self._extends_run(char, self._opened[0]):
            return
        if self._line_begins and char == self._opened[0] and not self._run:
            self._begin_run(char)
            return
        ends = self._run_begins_line and len(self._run.rstrip()) >= len(self._opened)
        if ends and char in " \t\r":
            # Still the fence's end, but the run is not to grow any more.
            self._run += char
            self._text.append(char)
            return
        self._run = ""
        if ends and char == "\n":
            self._mode = _Mode.TEXT
        self._emit(char, BEFORE_FENCE_END)

    def _begin_run(self, char: str) -> None:
        self._run = char
        self._run_begins_line = self._line_begins
        self._line_begins = False
        self._text.append(char)

    def _extends_run(self, char: str, of: str) -> bool:
        """Take another of the same character, if a run of it is being read."""
        if not self._run or char != self._run[-1] or char not in of:
            return False
        self._run += char
        self._text.append(char)
        return True

    def _enter(self, mode: _Mode, opened: str) -> None:
        self._mode = mode
        self._opened = opened

    def _emit(self, char: str, keep: frozenset[str]) -> None:
        self._text.append(char)
        self._line_begins = char == "\n" or (self._line_begins and char in keep)

    def _flush(self) -> None:
        if self._text:
            self._parts.append(Text("".join(self._text)))
            self._text.clear()

    def _taken(self) -> list[Part]:
        parts, self._parts = self._parts, []
        return parts
