"""Asking the terminal something, by escape sequences that it answers as if somebody typed.

Not every terminal answers every question. So each is followed by one that all of them answer
(DA1): when that answer is there and another is not, there will be none.
"""

from __future__ import annotations

import os
import re
import time
from typing import Final

ATTRIBUTES: Final = re.compile(rb"\x1b\[\?([0-9;]*)c")
"""The answer to DA1: what the terminal can do, by numbers."""
_LAST: Final = b"\x1b[c"


def ask(questions: bytes, seconds: float) -> bytes:
    """Return all that the terminal sends within so many seconds, up to the answer to DA1.

    It is empty where there is no terminal. What is typed meanwhile is in it, too.
    """
    try:
        import termios
        import tty
    except ImportError:  # Windows
        return b""
    try:
        # Not the standard streams: they may lead elsewhere while the app runs.
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        before = termios.tcgetattr(terminal)
        tty.setcbreak(terminal, termios.TCSANOW)
        try:
            os.write(terminal, questions + _LAST)
            return _read(terminal, seconds)
        finally:
            termios.tcsetattr(terminal, termios.TCSANOW, before)
    except (OSError, termios.error):
        return b""
    finally:
        os.close(terminal)


def _read(terminal: int, seconds: float) -> bytes:
    import select

    answer, end = b"", time.monotonic() + seconds
    while ATTRIBUTES.search(answer) is None and (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([terminal], [], [], left)
        if ready:
            answer += os.read(terminal, 4096)
    return answer
