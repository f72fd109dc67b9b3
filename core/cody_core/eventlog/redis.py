"""The event log on Redis Streams, shared by any number of processes.

A run is the stream ``codex:run:{run_id}:events``, one field ``event`` per entry with the event's
JSON, and beside it the hash ``codex:run:{run_id}:meta``, which says whether the run has ended and
what each writer wrote last. A script appends to both at once. That is what makes an append that is
sent again after a broken connection land once, and what refuses what follows the terminal event.

The same script says in the stream ``codex:news`` that a run begins or has ended, and announces a
run that workers are to take in the stream ``codex:runs``: none of it happens without the others.
What somebody else adds to a run is said to the process that works on it, in a stream of that one.

A run is forgotten some time after its end is stored. One that lost its writers before that could be
done is forgotten when nobody has written to it, or followed it, for a week.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast
from weakref import WeakValueDictionary

from cody_core.errors import AppendedBefore, EventLogUnavailable, RunClosed, TooManyRuns
from cody_core.eventlog import Beginning
from cody_core.eventlog.redis_streams import Streams
from cody_core.eventlog.redis_tails import Fields, Stream
from cody_core.eventlog.redis_wire import Argument, Script, Wire
from cody_core.ids import new_id
from cody_core.redis_server import PATIENCE_SECONDS, RedisServer
from cody_core.schema.events import START, Entry, Event, ResponseStart
from cody_core.schema.news import RunEnd, RunNews, run_end
from cody_core.tasks import task_group

NEWS = "codex:news"
NEWS_KEPT = 10_000
"""How much word of runs is kept, about."""
WORK = "codex:runs"
LEASE_MS = 7 * 24 * 3600 * 1000
"""How long a run stays that nobody writes to or follows, whatever became of it."""

_APPEND = (
    f"local lease, kept = '{LEASE_MS}', '{NEWS_KEPT}'"
    + """
local meta = redis.call('HMGET', KEYS[2], ARGV[1], 'ended', 'worker', 'last')
if meta[1] then
  local batch, first, last = string.match(meta[1], '^(%d+) (%S+) (%S+)$')
  if batch == ARGV[2] then
    local ids = {''}
    local entries = redis.call('XRANGE', KEYS[1], first, last)
    for at, entry in ipairs(entries) do ids[at + 1] = entry[1] end
    return ids
  end
  if tonumber(batch) > tonumber(ARGV[2]) then return {'stale'} end
end
if meta[2] then return {'ended'} end
if not meta[4] and ARGV[5] == '' and ARGV[9] == '0' then return {'unknown'} end
if ARGV[7] ~= '' and redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[8]) then
  return {'full'}
end
if ARGV[3] ~= '' and redis.call('HSETNX', KEYS[2], 'once:' .. ARGV[3], '1') == 0 then
  return {'before'}
