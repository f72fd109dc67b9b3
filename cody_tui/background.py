"""Whether the terminal is dark or light: asked of it before the first paint.

The question is for the colour (OSC 11). What somebody typed meanwhile arrives between the answers
and is handed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cody_tui import inquiry
from cody_tui.themes import Ground

SECONDS: Final = 0.15
"""How long a terminal may take to answer; over a slow line it is the fallback that counts."""
_QUESTION: Final = b"\x1b]11;?\x1b\\"
_COLOUR: Final = re.compile(
    rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})[^\x07\x1b]*"
    rb"(?:\x07|\x1b\\)"
)


def ask(seconds: float = SECONDS) -> tuple[Ground | None, str]:
    """Ask the terminal; return what it is, if it says so, and what was typed meanwhile."""
    answer = inquiry.ask(_QUESTION, seconds)
    return ground_of(answer), typed(answer)


def ground_of(answer: bytes) -> Ground | None:
    """Return what the colour in an answer is."""
    if (found := _COLOUR.search(answer)) is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return "light" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "dark"


def typed(answer: bytes) -> str:
    """Return the characters around the answers; keys that are no characters are lost."""
    rest = inquiry.ATTRIBUTES.sub(b"", _COLOUR.sub(b"", answer)).partition(b"\x1b")[0]
    return "".join(c for c in rest.decode(errors="ignore") if c.isprintable() or c == "\n")


def by_variable(variables: Mapping[str, str]) -> Ground | None:
    """Return what ``COLORFGBG`` says; some terminals set it, such as ``15;0``."""
    last = variables.get("COLORFGBG", "").rpartition(";")[2]
    if not last.isdigit():
        return None
    return "light" if int(last) in (7, *range(9, 16)) else "dark"
