"""The events of one run in memory: the newest as objects, then as bytes, all older ones packed.

Whoever follows a run reads its newest events, and reads them once; a run is kept for an hour. An
event of a delta is a kilobyte as an object, which garbage collections look at besides, a third of
that as bytes, and some sixty bytes packed with its neighbours.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, TypeAlias

from cody_core.schema.events import Entry, Event

Key: TypeAlias = tuple[int, int]
"""An offset as it is ordered: milliseconds and a sequence number."""

PAGE: Final = 256
"""Events that are packed together. As many, and up to twice as many, stay as they are."""
FRESH: Final = 16
"""Events before what somebody reads that stay objects: others may not be as far."""
LEVEL: Final = 1
"""Compression, of zlib's levels: a higher one takes three times as long and saves a tenth."""


class Entries:
    """Entries in the order of their offsets. They are only ever added to."""

    def __init__(self) -> None:
        self._ends: list[Key] = []
        self._pages: list[bytes] = []
        self._keys: list[Key] = []
        self._newest: list[Entry] = []
        self._deflated = 0

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._keys or self._ends)

    @property
    def last(self) -> Key:
        """The key of the newest entry; below all others where there is none."""
        return (self._keys or self._ends or [(0, 0)])[-1]

    def add(self, key: Key, event: Event) -> Entry:
        """Add an event at a key above all others; return its entry."""
        entry = Entry(f"{key[0]}-{key[1]}", event=event, key=key)
        self._keys.append(key)
        self._newest.append(entry)
        if len(self._newest) >= 2 * PAGE:
            self._pack(PAGE)
        return entry

    def after(self, key: Key, most: int) -> Sequence[Entry]:
        """Return the entries above a key, the oldest first: ``most`` of them, or fewer.

        It is empty only if there are none.
        """
        if self._ends and key < self._ends[-1]:
            page = bisect_right(self._ends, key)
            entries = _unpacked(self._pages[page])
            start = bisect_right(entries, key, key=attrgetter("key"))
            return entries[start : start + most]
        start = bisect_right(self._keys, key)
        self._deflate(start - FRESH)
        return self._newest[start : start + most]

    def pack(self) -> None:
        """Pack all of them: nobody is expected to ask soon."""
        while self._newest:
            self._pack(PAGE)

    def _deflate(self, end: int) -> None:
        """Deflate what has been read: those of the newest before an index."""
        while self._deflated < end:
            self._newest[self._deflated].deflate()
            self._deflated += 1

    def _pack(self, count: int) -> None:
        entries, keys = self._newest[:count], self._keys[:count]
        lines = (b"%s %s" % (entry.offset.encode(), entry.data) for entry in entries)
        self._pages.append(zlib.compress(b"\n".join(lines), LEVEL))  # JSON has no line breaks
        self._ends.append(keys[-1])
        del self._newest[:count], self._keys[:count]
        self._deflated = max(0, self._deflated - count)


def _unpacked(page: bytes) -> list[Entry]:
    pairs = (line.split(b" ", 1) for line in zlib.decompress(page).split(b"\n"))
    return [Entry(offset.decode(), data=data) for offset, data in pairs]
