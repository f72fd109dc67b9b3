"""The event log on Redis Streams, shared by any number of processes.

A run is the stream ``codex:run:{run_id}:events``, one field ``event`` per entry with the event's
JSON, and beside it the hash ``codex:run:{run_id}:meta``, which says whether the run has ended and
what each writer wrote last. A script appends to both at once. That is what makes an append that is
sent again after a broken connection land once, and what refuses what follows the terminal event.

In one process, all who follow a run share one blocking reader, and the parsed events it keeps for
a while.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias, TypeVar, cast

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from cody_core.errors import AppendedBefore, EventLogUnavailable, RunClosed, SettingsError
from cody_core.ids import new_id
from cody_core.schema.events import START, Entry, Event, offset_key
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 1000
"""Entries asked of the server at once."""
BLOCK_MS = 2000
"""How long one XREAD blocks; it must be answered before the connection counts as dead."""
SILENCE_SECONDS = 10.0
"""How long the server may owe us an answer before the connection counts as dead."""
RECENT = 2000
"""Entries of a followed run that are kept in memory, parsed, for all its readers."""
MAX_CONNECTIONS = 4096
"""One per followed run and a few more; the pool refuses rather than waits when it is full."""

_TRANSIENT = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)

_APPEND = """
local meta = redis.call('HMGET', KEYS[2], ARGV[1], 'ended')
if meta[1] then
  local batch, first, last = string.match(meta[1], '^(%d+) (%S+) (%S+)$')
  if batch == ARGV[2] then
    local ids = {}
    local entries = redis.call('XRANGE', KEYS[1], first, last)
    for at, entry in ipairs(entries) do ids[at] = entry[1] end
    return ids
  end
end
if meta[2] then return {'ended'} end
if ARGV[4] ~= '' and redis.call('HSETNX', KEYS[2], 'once:' .. ARGV[4], '1') == 0 then
  return {'before'}
end
local ids = {}
for at = 5, #ARGV do ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'event', ARGV[at]) end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. ids[1] .. ' ' .. ids[#ids])
if ARGV[3] == '1' then redis.call('HSET', KEYS[2], 'ended', '1') end
return ids
"""
"""Writer, batch number, whether the last event is terminal, what counts once, events; offsets.

A batch is written by one call, and calls do not interleave, so its entries stand together.
"""


def stream_key(run_id: str) -> str:
    """Return the key of a run's stream."""
    return f"codex:run:{run_id}:events"


def meta_key(run_id: str) -> str:
    """Return the key of the hash beside a run's stream."""
    return f"codex:run:{run_id}:meta"


