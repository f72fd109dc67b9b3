"""Output of any length in bounded memory: beginning and end are kept, the middle is counted.

The beginning can be shown while more arrives; the end is only known once everything is there. So
what ``fresh`` hands out is always the beginning of what ``text`` returns in the end.
"""

from __future__ import annotations

import codecs

HEAD_BYTES = 16 * 1024
TAIL_BYTES = 16 * 1024


class Output:
    """Bytes as they arrive, UTF-8 as they are read; what is not UTF-8 becomes U+FFFD."""

    def __init__(self, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> None:
        """Keep that many bytes of the beginning and of the end, at least one of each."""
        self._head, self._head_limit = bytearray(), head
        self._tail, self._tail_limit = bytearray(), tail
        self._size = self._lines = self._shown = 0

    def add(self, data: bytes) -> None:
        """Take what arrived next."""
        self._size += len(data)
        self._lines += data.count(b"\n")
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        if len(data) > room:
            self._tail += data[max(room, len(data) - self._tail_limit) :]
        # Cutting at twice the length moves every byte once, not with every piece that arrives.
        if len(self._tail) > 2 * self._tail_limit:
            del self._tail[: -self._tail_limit]

    def fresh(self) -> str:
        """Return what of the beginning has not been returned before, in whole characters."""
        text, used = codecs.utf_8_decode(self._head[self._shown :], "replace", False)
        self._shown += used
        return text

    def text(self) -> str:
        """Return all that is kept, and a line in place of the middle if it had to go."""
        if self._size <= self._head_limit + self._tail_limit:
            return (self._head + self._tail).decode(errors="replace")
        head, used = codecs.utf_8_decode(self._head, "replace", False)
        tail = _from_character(self._tail[-self._tail_limit :])
        size = self._size - used - len(tail)
        lines = self._lines - self._head.count(b"\n") - tail.count(b"\n")
        gap = f"[… {size:,} bytes with {lines:,} line ends left out …]"
        return f"{ended(head)}{gap}\n{tail.decode(errors='replace')}"


def ended(text: str) -> str:
    """Return a text so that what follows begins a line."""
    return text if not text or text.endswith("\n") else f"{text}\n"


def _from_character(data: bytearray) -> bytearray:
    """Drop the rest of a character whose first byte was cut off: at most three bytes."""
    start = next((n for n, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
    return data[start:]
