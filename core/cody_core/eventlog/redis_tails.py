"""The ends of streams that are followed: one connection waits for what comes to any of them.

What came last is kept, so that most who follow are served from memory; who is further behind than
that fetches it. Nobody waits for anybody else.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast

from cody_core.errors import EventLogUnavailable
from cody_core.ids import new_id
from cody_core.redis_server import RedisServer
from cody_core.schema.events import START, offset_key
from cody_core.tasks import Signal

BATCH: Final = 1000
"""Entries of a stream asked of the server at once."""
BLOCK_MS: Final = 2000
"""How long one XREAD blocks; it must be answered before the connection counts as dead."""
RECENT: Final = 2000
"""Entries of a followed stream that are kept in memory, parsed, for all its readers."""
KEEP_SECONDS: Final = 3600.0
"""How often streams that are followed are kept from expiring."""
WAKE_MS: Final = 24 * 3600 * 1000
"""How long the server remembers that a process was woken."""
FEW: Final = 8
"""So many streams are read as soon as something comes to one of them."""
PAUSE_SECONDS: Final = 0.00005
"""For each of more streams, how long is waited for others, which are then read along."""
LONGEST_PAUSE: Final = 0.01

Fields: TypeAlias = "dict[bytes, bytes]"
Reply: TypeAlias = "Sequence[tuple[bytes, Fields | None]]"


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
    """

    key: str
    parse: Callable[[str, Fields], E | None]
    is_last: Callable[[E], bool] | None = None
    keep: Callable[[], Any] | None = None

    def ends_with(self, entry: E) -> bool:
        """Tell whether nothing can follow an entry."""
        return self.is_last is not None and self.is_last(entry)

    def entries(self, reply: Reply) -> list[E]:
        """Return what the server said, without what is none of ours."""
        found = (self.parse(offset.decode(), fields) for offset, fields in reply if fields)
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
        self._floor = self._newest = offset_key(position)
        self._entries: list[E] = []
        self._keys: list[tuple[int, int]] = []
        self._wake = Signal()
        self._error: EventLogUnavailable | None = None

    def take(self, reply: Reply) -> None:
        """Take what came, and let those who wait for it have it."""
        self.position = reply[-1][0].decode()
        if not (entries := self.stream.entries(reply)):
            return
        self.ended = self.stream.ends_with(entries[-1])
        self._entries += entries
        self._keys += [offset_key(entry.offset) for entry in entries]
        if surplus := max(0, len(self._entries) - RECENT):
            self._floor = self._keys[surplus - 1]
            del self._entries[:surplus], self._keys[:surplus]
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
        return self._entries[bisect_right(self._keys, key) :]

    async def more(self, offset: str) -> None:
        """Wait until there is, or may be, something after an offset."""
        key = offset_key(offset)
        while not (self.stopped or self._error or self._newest > key):
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

    def __init__(self, server: RedisServer, tasks: asyncio.TaskGroup) -> None:
        """Build it; nothing is read before somebody follows."""
        self._server = server
        self._tasks = tasks
        self._tails: dict[bytes, Tail[Any]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._is_waiting = False
        self._wake_key = f"codex:wake:{new_id()}".encode()
        self._woken = START.encode()
        self._kept = 0.0

    @asynccontextmanager
    async def join(self, stream: Stream[E], position: str) -> AsyncIterator[Tail[E]]:
        """Follow a stream with all who do; its tail begins at that offset, or before."""
        key = stream.key.encode()
        tail: Tail[E] | None = self._tails.get(key)
        if tail is None or tail.stopped or tail.failed:
            tail = self._tails[key] = Tail(stream, position)
            self._look()
        tail.readers += 1
        try:
            yield tail
        finally:
            tail.readers -= 1
            if not tail.readers:
                tail.stop()
                if self._tails.get(key) is tail:
                    del self._tails[key]

    def close(self) -> None:
        """Stop reading; those who follow end."""
        for task in (self._reading, self._waking):
            if task is not None:
                task.cancel()
        for tail in self._tails.values():
            tail.stop()

    def _look(self) -> None:
        """See to it that what has just been added is read, too."""
        if self._reading is None or self._reading.done():
            self._reading = self._tasks.create_task(self._read())
        elif self._is_waiting:
            self._is_waiting = False  # once is enough
            self._waking = self._tasks.create_task(self._wake())

    async def _read(self) -> None:
        """Read all that is followed, until nothing more can come to any of it."""
        loop = asyncio.get_running_loop()
        self._kept = loop.time()
        try:
            while tails := {key: tail for key, tail in self._tails.items() if not tail.ended}:
                for key, batch in await self._what_comes(tails):
                    if (tail := tails.get(key)) is not None:
                        tail.take(batch)
                    else:
                        self._woken = batch[-1][0]
                await self._keep(loop.time())
                if len(tails) > FEW:
                    await asyncio.sleep(min(len(tails) * PAUSE_SECONDS, LONGEST_PAUSE))
        except EventLogUnavailable as error:
            for tail in self._tails.values():
                tail.fail(error)

    async def _what_comes(self, tails: Mapping[bytes, Tail[Any]]) -> Sequence[tuple[bytes, Reply]]:
        """Wait for something to come to any of them, to be woken, or for some time."""
        client = self._server.client
        after: dict[Any, Any] = {key: tail.position for key, tail in tails.items()}
        after[self._wake_key] = self._woken
        self._is_waiting = True
        try:
            reply = await self._server.call(lambda: client.xread(after, BATCH, BLOCK_MS))
        finally:
            self._is_waiting = False
        return cast("Sequence[tuple[bytes, Reply]]", reply)

    async def _wake(self) -> None:
        """Make the server answer whoever waits there: a stream of this process's own is read along.

        It does not matter whether that is before or after it begins to wait.
        """

        async def say() -> None:
            async with self._server.client.pipeline(transaction=False) as pipe:
                pipe.xadd(self._wake_key, {b"wake": b""}, maxlen=1, approximate=False)
                pipe.pexpire(self._wake_key, WAKE_MS)
                await pipe.execute()

        with suppress(EventLogUnavailable):  # whoever reads is told as well
            await self._server.call(say)

    async def _keep(self, now: float) -> None:
        if now > self._kept + KEEP_SECONDS:
            self._kept = now
            for tail in tuple(self._tails.values()):
                if tail.stream.keep is not None:
                    await tail.stream.keep()
