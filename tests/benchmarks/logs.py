"""The event logs: events a second, written by one and read by one follower at the same time.

The time runs from the first append until the follower has the terminal event, and it reads every
payload. The bare ways do the same with what is below the log: a list or a queue for the memory
log, XADD and XREAD of bytes for Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import cast

import redis.asyncio
from cody_core.eventlog import EventLog
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.eventlog.redis import RedisEventLog
from cody_core.eventlog.writer import LogWriter
from cody_core.ids import new_id
from cody_core.schema.events import Entry, Event, ItemDelta, ItemStart, ResponseDone
from support.shapes import events, started

from benchmarks.servers import redis_server
from benchmarks.table import Table
from benchmarks.timing import quiet_gc

RUNS = 3
MANY = 10_000
FEW = 3_000
"""Events where each of them waits for a round trip."""
BATCH = 100

Write = Callable[[EventLog, str, Sequence[Event]], Awaitable[None]]
Look = Callable[[Entry], object]


def tables() -> Iterator[Table]:
    """Measure; see the module."""
    yield asyncio.run(_memory())
    with redis_server("logs") as url:
        if url is not None:
            yield asyncio.run(_redis(url))


def _table(log: str) -> Table:
    return Table(f"event log, {log}", "way", "events/s", "µs/event", "times its bare way")


async def _memory() -> Table:
    table = _table("memory")
    bare = await _best(MANY, _through_a_list)
    table.add("bare: a list, then read", 1 / bare, bare * 1e6, 1.0)
    queued = await _best(MANY, _through_a_queue)
    table.add("bare: asyncio.Queue, a loop turn per event", 1 / queued, queued * 1e6, 1.0)
    for label, write in _WRITERS.items():
        log = MemoryEventLog()
        cost = await _best(MANY, _through(log, write))
        await log.aclose()
        by_turn = write in (_one_by_one, _by_writer_in_turns)
        table.add(label, 1 / cost, cost * 1e6, cost / (queued if by_turn else bare))
    return table


async def _redis(url: str) -> Table:
    table = _table("Redis")
    async with redis.asyncio.Redis.from_url(url, socket_timeout=None) as client:
        single = await _best(FEW, _through_xadd(client, 1))
        table.add("bare: XADD, one at a time", 1 / single, single * 1e6, 1.0)
        piped = await _best(MANY, _through_xadd(client, BATCH))
        table.add(f"bare: pipelines of {BATCH} XADD", 1 / piped, piped * 1e6, 1.0)
    async with RedisEventLog.open(url) as log:
        for label, write in _WRITERS.items():
            alone = write is _one_by_one
            cost = await _best(FEW if alone else MANY, _through(log, write))
            table.add(label, 1 / cost, cost * 1e6, cost / (single if alone else piped))
        cost = await _best(MANY, _through(log, _in_batches, _bytes_of))
        table.add(f"append, {BATCH} each, bytes read", 1 / cost, cost * 1e6, cost / piped)
    return table


async def _best(count: int, way: Callable[[Sequence[Event]], Awaitable[None]]) -> float:
    """Return the seconds an event took in the fastest of some runs."""
    costs = []
    for _ in range(RUNS):
        run = _run_of(count)
        with quiet_gc():
            began = time.perf_counter()
            await way(run)
            costs.append((time.perf_counter() - began) / count)
    return min(costs)


def _run_of(count: int) -> list[Event]:
    run_id = new_id()
    opening = (started(run_id), ItemStart(item_id="m1", item_type="message"))
    end = ResponseDone(response_id=run_id, status="complete")
    deltas = [
        ItemDelta(item_id="m1", delta_content=" token") for _ in range(count - len(opening) - 1)
    ]
    return events(*opening, *deltas, end, run_id=run_id)


def _payload_of(entry: Entry) -> object:
    return entry.payload


def _bytes_of(entry: Entry) -> object:
    return entry.data


def _through(
    log: EventLog, write: Write, look: Look = _payload_of
) -> Callable[[Sequence[Event]], Awaitable[None]]:
    """Return the way through a log."""

    async def way(run: Sequence[Event]) -> None:
        run_id = run[0].run_id
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_follow(log, run_id, len(run), look))
            await asyncio.sleep(0)
            await write(log, run_id, run)

    return way


async def _follow(log: EventLog, run_id: str, count: int, look: Look) -> None:
    seen = 0
    async with aclosing(log.read(run_id)) as batches:
        async for batch in batches:
            for entry in batch:
                look(entry)
            seen += len(batch)
    assert seen == count


async def _one_by_one(log: EventLog, run_id: str, run: Sequence[Event]) -> None:
    for event in run:
        await log.append(run_id, [event])
        await asyncio.sleep(0)


async def _in_batches(log: EventLog, run_id: str, run: Sequence[Event]) -> None:
    for at in range(0, len(run), BATCH):
        await log.append(run_id, run[at : at + BATCH])
        await asyncio.sleep(0)


async def _by_writer(log: EventLog, run_id: str, run: Sequence[Event]) -> None:
    async with LogWriter.open(log, run_id) as out:
        for event in run:
            await out.put(event)


async def _by_writer_in_turns(log: EventLog, run_id: str, run: Sequence[Event]) -> None:
    async with LogWriter.open(log, run_id) as out:
        for event in run:
            await out.put(event)
            await asyncio.sleep(0)


_WRITERS: dict[str, Write] = {
    "append, one event each": _one_by_one,
    f"append, {BATCH} events each": _in_batches,
    "LogWriter, flat out": _by_writer,
    "LogWriter, a loop turn per event": _by_writer_in_turns,
}
"""The loop gets a turn between appends, as it does when a provider's bytes are waited for."""


async def _through_a_list(run: Sequence[Event]) -> None:
    entries: list[Event] = []
    for event in run:
        entries.append(event)
    for event in entries:
        _ = event.payload


async def _through_a_queue(run: Sequence[Event]) -> None:
    queue: asyncio.Queue[Event] = asyncio.Queue()

    async def read() -> None:
        while not (await queue.get()).is_terminal:
            pass

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        for event in run:
            queue.put_nowait(event)
            await asyncio.sleep(0)


def _through_xadd(
    client: redis.asyncio.Redis, batch: int
) -> Callable[[Sequence[Event]], Awaitable[None]]:
    """Return the way through a bare stream; what is sent is serialised on the way, as by a log."""

    async def way(run: Sequence[Event]) -> None:
        key = f"bare:{run[0].run_id}"
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_xread(client, key, len(run)))
            await asyncio.sleep(0)
            for at in range(0, len(run), batch):
                await _xadd(client, key, run[at : at + batch])

    return way


async def _xadd(client: redis.asyncio.Redis, key: str, run: Sequence[Event]) -> None:
    if len(run) == 1:
        await client.xadd(key, {"event": run[0].to_json()})
        return
    async with client.pipeline(transaction=False) as pipe:
        for event in run:
            pipe.xadd(key, {"event": event.to_json()})
        await pipe.execute()


async def _xread(client: redis.asyncio.Redis, key: str, count: int) -> None:
    seen, position = 0, b"0-0"
    while seen < count:
        reply = await client.xread({key: position}, count=1000, block=2000)
        for _, entries in cast("list[tuple[bytes, list[tuple[bytes, object]]]]", reply):
            seen += len(entries)
            position = entries[-1][0]