class RedisEventLog:
    """See ``EventLog`` for what each method promises. Opened with ``open``."""

    trouble: str | None = None

    def __init__(
        self, client: redis.asyncio.Redis, tasks: asyncio.TaskGroup, *, patience: float
    ) -> None:
        self.client = client
        self._tasks = tasks
        self._patience = patience
        self._script = client.register_script(_APPEND)
        self._writer = f"writer:{new_id()}"
        # Counted over all runs: a run that was expired here may still remember our last number.
        self._numbers = itertools.count(1)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tails: dict[str, _Tail] = {}
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, patience: float = 30.0) -> AsyncIterator[RedisEventLog]:
        """Connect; ``patience`` is how many seconds an unreachable server is waited for.

        Raises:
            SettingsError: the URL is malformed.
            EventLogUnavailable: there is no server, or it refuses us; checked before this returns.
        """
        client = _connect(url)
        try:
            async with task_group() as tasks:
                log = cls(client, tasks, patience=patience)
                await log.call(client.ping, patience=0)
                try:
                    yield log
                finally:
                    await log.aclose()
        finally:
            await client.aclose()

    async def append(
        self, run_id: str, events: Sequence[Event], *, once: str | None = None
    ) -> Sequence[str]:
        """Append in one round trip; what was sent when the connection broke is sent again, once."""
        if not events:
            return []
        if not any(event.is_terminal for event in events[:-1]):
            # The script remembers one batch per writer: they must not overtake.
            async with self._locks[run_id]:
                number = next(self._numbers)
                keys = [stream_key(run_id), meta_key(run_id)]
                end = int(events[-1].is_terminal)
                data = [event.to_json() for event in events]
                head: list[str | int | bytes] = [self._writer, number, end, once or ""]
                args = [*head, *data]
                offsets = await self.call(lambda: self._script(keys=keys, args=args))
            if offsets == [b"before"]:
                msg = f"{once!r} was appended to run {run_id!r} already"
                raise AppendedBefore(msg)
            if offsets != [b"ended"]:
                return [offset.decode() for offset in offsets]
        msg = f"run {run_id!r} has ended: nothing can follow its terminal event"
        raise RunClosed(msg)

    async def read(
        self, run_id: str, *, after: str = START, follow: bool = True
    ) -> AsyncGenerator[Sequence[Entry]]:
        """Yield batches; what is no longer in memory is fetched, the rest is shared."""
        if max(offset_key(after)) >= 2**63:  # the server would refuse it as no id of a stream
            msg = f"offset {after!r} is beyond any that there can be"
            raise ValueError(msg)
        position = after
        while batch := await self._range(run_id, position):
            yield batch
            position = batch[-1].offset
            if follow and batch[-1].is_terminal:
                return
            if len(batch) < BATCH:
                break
        else:
            if follow and position != START and await self._is_over(run_id, position):
                return
        if not follow or self._closed:
            return
        async with self._tail(run_id, position) as tail:
            while not tail.stopped:
                recent = tail.after(position)
                batch = await self._range(run_id, position) if recent is None else recent
                if batch:
                    yield batch
                    position = batch[-1].offset
                    if batch[-1].is_terminal:
                        return
                elif recent is None:
                    return  # there was more, and the server has forgotten the run meanwhile
                else:
                    await tail.more(position)

    async def exists(self, run_id: str) -> bool:
        """Tell whether the run has any event in the log."""
        return bool(await self.call(lambda: self.client.exists(stream_key(run_id))))

    async def expire(self, run_id: str, *, seconds: float) -> None:
        """Let the server forget the run after that time."""
        milliseconds = max(1, int(seconds * 1000))

        async def both() -> None:
            async with self.client.pipeline(transaction=True) as pipe:
                for key in (stream_key(run_id), meta_key(run_id)):
                    pipe.pexpire(key, milliseconds)
                await pipe.execute()

        await self.call(both)
        self._locks.pop(run_id, None)

    async def aclose(self) -> None:
        """Stop the blocking readers; those who follow through them end."""
        self._closed = True
        for tail in self._tails.values():
            tail.stop()

    async def _range(self, run_id: str, after: str) -> list[Entry]:
        reply = await self.call(
            lambda: self.client.xrange(stream_key(run_id), f"({after}", "+", count=BATCH)
        )
        return _entries(cast("_Reply", reply))

    async def _is_over(self, run_id: str, position: str) -> bool:
        """Tell whether nothing can come after an offset: it is the end, or the run is forgotten."""
        reply = await self.call(lambda: self.client.xrevrange(stream_key(run_id), count=1))
        last = _entries(cast("_Reply", reply))
        if not last:
            return not reply
        return last[0].is_terminal and offset_key(last[0].offset) <= offset_key(position)

    @asynccontextmanager
    async def _tail(self, run_id: str, position: str) -> AsyncIterator[_Tail]:
        tail = self._tails.get(run_id)
        if tail is None or tail.stopped or tail.failed:
            tail = self._tails[run_id] = _Tail(position)
            tail.task = self._tasks.create_task(self._pump(run_id, tail))
        tail.readers += 1
        try:
            yield tail
        finally:
            tail.readers -= 1
            if not tail.readers:
                tail.stop()
                if self._tails.get(run_id) is tail:
                    del self._tails[run_id]

    async def _pump(self, run_id: str, tail: _Tail) -> None:
        """Read one run for all who follow it, until it ends or nobody does."""
        key = stream_key(run_id)
        try:
            while not tail.ended:
                reply = await self.call(
                    lambda: self.client.xread({key: tail.position}, count=BATCH, block=BLOCK_MS)
                )
                for _, batch in cast("list[tuple[bytes, _Reply]]", reply):
                    tail.position = batch[-1][0].decode()
                    if entries := _entries(batch):
                        tail.add(entries)
        except EventLogUnavailable as error:
            tail.fail(error)

    async def call(
        self, command: Callable[[], Awaitable[T]], *, patience: float | None = None
    ) -> T:
        """Run a command, again after a pause while the server is away."""
        loop = asyncio.get_running_loop()
        limit = self._patience if patience is None else patience
        deadline, pause = loop.time() + limit, 0.02
        while True:
            try:
                # Not the client's own read timeout: it can swallow a cancellation.
                async with asyncio.timeout(SILENCE_SECONDS):
                    answer = await command()
            except AuthenticationError as error:
                msg = "the Redis server of REDIS_URL refuses our credentials"
                raise EventLogUnavailable(msg) from error
            except _TRANSIENT as error:
                self.trouble = f"the Redis server of REDIS_URL cannot be reached: {_reason(error)}"
                if loop.time() + pause > deadline:
                    raise EventLogUnavailable(self.trouble) from error
                logger.debug("Redis is away, trying again: %s", type(error).__name__)
            except RedisError as error:
                msg = f"the Redis server of REDIS_URL failed: {_reason(error)}"
                raise EventLogUnavailable(msg) from error
            else:
                self.trouble = None
                return answer
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 1.0)


class _Tail:
    """The end of a run as its readers in this process share it."""

    def __init__(self, position: str) -> None:
        self.position = position
        self.readers = 0
        self.ended = False
        self.stopped = False
        self.task: asyncio.Task[None] | None = None
        self._floor = self._newest = offset_key(position)
        self._entries: list[Entry] = []
        self._keys: list[tuple[int, int]] = []
        self._wake = asyncio.Event()
        self._error: EventLogUnavailable | None = None

    def add(self, entries: Sequence[Entry]) -> None:
        self._entries += entries
        self._keys += [offset_key(entry.offset) for entry in entries]
        if surplus := max(0, len(self._entries) - RECENT):
            self._floor = self._keys[surplus - 1]
            del self._entries[:surplus], self._keys[:surplus]
        self._newest = self._keys[-1]
        self.ended = entries[-1].is_terminal
        self._notify()

    def after(self, offset: str) -> list[Entry] | None:
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
        self._notify()

    def fail(self, error: EventLogUnavailable) -> None:
        self._error = error
        self._notify()

    def _notify(self) -> None:
        wake, self._wake = self._wake, asyncio.Event()
        wake.set()


def _connect(url: str) -> redis.asyncio.Redis:
    try:
        return redis.asyncio.Redis.from_url(
            url,
            socket_timeout=None,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
            max_connections=MAX_CONNECTIONS,
            health_check_interval=0,
        )
    except ValueError as error:
        msg = "REDIS_URL must look like redis://host:6379/0, rediss://… or unix:///path"
        raise SettingsError(msg) from error


_Reply: TypeAlias = Sequence[tuple[bytes, dict[bytes, bytes] | None]]


def _entries(reply: _Reply) -> list[Entry]:
    return [
        Entry(offset.decode(), data=fields[b"event"])
        for offset, fields in reply
        if fields and b"event" in fields
    ]


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
