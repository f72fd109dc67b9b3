"""Those who listen to one run: who are at its end are told of it by the one who reads for them.

All of them have the same bytes to come. One reads the log, at its own offset as ever, and writes
what comes to the others as well: they need not be woken for it. Whoever is behind, or slow, or has
nobody any more who reads for it reads the log itself, from its own offset on, until it is at the
end again. So nobody waits for anybody, and nothing is kept for who is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias
from weakref import WeakValueDictionary

from cody_core.api.frames import event_frames
from cody_core.schema.events import Entry

Key: TypeAlias = tuple[int, int]
"""An offset as it is ordered."""


class Batch:
    """Events that have come, one after the other, and what is written of them, made once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Build it of some events, and not of none."""
        self.entries = entries
        self.first = entries[0].key
        self.last = entries[-1].key
        self.is_end = entries[-1].is_terminal
        self._piece: bytes | None = None

    @property
    def piece(self) -> bytes:
        """All of them as they are written at once."""
        if self._piece is None:
            (self._piece,) = event_frames(self.entries, batch_size=len(self.entries))
        return self._piece

    def after(self, key: Key) -> Batch | None:
        """Return what of it comes after an offset."""
        rest = [entry for entry in self.entries if entry.key > key]
        return Batch(rest) if rest else None


class Listener(Protocol):
    """Somebody who listens.

    Attributes:
        key: The last offset that was written to it, as it is ordered.
    """

    key: Key

    def take(self, batch: Batch) -> bool:
        """Write what has come at once, or return ``False`` if that cannot be.

        Nothing is missing between what was written to it and the batch; it may have some of it.
        """
        ...

    def read_on(self) -> None:
        """Read for oneself from now on."""
        ...


class Feed:
    """Those who listen to one run."""

    def __init__(self) -> None:
        """Build it, without anybody."""
        self._reader: Listener | None = None
        self._key: Key = (0, 0)
        self._others: dict[Listener, None] = {}

    def tell(self, listener: Listener, batch: Batch) -> None:
        """Let the others have what somebody has read, if it is the one who reads for them."""
        if listener is self._reader:
            self._key = batch.last
            for other in [other for other in self._others if not other.take(batch)]:
                del self._others[other]
                other.read_on()

    def reads_for(self, listener: Listener) -> bool:
        """Tell whether what comes is read for a listener, from now on until it is to read on.

        It is read by who asks first. Who is not as far yet has to come up by itself.
        """
        if self._reader is None:
            self._reader, self._key = listener, listener.key
        if self._reader is listener or listener.key < self._key:
            return False
        self._others[listener] = None
        return True

    def leave(self, listener: Listener) -> None:
        """Take notice that somebody listens no more, or does not keep up."""
        self._others.pop(listener, None)
        if self._reader is listener:
            self._reader = None
            others, self._others = self._others, {}
            for other in others:
                other.read_on()


class Feeds:
    """The runs that are listened to."""

    def __init__(self) -> None:
        """Build it, without any."""
        self._feeds: WeakValueDictionary[str, Feed] = WeakValueDictionary()

    def of(self, run_id: str) -> Feed:
        """Return the feed of a run, which lasts as long as somebody holds it."""
        return self._feeds.setdefault(run_id, Feed())
