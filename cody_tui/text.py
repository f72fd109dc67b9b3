"""Text from elsewhere, made safe to show.

What a model or a tool wrote is data. A control character in it would be an order to the terminal:
move the cursor, set the title, answer as if typed. ``printable`` turns each one into something
that can be seen instead.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

# Compiled with their first use, by ``re`` itself: to compile some takes as long as a frame.
_UNSAFE: Final = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_TURNING: Final = "[\u202a-\u202e\u2066-\u2069]"
"""What turns the reading direction of all that follows on a line, whoever wrote that."""
_UNSEEN: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_VARYING: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_JOINING: Final = "\u200c\u200d"
_DECEPTIVE: Final = (
    f"[{_UNSEEN}]"
    f"|(?<![^\x00-\x7f{_VARYING}{_JOINING}])[{_VARYING}](?!\u20e3)"
    f"|(?<![^\x00-\x7f{_JOINING}])[{_JOINING}]"
)
"""What turns a line or cannot be seen. What varies or joins what is before it is ordinary in emoji
and many scripts: once, and behind something else than ASCII or, for a keycap, before its frame."""
_PICTURES: Final = 0x2400
"""Where Unicode keeps pictures of the C0 control characters, in their order."""


@cache
def _table() -> dict[int, str]:
    table = {code: chr(_PICTURES + code) for code in range(0x20) if chr(code) not in "\n\t"}
    table[0x7F] = "\N{SYMBOL FOR DELETE}"
    table.update({code: f"<{code:02X}>" for code in range(0x80, 0xA0)})
    # Terminals disagree on whether these two break a line.
    table.update(dict.fromkeys((0x2028, 0x2029), "\N{SYMBOL FOR NEWLINE}"))
    table.update(dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"))
    return table


def printable(text: str) -> str:
    """Return the text with every control character and lone surrogate made visible.

    Newlines and tabs stay, CR LF becomes a newline, and everything else is left as it is:
    right-to-left and wide characters, combining marks, joined emoji.
    """
    if text.isprintable() or re.search(_UNSAFE, text) is None:
        return text
    return text.replace("\r\n", "\n").translate(_table())


def unmistakable(text: str) -> str:
    """Return printable text that also reads in the order in which it will be executed.

    For what somebody is to consent to: characters that turn the reading direction or cannot be
    seen at all would let a command look like another one.
    """
    return re.sub(_DECEPTIVE, lambda found: f"<{ord(found[0]):04X}>", printable(text))


def one_line(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of the text on one line, white space run together.

    What is right-to-left by itself stays as it is; what would turn its neighbours around goes.
    """
    head = " ".join(_straight(printable(text[: limit * 4])).split())
    if len(head) <= limit and len(text) <= limit * 4:
        return head
    return head[: limit - 1] + "…"


def _straight(text: str) -> str:
    return text if text.isprintable() else re.sub(_TURNING, "", text)
