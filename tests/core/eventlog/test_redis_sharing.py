"""How runs on Redis share connections: one reads, one writes, whatever the number of runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TypeVar

import pytest
import redis.asyncio
from cody_core.errors import EventLogUnavailable
from cody_core.eventlog import redis as redis_module
from cody_core.eventlog import redis_tails
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id
from cody_core.schema.events import Entry, ItemDelta, ResponseDone
from cody_core.tasks import task_group
from support.redis import RedisServer
from support.shapes import events, started

T = TypeVar("T")
AHEAD = "99999999999999-0"
"""An offset that no run will come to for a while."""


@pytest.fixture
def run_id() -> str:
    return new_id()


async def test_all_readers_of_a_process_share_one_blocking_connection(
    redis_server: RedisServer, run_id: str
) -> None:
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(RedisEventLog.open(redis_server.url))
        client = await stack.enter_async_context(redis.asyncio.Redis.from_url(redis_server.url))
        await log.append(run_id, events(started(run_id), run_id=run_id))
        readers = [log.read(run_id) for _ in range(20)]
        waiting = [anext(reader) for reader in readers]
        await asyncio.gather(*waiting)
        async with task_group() as tasks:
            blocked = [tasks.create_task(_drain(reader)) for reader in readers]
            async with asyncio.timeout(10):
                while not (found := await _blocked(client)):
                    await asyncio.sleep(0.001)
            assert found == 1
            end = events(ResponseDone(response_id=run_id, status="complete"), run_id=run_id)
            await log.append(run_id, end)
        assert [task.result() for task in blocked] == [1] * 20


async def test_many_runs_are_written_and_followed_over_few_connections(
    redis_server: RedisServer,
) -> None:
    runs = [new_id() for _ in range(100)]
    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
        asyncio.timeout(20),
    ):
        before = (await client.info("clients"))["connected_clients"]
        async with task_group() as tasks:
            for run_id in runs:
                tasks.create_task(log.append(run_id, events(started(run_id), run_id=run_id)))
        readers = [log.read(run_id) for run_id in runs]
        for reader in readers:
            await anext(reader)
        end = [ResponseDone(response_id=run_id, status="complete") for run_id in runs]
        async with task_group() as tasks:
            following = [tasks.create_task(_drain(reader)) for reader in readers]
            while not (await client.info("clients"))["blocked_clients"]:
                await asyncio.sleep(0.001)
            for run_id, done in zip(runs, end, strict=True):
                tasks.create_task(log.append(run_id, events(done, run_id=run_id)))
        assert [task.result() for task in following] == [1] * len(runs)
        # One to write, one to wait, one to fetch what there was, one to wake who waits.
        assert (await client.info("clients"))["connected_clients"] <= before + 4


async def test_what_is_followed_later_is_read_along_at_once(redis_server: RedisServer) -> None:
    first, second = new_id(), new_id()
    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
        asyncio.timeout(redis_tails.BLOCK_MS / 1000),
    ):
        for run_id in (first, second):
            await log.append(run_id, events(started(run_id), run_id=run_id))
        async with aclosing(log.read(first)) as one, aclosing(log.read(second)) as two:
            await anext(one)
            async with task_group() as tasks:
                waiting = tasks.create_task(_next(one))
                while not (await client.info("clients"))["blocked_clients"]:
                    await asyncio.sleep(0.001)
                await anext(two)
                later = tasks.create_task(_next(two))
                done = ResponseDone(response_id=second, status="complete")
                await log.append(second, events(done, run_id=second))
                await later
                waiting.cancel()


async def test_what_others_add_to_a_run_that_is_worked_on_here_is_read_at_once(
    redis_server: RedisServer, run_id: str
) -> None:
    async with (
        RedisEventLog.open(redis_server.url) as here,
        RedisEventLog.open(redis_server.url) as there,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
        asyncio.timeout(redis_tails.BLOCK_MS / 1000),
    ):
        await here.append(run_id, events(started(run_id), run_id=run_id))
        assert await here.begin(run_id, "a") == "first"
        async with aclosing(here.read(run_id)) as reader, task_group() as tasks:
            await anext(reader)
            following = tasks.create_task(_drain(reader))
            while not await _blocked(client):
                await asyncio.sleep(0.001)
            done = ResponseDone(response_id=run_id, status="complete")
            await there.append(run_id, events(done, run_id=run_id))
            assert await following == 1


async def test_what_is_added_here_and_elsewhere_is_read_in_the_order_it_is_in(
    redis_server: RedisServer, run_id: str
) -> None:
    delta = ItemDelta(item_id="a", delta_content="x")
    async with (
        RedisEventLog.open(redis_server.url) as here,
        RedisEventLog.open(redis_server.url) as there,
        asyncio.timeout(20),
    ):
        await here.append(run_id, events(started(run_id), run_id=run_id))

        async def add(log: RedisEventLog) -> None:
            for _ in range(100):
                await log.append(run_id, events(delta, delta, run_id=run_id))

        async def offsets(log: RedisEventLog) -> list[str]:
            return [entry.offset async for batch in log.read(run_id) for entry in batch]

        async with task_group() as tasks:
            reading = [tasks.create_task(offsets(log)) for log in (here, there)]
            adding = [tasks.create_task(add(log)) for log in (here, there)]
            assert await here.begin(run_id, "a") == "first"  # while others are at it
            later = tasks.create_task(offsets(here))
            await asyncio.wait(adding)
            done = ResponseDone(response_id=run_id, status="complete")
            await here.append(run_id, events(done, run_id=run_id))
        stored = [e.offset async for batch in there.read(run_id, follow=False) for e in batch]
        assert len(stored) == 402
        assert all(task.result() == stored for task in (*reading, later))


async def test_who_reads_a_run_from_far_ahead_takes_nothing_from_who_comes_later(
    redis_server: RedisServer, run_id: str
) -> None:
    seen: list[str] = []

    async def collect(reader: AsyncIterator[Sequence[Entry]]) -> None:
        seen.extend([entry.offset async for batch in reader for entry in batch])

    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
        asyncio.timeout(20),
        task_group() as tasks,
    ):
        offsets = [*await log.append(run_id, events(started(run_id), run_id=run_id))]
        ahead = tasks.create_task(_drain(log.read(run_id, after=AHEAD)))
        while not await _blocked(client):
            await asyncio.sleep(0.001)
        async with aclosing(log.read(run_id)) as reader:
            seen += [entry.offset for entry in await anext(reader)]
            later = tasks.create_task(collect(reader))
            await asyncio.sleep(0)
            await log.exists(run_id)  # answered behind what the reader asks for
            assert not later.done()
            for payload in (
                ItemDelta(item_id="a", delta_content="x"),
                ResponseDone(response_id=run_id, status="complete"),
            ):
                offsets += await log.append(run_id, events(payload, run_id=run_id))
            await later
        assert await ahead == 0
    assert seen == offsets


async def test_who_listens_from_far_ahead_takes_no_word_from_who_comes_later(
    redis_server: RedisServer, run_id: str
) -> None:
    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
        asyncio.timeout(20),
        task_group() as tasks,
    ):
        await log.append(new_id(), events(started(), run_id=run_id))
        ahead = tasks.create_task(_next(log.news(after=AHEAD)))
        while not await _blocked(client):
            await asyncio.sleep(0.001)
        async with aclosing(log.news(after=await log.newest())) as words:
            later = tasks.create_task(_next(words))
            await asyncio.sleep(0)
            await log.newest()
            assert not later.done()
            await log.append(run_id, events(started(run_id), run_id=run_id))
            assert [word.run_id for word in await later] == [run_id]
        assert not ahead.done()
        ahead.cancel()


async def test_a_server_that_has_forgotten_the_script_is_given_it_again(
    redis_server: RedisServer, run_id: str
) -> None:
    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
    ):
        for _ in range(2):
            await client.script_flush()
            await log.append(run_id, events(started(run_id), run_id=run_id))
        assert await client.xlen(redis_module.stream_key(run_id)) == 2


async def test_a_log_that_is_closed_says_so_to_who_waits_for_it(
    own_redis: RedisServer, run_id: str
) -> None:
    async def append(log: RedisEventLog) -> None:
        with pytest.raises(EventLogUnavailable, match="closed"):
            await log.append(run_id, events(started(run_id), run_id=run_id))

    async with (
        redis.asyncio.Redis.from_url(own_redis.url) as client,
        asyncio.timeout(5),
        task_group() as tasks,
        RedisEventLog.open(own_redis.url) as log,
    ):
        await client.client_pause(60_000, all=False)
        tasks.create_task(append(log))
        while "evalsha" not in [each["cmd"] for each in await client.client_list()]:
            await asyncio.sleep(0.001)


async def _blocked(client: redis.asyncio.Redis) -> int:
    info = await client.info("clients")
    return int(info["blocked_clients"])


async def _drain(reader: AsyncIterator[object]) -> int:
    return len([batch async for batch in reader])


async def _next(reader: AsyncIterator[T]) -> T:
    return await anext(reader)
