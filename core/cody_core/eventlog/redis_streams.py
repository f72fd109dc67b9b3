"""Streams of a Redis server: what is there is fetched, what comes is read once for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from cody_core.eventlog.redis_tails import BATCH, E, Reply, Stream, Tails
from cody_core.eventlog.redis_wire import Wire
from cody_core.redis_server import RedisServer
from cody_core.schema.events import START, offset_key


class Streams:
    """All streams that are followed in this process."""

    def __init__(
        self, server: RedisServer, wire: Wire, tasks: asyncio.TaskGroup, wake_key: str
    ) -> None:
        self._wire = wire
        self.tails = Tails(server, wire, tasks, wake_key)
        self._closed = False

    async def read(
        self, stream: Stream[E], *, after: str, follow: bool
    ) -> AsyncGenerator[Sequence[E]]:
        """Yield batches; what is no longer in memory is fetched, the rest is shared.

        The stream need not have come to the offset: what comes up to it is passed over.

        Raises:
            ValueError: ``after`` is no offset, or one that the server cannot hold.
        """
        if max(offset_key(after)) >= 2**63:
            msg = f"offset {after!r} is beyond any that there can be"
            raise ValueError(msg)
        position = start = after
        while batch := await self._range(stream, position):
            yield batch
            position = start = batch[-1].offset
            if follow and stream.ends_with(batch[-1]):
                return
            if len(batch) < BATCH:
                break
        else:
            if follow and position != START:
                last = await self._last(stream)
                if _is_over(stream, position, last):
                    return
                reached = last[0][0].decode() if last else START
                start = min(position, reached, key=offset_key)
        if not follow or self._closed:
            return
        async with self.tails.join(stream, start) as tail:
            while not tail.stopped:
                recent = tail.after(position)
                batch = await self._range(stream, position) if recent is None else recent
                if batch:
                    yield batch
                    position = batch[-1].offset
                    if stream.ends_with(batch[-1]):
                        return
                elif recent is None or tail.ended:
                    return  # the end is behind us, or the server has forgotten what there was
                else:
                    await tail.more(position)

    async def newest(self, stream: Stream[E]) -> E | None:
        """Return the last entry, if there is one and it is ours."""
        entries = stream.entries(await self._last(stream))
        return entries[0] if entries else None

    def close(self) -> None:
        """Stop reading; those who follow through them end."""
        self._closed = True
        self.tails.close()

    async def _range(self, stream: Stream[E], after: str) -> list[E]:
        reply = await self._wire.call("XRANGE", stream.key, f"({after}", "+", "COUNT", BATCH)
        return stream.entries(reply)

    async def _last(self, stream: Stream[E]) -> Reply:
        reply: Reply = await self._wire.call("XREVRANGE", stream.key, "+", "-", "COUNT", 1)
        return reply


def _is_over(stream: Stream[E], position: str, last: Reply) -> bool:
    """Tell whether nothing can come after an offset: it is the end, or all is forgotten."""
    if stream.is_last is None:
        return False
    if not (entries := stream.entries(last)):
        return not last
    is_behind = offset_key(entries[0].offset) <= offset_key(position)
    return is_behind and stream.ends_with(entries[0])
