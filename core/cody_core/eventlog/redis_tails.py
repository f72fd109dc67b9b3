"""The ends of streams that are followed: one connection waits for what comes to any of them.

What came last is kept, so that most who follow are served from memory; who is further behind than
that fetches it. Nobody waits for anybody else.

What this process adds to the streams of its own it need not be told by the server, and what others
add there they say in a stream beside: so those need not be waited for one by one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from cody_core.errors import EventLogUnavailable
from cody_core.eventlog.redis_wire import Wire
from cody_core.redis_server import RedisServer
from cody_core.schema.events import START, offset_key
from cody_core.tasks import Signal

BATCH: Final = 1000
"""Entries of a stream asked of the server at once."""
BLOCK_MS: Final = 2000
"""How long one XREAD blocks; it must be answered before the connection counts as dead."""
RECENT: Final = 2000
"""Entries of a followed stream that are kept in memory, parsed, for all its readers."""
FRESH: Final = 16
"""Entries before what somebody reads that are not deflated: others may not be as far."""
KEEP_SECONDS: Final = 3600.0
"""How often streams that are followed are kept from expiring."""
WAKE_MS: Final = 24 * 3600 * 1000
"""How long the server remembers that a process was woken."""
WAKES_KEPT: Final = 10_000
"""How often, about; who does not look in the meantime follows nothing any more."""
FEW: Final = 8
"""So many streams are read as soon as something comes to one of them."""
PAUSE_SECONDS: Final = 0.00005
"""For each of more streams, how long is waited for others, which are then read along."""
LONGEST_PAUSE: Final = 0.01

Fields: TypeAlias = "dict[bytes, bytes]"
Reply: TypeAlias = "Sequence[tuple[bytes, Sequence[bytes]]]"
"""Entries as the server tells them: an offset, and names and values of fields in turn."""


class HasOffset(Protocol):
    """What is in a stream."""

    @property
    def offset(self) -> str:
        """Where it is."""
        ...


E = TypeVar("E", bound=HasOffset)


@dataclass(frozen=True, slots=True)
class Stream(Generic[E]):
    """A stream and how it is read.

    Attributes:
        key: Its key on the server.
        parse: Makes an entry of its offset and its fields; ``None`` if it is none of ours.
        is_last: Tells whether nothing can follow an entry; without it, something always can.
        keep: Called now and then while somebody follows it.
        deflate: Lets an entry take less memory, when those who follow have most likely read it.
    """

    key: str
    parse: Callable[[str, Fields], E | None]
    is_last: Callable[[E], bool] | None = None
    keep: Callable[[], Any] | None = None
    deflate: Callable[[E], None] | None = None

    def ends_with(self, entry: E) -> bool:
        """Tell whether nothing can follow an entry."""
        return self.is_last is not None and self.is_last(entry)

    def entries(self, reply: Reply) -> list[E]:
        """Return what the server said, without what is none of ours."""
        found = (
            self.parse(offset.decode(), dict(zip(fields[::2], fields[1::2], strict=True)))
            for offset, fields in reply
            if fields
        )
        return [entry for entry in found if entry is not None]


class Tail(Generic[E]):
    """The end of a stream as its readers in this process share it."""

    def __init__(self, stream: Stream[E], position: str) -> None:
        """Build one that begins after an offset."""
        self.stream = stream
        self.position = position
        self.readers = 0
        self.ended = False
        self.stopped = False
        self.is_being_fetched = False
        self.is_stale = False
        self._floor = self._newest = offset_key(position)
        self._entries: list[E] = []
        self._keys: list[tuple[int, int]] = []
        self._deflated = 0
        self._wake = Signal()
        self._error: EventLogUnavailable | None = None

    def take(self, reply: Reply) -> None:
        """Take what the server said, and let those who wait for it have it."""
        self.add(self.stream.entries(reply), reply[-1][0].decode())

    def add(self, entries: Sequence[E], position: str) -> None:
        """Take entries that follow each other up to an offset. There may be old ones among them."""
        if offset_key(position) <= offset_key(self.position):
            return
        self.position = position
        keys = [offset_key(entry.offset) for entry in entries]
        old = bisect_right(keys, self._newest)
        if old == len(keys):
            return
        self.ended = self.stream.ends_with(entries[-1])
        self._entries += entries[old:]
        self._keys += keys[old:]
        if surplus := max(0, len(self._entries) - RECENT):
            self._floor = self._keys[surplus - 1]
            del self._entries[:surplus], self._keys[:surplus]
            self._deflated = max(0, self._deflated - surplus)
        self._newest = self._keys[-1]
        self._wake.send()

    def after(self, offset: str) -> list[E] | None:
        """Return what came after an offset, or ``None`` if that is no longer all in memory.

        Raises:
            EventLogUnavailable: the shared reader has given up.
        """
        if self._error is not None:
            raise self._error
        key = offset_key(offset)
        if key < self._floor:
            return None
        start = bisect_right(self._keys, key)
        self._deflate(start - FRESH)
        return self._entries[start:]

    def _deflate(self, end: int) -> None:
        """Deflate what has been read: the entries before an index."""
        if self.stream.deflate is not None:
            for entry in self._entries[self._deflated : max(end, 0)]:
                self.stream.deflate(entry)
            self._deflated = max(end, self._deflated)

    async def more(self, offset: str) -> None:
        """Wait until there may be something after an offset, or nothing can come any more."""
        key = offset_key(offset)
        while not (self.stopped or self.ended or self._error or self._newest > key):
            await self._wake.wait()

    @property
    def failed(self) -> bool:
        """Whether the shared reader has given up: who comes now needs another."""
        return self._error is not None

    def stop(self) -> None:
        """Let all who follow it end."""
        self.stopped = True
        self._wake.send()

    def fail(self, error: EventLogUnavailable) -> None:
        """Raise that to all who follow it."""
        self._error = error
        self._wake.send()


class Tails:
    """All that is followed in this process, and the one task that reads it."""

    def __init__(
        self, server: RedisServer, wire: Wire, tasks: asyncio.TaskGroup, wake_key: str
    ) -> None:
        """Build it; nothing is read before somebody follows, and then by a connection of its own.

        Args:
            server: Where the streams are.
            wire: By which the one that reads is woken, and what it is not told is fetched.
            tasks: Owns what is under way.
            wake_key: The stream in which others say what they have added to ours.
        """
        self._wire = wire
        self._reading_wire = Wire(server)
        self._tasks = tasks
        self._tails: dict[bytes, Tail[Any]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._is_waiting = False
        self._own: set[bytes] = set()
        self._wake_key = wake_key.encode()
        self._woken = START
        self._kept = 0.0

    @asynccontextmanager
    async def join(self, stream: Stream[E], position: str) -> AsyncIterator[Tail[E]]:
        """Follow a stream with all who do; its tail begins at that offset, or before.

        The stream must have come to it: what comes before it nobody is told who joins later.
        """
        key = stream.key.encode()
        tail: Tail[E] | None = self._tails.get(key)
        if tail is None or tail.stopped or tail.failed:
            tail = self._tails[key] = Tail(stream, position)
            self._look(tail)
        tail.readers += 1
        try:
            yield tail
        finally:
            tail.readers -= 1
            if not tail.readers:
                tail.stop()
                if self._tails.get(key) is tail:
                    del self._tails[key]

    def own(self, key: str) -> None:
        """Take notice that others say what they add to a stream from now on."""
        self._own.add(key.encode())
        if (tail := self._tails.get(key.encode())) is not None:
            self._catch_up(tail)

    def disown(self, key: str) -> None:
        """Take notice that nothing more is to come to a stream of ours."""
        self._own.discard(key.encode())

    def owns(self, key: str) -> bool:
        """Tell whether a stream is one of ours, to which more is to come."""
        return key.encode() in self._own

    def added(self, key: str, previous: str, entries: Sequence[HasOffset]) -> None:
        """Take what this process has added to a stream, and after which offset."""
        tail = self._tails.get(key.encode())
        if tail is None or key.encode() not in self._own:
            return
        if tail.position == previous:
            tail.add(entries, entries[-1].offset)
        else:
            self._catch_up(tail)

    def close(self) -> None:
        """Stop reading; those who follow end."""
        for task in (self._reading, self._waking):
            if task is not None:
                task.cancel()
        self._reading_wire.close()
        for tail in self._tails.values():
            tail.stop()

    def _look(self, tail: Tail[Any]) -> None:
        """See to it that what has just been added is read, too."""
        if self._reading is None or self._reading.done():
            self._reading = self._tasks.create_task(self._read())
        if tail.stream.key.encode() in self._own:
            self._catch_up(tail)
        elif self._is_waiting:
            self._is_waiting = False  # once is enough
            self._waking = self._tasks.create_task(self._wake())

    async def _read(self) -> None:
        """Read all that is followed, until nothing more can come to any of it."""
        loop = asyncio.get_running_loop()
        self._kept = loop.time()
        try:
            while live := {key: tail for key, tail in self._tails.items() if not tail.ended}:
                tails = {key: tail for key, tail in live.items() if key not in self._own}
                for key, reply in await self._what_comes(tails):
                    if (tail := tails.get(key)) is not None:
                        tail.take(reply)
                    else:
                        self._hear(reply)
                await self._keep(loop.time())
                if len(tails) > FEW:
                    await asyncio.sleep(min(len(tails) * PAUSE_SECONDS, LONGEST_PAUSE))
        except EventLogUnavailable as error:
            for tail in self._tails.values():
                tail.fail(error)

    def _hear(self, reply: Reply) -> None:
        """Fetch what others have added to streams of ours."""
        self._woken = reply[-1][0].decode()
        for key in {fields[1] for _, fields in reply}:
            if (tail := self._tails.get(key)) is not None:
                self._catch_up(tail)

    def _catch_up(self, tail: Tail[Any]) -> None:
        """Fetch what may have come to a stream."""
        tail.is_stale = True
        if not tail.is_being_fetched:
            tail.is_being_fetched = True
            self._tasks.create_task(self._fetch(tail))

    async def _fetch(self, tail: Tail[Any]) -> None:
        try:
            while tail.is_stale and not tail.stopped:
                tail.is_stale = False
                start = f"({tail.position}"
                reply = await self._wire.call("XRANGE", tail.stream.key, start, "+", "COUNT", BATCH)
                if reply:
                    tail.take(reply)
                    tail.is_stale |= len(reply) == BATCH
        except EventLogUnavailable as error:
            tail.fail(error)
        finally:
            tail.is_being_fetched = False

    async def _what_comes(self, tails: Mapping[bytes, Tail[Any]]) -> Sequence[tuple[bytes, Reply]]:
        """Wait for something to come to any of them, to be woken, or for some time."""
        offsets = [self._woken, *(tail.position for tail in tails.values())]
        self._is_waiting = True
        try:
            reply = await self._reading_wire.call(
                *("XREAD", "COUNT", BATCH, "BLOCK", BLOCK_MS, "STREAMS"),
                *(self._wake_key, *tails),
                *offsets,
            )
        finally:
            self._is_waiting = False
        return list((reply.items() if isinstance(reply, dict) else reply) or ())

    async def _wake(self) -> None:
        """Make the server answer whoever waits there: a stream of this process's own is read along.

        It does not matter whether that is before or after it begins to wait.
        """
        with suppress(EventLogUnavailable):  # whoever reads is told as well
            await self._wire.call(
                *("XADD", self._wake_key, "MAXLEN", "~", WAKES_KEPT, "*", "stream", "")
            )
            await self._wire.call("PEXPIRE", self._wake_key, WAKE_MS)

    async def _keep(self, now: float) -> None:
        if now > self._kept + KEEP_SECONDS:
            self._kept = now
            for tail in tuple(self._tails.values()):
                if tail.stream.keep is not None and not tail.ended:  # else it is to be forgotten
                    await tail.stream.keep()