end
local ids = {meta[4] or ''}
for at = 10, #ARGV do ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'event', ARGV[at]) end
local batch = ARGV[2] .. ' ' .. ids[2] .. ' ' .. ids[#ids]
redis.call('HSET', KEYS[2], ARGV[1], batch, 'last', ids[#ids])
if meta[3] and meta[3] ~= ARGV[1] then
  local wake = 'codex:wake:' .. meta[3]
  redis.call('XADD', wake, 'MAXLEN', '~', kept, '*', 'stream', KEYS[1])
  redis.call('PEXPIRE', wake, lease)
end
local function say(thread, ...)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', kept, '*', 'run', ARGV[4], 'thread', thread, ...)
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[2], 'thread', ARGV[5])
  say(ARGV[5])
end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[2], 'ended', '1')
  local thread = redis.call('HGET', KEYS[2], 'thread')
  if thread then say(thread, 'status', ARGV[6]) end
end
if ARGV[7] ~= '' then redis.call('XADD', KEYS[4], '*', 'run', ARGV[7]) end
redis.call('PEXPIRE', KEYS[1], lease)
redis.call('PEXPIRE', KEYS[2], lease)
return ids
"""
)
"""Appends a batch and returns its offsets, behind that of what came before it, where that is known.

Its arguments are: writer, number of the batch, what counts once, run, its thread where it begins,
its status where it ends, what workers are to take, how much there may be of that, whether the
writer works on the run, and then the events. A batch is written by one call, and calls do not
interleave, so its entries stand together.

The numbers of a writer rise. One that is lower than its last comes late, by a connection that was
given up: it has been sent again, or counts no more. Where a run is not there, most likely because
it is forgotten, only its beginning is appended; but if the server has lost it, who works on it goes
on, so that it comes to its end.
"""

_BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('HEXISTS', KEYS[2], 'ended') == 1 then return 'ended' end
if redis.call('HSETNX', KEYS[2], 'worker', ARGV[1]) == 1 then
  redis.call('HSET', KEYS[2], 'attempt', ARGV[2])
  return 'first'
end
if redis.call('HGET', KEYS[2], 'attempt') == ARGV[2] then return 'first' end
return 'begun'
"""
"""Notes which writer works on a run, and at which attempt, and returns how it was found."""


def stream_key(run_id: str) -> str:
    """Return the key of a run's stream."""
    return f"codex:run:{run_id}:events"


def meta_key(run_id: str) -> str:
    """Return the key of the hash beside a run's stream."""
    return f"codex:run:{run_id}:meta"


@dataclass(frozen=True, slots=True)
class Work:
    """What workers are to take, unless they have ``limit`` runs to do."""

    data: str
    limit: int


class RedisEventLog:
    """See ``EventLog`` for what each method promises. Opened with ``open``, or over a server."""

    def __init__(self, server: RedisServer, tasks: asyncio.TaskGroup) -> None:
        self.server = server
        self._wire = Wire(server)
        self._writer = f"writer:{new_id()}"
        self._streams = Streams(server, self._wire, tasks, f"codex:wake:{self._writer}")
        self._append = Script(server, self._wire, _APPEND)
        self._begin = Script(server, self._wire, _BEGIN)
        # Counted over all runs: a run that was expired here may still remember our last number.
        self._numbers = itertools.count(1)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def trouble(self) -> str | None:
        """Why the server is waited for; ``None`` where it answers."""
        return self.server.trouble

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, patience: float = PATIENCE_SECONDS
    ) -> AsyncIterator[RedisEventLog]:
        """Connect; see ``RedisServer.open``."""
        async with RedisServer.open(url, patience=patience) as server, task_group() as tasks:
            log = cls(server, tasks)
            try:
                yield log
            finally:
                await log.aclose()

    async def append(
        self,
        run_id: str,
        events: Sequence[Event],
        *,
        once: str | None = None,
        work: Work | None = None,
    ) -> Sequence[str]:
        """Append; what was sent when the connection broke is sent again, once.

        What others append meanwhile shares the round trip.

        ``work`` is what workers find in their queue, from the same moment on.

        Raises:
            TooManyRuns: they have enough of it.
        """
        if not events:
            return []
        if any(event.is_terminal for event in events[:-1]):
            raise _closed(run_id)
        # The script remembers one batch per writer: they must not overtake.
        lock = self._locks.setdefault(run_id, asyncio.Lock())
        async with lock:
            keys = [stream_key(run_id), meta_key(run_id), NEWS, WORK]
            data = [event.to_json() for event in events]
            args: list[Argument] = [
                *(self._writer, next(self._numbers), once or "", run_id),
                *(_begun(events[0]), run_end(events[-1].payload) or ""),
                *((work.data, work.limit) if work is not None else ("", 0)),
                int(self._streams.tails.owns(keys[0])),
                *data,
            ]
            previous, *offsets = [said.decode() for said in await self._append.run(keys, args)]
        if previous == "before":
            msg = f"{once!r} was appended to run {run_id!r} already"
            raise AppendedBefore(msg)
        if previous == "ended":
            raise _closed(run_id)
        if previous == "unknown":
            msg = f"run {run_id!r} is not in the log, or no more, and does not begin with that"
            raise RunClosed(msg)
        if previous == "stale":
            msg = f"what was appended to run {run_id!r} came too late: more has been since"
            raise EventLogUnavailable(msg)
        if previous == "full" and work is not None:
            raise TooManyRuns.of(work.limit)
        self._streams.tails.added(
            keys[0],
            previous,
            [
                Entry(offset, event=event, data=line)
                for offset, event, line in zip(offsets, events, data, strict=True)
            ],
        )
        if events[-1].is_terminal:
            self._streams.tails.disown(keys[0])
        return offsets

    def append_now(self, run_id: str, events: Sequence[Event]) -> None:
        """Return nothing: there is a server to be waited for."""

    def read(
        self, run_id: str, *, after: str = START, follow: bool = True
    ) -> AsyncGenerator[Sequence[Entry]]:
        """Yield batches of events; see ``EventLog.read``."""

        async def keep() -> None:
            await self._expire(run_id, LEASE_MS)

        stream = Stream(stream_key(run_id), _entry, _is_terminal, keep, Entry.deflate)
        return self._streams.read(stream, after=after, follow=follow)

    async def begin(self, run_id: str, attempt: str) -> Beginning:
        """Note who works on the run, and tell how it was found."""
        keys = [stream_key(run_id), meta_key(run_id)]
        found = await self._begin.run(keys, [self._writer, attempt])
        if found == b"first":
            self._streams.tails.own(keys[0])
        return cast("Beginning", found.decode())

    async def exists(self, run_id: str) -> bool:
        """Tell whether the run has any event in the log."""
        return bool(await self._wire.call("EXISTS", stream_key(run_id)))

    async def expire(self, run_id: str, *, seconds: float) -> None:
        """Let the server forget the run after that time."""
        self._streams.tails.disown(stream_key(run_id))
        await self._expire(run_id, max(1, int(seconds * 1000)))

    def news(self, *, after: str, follow: bool = True) -> AsyncGenerator[Sequence[RunNews]]:
        """Yield batches of word of runs; see ``EventLog.news``."""
        return self._streams.read(_NEWS, after=after, follow=follow)

    async def newest(self) -> str:
        """Return the offset of the newest word of a run."""
        word = await self._streams.newest(_NEWS)
        return START if word is None else word.offset

    async def aclose(self) -> None:
        """Stop reading and writing; those who follow end."""
        self._streams.close()
        self._wire.close()

    async def _expire(self, run_id: str, milliseconds: int) -> None:
        for key in (stream_key(run_id), meta_key(run_id)):
            await self._wire.call("PEXPIRE", key, milliseconds)


def _closed(run_id: str) -> RunClosed:
    return RunClosed(f"run {run_id!r} has ended: nothing can follow its terminal event")


def _begun(event: Event) -> str:
    """Return the thread of the run that an event begins, if it begins one."""
    return event.payload.thread_id if isinstance(event.payload, ResponseStart) else ""


def _entry(offset: str, fields: Fields) -> Entry | None:
    data = fields.get(b"event")
    return None if data is None else Entry(offset, data=data)


def _is_terminal(entry: Entry) -> bool:
    return entry.is_terminal


def _word(offset: str, fields: Fields) -> RunNews | None:
    run, thread, status = (
        fields.get(name, b"").decode() for name in (b"run", b"thread", b"status")
    )
    if not run or not thread:
        return None
    return RunNews(offset, run, thread, cast("RunEnd", status) if status else None)


_NEWS = Stream(NEWS, _word)
