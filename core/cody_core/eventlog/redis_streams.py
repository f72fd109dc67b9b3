"""Streams of a Redis server: in one process, all who follow one share a single blocking reader.

The reader keeps what came last, so that most who follow are served from memory; who is further
behind than that fetches it. Nobody waits for anybody else.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

from cody_core.errors import EventLogUnavailable
from cody_core.redis_server import RedisServer
from cody_core.schema.events import START, offset_key
from cody_core.tasks import Signal

BATCH = 1000
"""Entries asked of the server at once."""
BLOCK_MS = 2000
"""How long one XREAD blocks; it must be answered before the connection counts as dead."""
RECENT = 2000
"""Entries of a followed stream that are kept in memory, parsed, for all its readers."""
KEEP_SECONDS = 3600.0
"""How often a stream that is followed is kept from expiring."""

Fields: TypeAlias = "dict[bytes, bytes]"
_Reply: TypeAlias = "Sequence[tuple[bytes, Fields | None]]"


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

    def entries(self, reply: _Reply) -> list[E]:
        """Return what the server said, without what is none of ours."""
        found = (self.parse(offset.decode(), fields) for offset, fields in reply if fields)
        return [entry for entry in found if entry is not None]


class Streams:
    """All streams that are followed in this process."""

    def __init__(self, server: RedisServer, tasks: asyncio.TaskGroup) -> None:
        self._server = server
        self._tasks = tasks
        self._tails: dict[str, _Tail[Any]] = {}
        self._closed = False

    async def read(
        self, stream: Stream[E], *, after: str, follow: bool
    ) -> AsyncGenerator[Sequence[E]]:
        """Yield batches; what is no longer in memory is fetched, the rest is shared.

        Raises:
            ValueError: ``after`` is no offset, or one that the server cannot hold.
        """
        if max(offset_key(after)) >= 2**63:
            msg = f"offset {after!r} is beyond any that there can be"
            raise ValueError(msg)
        position = after
        while batch := await self._range(stream, position):
            yield batch
            position = batch[-1].offset
            if follow and stream.ends_with(batch[-1]):
                return
            if len(batch) < BATCH:
                break
        else:
            if follow and position != START and await self._is_over(stream, position):
                return
        if not follow or self._closed:
            return
        async with self._tail(stream, position) as tail:
            while not tail.stopped:
                recent = tail.after(position)
                batch = await self._range(stream, position) if recent is None else recent
                if batch:
                    yield batch
                    position = batch[-1].offset
                    if stream.ends_with(batch[-1]):
                        return
                elif recent is None:
                    return  # there was more, and the server has forgotten it meanwhile
                else:
                    await tail.more(position)

    async def newest(self, stream: Stream[E]) -> E | None:
        """Return the last entry, if there is one and it is ours."""
        entries = stream.entries(await self._last(stream))
        return entries[0] if entries else None

    def close(self) -> None:
        """Stop the blocking readers; those who follow through them end."""
        self._closed = True
        for tail in self._tails.values():
            tail.stop()

    async def _range(self, stream: Stream[E], after: str) -> list[E]:
        client, start = self._server.client, f"({after}"
        reply = await self._server.call(lambda: client.xrange(stream.key, start, "+", BATCH))
        return stream.entries(cast("_Reply", reply))

    async def _last(self, stream: Stream[E]) -> _Reply:
        client = self._server.client
        reply = await self._server.call(lambda: client.xrevrange(stream.key, count=1))
        return cast("_Reply", reply)

    async def _is_over(self, stream: Stream[E], position: str) -> bool:
        """Tell whether nothing can come after an offset: it is the end, or all is forgotten."""
        if stream.is_last is None:
            return False
        reply = await self._last(stream)
        if not (last := stream.entries(reply)):
            return not reply
        is_behind = offset_key(last[0].offset) <= offset_key(position)
        return is_behind and stream.ends_with(last[0])

    @asynccontextmanager
    async def _tail(self, stream: Stream[E], position: str) -> AsyncIterator[_Tail[E]]:
        tail: _Tail[E] | None = self._tails.get(stream.key)
        if tail is None or tail.stopped or tail.failed:
            tail = self._tails[stream.key] = _Tail(position)
            tail.task = self._tasks.create_task(self._pump(stream, tail))
        tail.readers += 1
        try:
            yield tail
        finally:
            tail.readers -= 1
            if not tail.readers:
                tail.stop()
                if self._tails.get(stream.key) is tail:
                    del self._tails[stream.key]

    async def _pump(self, stream: Stream[E], tail: _Tail[E]) -> None:
        """Read one stream for all who follow it, until it ends or nobody does."""
        client, loop = self._server.client, asyncio.get_running_loop()
        kept = loop.time()
        try:
            while not tail.ended:
                reply = await self._server.call(
                    lambda: client.xread({stream.key: tail.position}, BATCH, BLOCK_MS)
                )
                for _, batch in cast("list[tuple[bytes, _Reply]]", reply):
                    tail.position = batch[-1][0].decode()
                    if entries := stream.entries(batch):
                        tail.ended = stream.ends_with(entries[-1])
                        tail.add(entries)
                if stream.keep is not None and loop.time() > kept + KEEP_SECONDS:
                    kept = loop.time()
                    await stream.keep()
        except EventLogUnavailable as error:
            tail.fail(error)


class _Tail(Generic[E]):
    """The end of a stream as its readers in this process share it."""

    def __init__(self, position: str) -> None:
        self.position = position
        self.readers = 0
        self.ended = False
        self.stopped = False
        self.task: asyncio.Task[None] | None = None
        self._floor = self._newest = offset_key(position)
        self._entries: list[E] = []
        self._keys: list[tuple[int, int]] = []
        self._wake = Signal()
        self._error: EventLogUnavailable | None = None

    def add(self, entries: Sequence[E]) -> None:
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
        self.stopped = True
        if self.task is not None:
            self.task.cancel()
        self._wake.send()

    def fail(self, error: EventLogUnavailable) -> None:
        self._error = error
        self._wake.send()
