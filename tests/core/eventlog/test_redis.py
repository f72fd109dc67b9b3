"""What only the log on Redis has: keys that others can read, runs that expire, other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import redis.asyncio
from cody_core.errors import EventLogUnavailable, RunClosed, SettingsError
from cody_core.eventlog import redis as redis_module
from cody_core.eventlog import redis_tails
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id
from cody_core.schema.events import ItemDelta, ResponseDone
from cody_core.tasks import task_group
from support.redis import RedisServer
from support.shapes import events, started


@pytest.fixture
def run_id() -> str:
    return new_id()


async def test_a_run_is_a_stream_with_one_json_field(
    redis_server: RedisServer, run_id: str
) -> None:
    run = events(
        started(run_id), ResponseDone(response_id=run_id, status="complete"), run_id=run_id
    )
    async with RedisEventLog.open(redis_server.url) as log:
        offsets = await log.append(run_id, run)
    async with redis.asyncio.Redis.from_url(redis_server.url) as client:
        entries = await client.xrange(f"codex:run:{run_id}:events", "-", "+")
    assert entries == [
        (offset.encode(), {b"event": event.to_json()})
        for offset, event in zip(offsets, run, strict=True)
    ]


async def test_a_server_that_is_not_there_is_named_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(EventLogUnavailable, match="REDIS_URL"):
        async with RedisEventLog.open(f"unix://{tmp_path}/none"):
            pass


async def test_a_malformed_url_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL"):
        async with RedisEventLog.open("http://example.org"):
            pass


async def _drain(reader: AsyncIterator[object]) -> int:
    return len([batch async for batch in reader])


async def test_two_processes_share_a_run(redis_server: RedisServer, run_id: str) -> None:
    async with (
        RedisEventLog.open(redis_server.url) as one,
        RedisEventLog.open(redis_server.url) as two,
        task_group() as tasks,
    ):
        reader = tasks.create_task(_drain_events(two, run_id))
        await one.append(run_id, events(started(run_id), run_id=run_id))
        delta = events(ItemDelta(item_id="a", delta_content="x"), run_id=run_id)
        await two.append(run_id, delta)
        await one.append(
            run_id, events(ResponseDone(response_id=run_id, status="complete"), run_id=run_id)
        )
        assert await reader == ["response_start", "item_delta", "response_done"]


async def _drain_events(log: RedisEventLog, run_id: str) -> list[str]:
    return [entry.event.type async for batch in log.read(run_id) for entry in batch]


async def test_an_append_after_the_run_was_to_expire_is_not_taken_for_one_sent_again(
    redis_server: RedisServer, run_id: str
) -> None:
    delta = events(ItemDelta(item_id="a", delta_content="x"), run_id=run_id)
    async with RedisEventLog.open(redis_server.url) as log:
        first = await log.append(run_id, events(started(run_id), run_id=run_id))
        await log.expire(run_id, seconds=60)
        offsets = [*first, *await log.append(run_id, delta)]
        entries = [entry async for batch in log.read(run_id, follow=False) for entry in batch]
    assert [entry.offset for entry in entries] == offsets
    assert len(set(offsets)) == 2


async def test_a_reader_that_was_far_behind_ends_when_the_run_is_forgotten(
    redis_server: RedisServer, run_id: str
) -> None:
    many = events(*[ItemDelta(item_id="a", delta_content="x")] * 1000, run_id=run_id)
    end = events(ResponseDone(response_id=run_id, status="complete"), run_id=run_id)
    async with RedisEventLog.open(redis_server.url) as log, aclosing(log.read(run_id)) as slow:
        await log.append(run_id, events(started(run_id), run_id=run_id))
        await anext(slow)
        async with asyncio.timeout(10), task_group() as tasks:
            following = tasks.create_task(_next(slow))
            fast = tasks.create_task(_drain(log.read(run_id)))
            for _ in range(redis_tails.RECENT // len(many) + 2):
                await log.append(run_id, many)
                await following
            await log.append(run_id, end)
            await fast
            await log.expire(run_id, seconds=0)
            while await log.exists(run_id):
                await asyncio.sleep(0.001)
            assert await _drain(slow) == 0


async def _next(reader: AsyncIterator[object]) -> object:
    return await anext(reader)


async def test_an_entry_that_holds_no_event_is_passed_over(
    redis_server: RedisServer, run_id: str
) -> None:
    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
    ):
        await log.append(run_id, events(started(run_id), run_id=run_id))
        async with asyncio.timeout(10), task_group() as tasks:
            reader = tasks.create_task(_drain_events(log, run_id))
            while not (await client.info("clients"))["blocked_clients"]:
                await asyncio.sleep(0.001)
            await client.xadd(f"codex:run:{run_id}:events", {"note": "not ours"})
            done = ResponseDone(response_id=run_id, status="complete")
            await log.append(run_id, events(done, run_id=run_id))
            assert await reader == ["response_start", "response_done"]


async def test_an_offset_that_redis_cannot_hold_is_refused_as_such(
    redis_server: RedisServer, run_id: str
) -> None:
    async with RedisEventLog.open(redis_server.url) as log:
        for offset in (f"{2**64}-0", f"{2**64 - 1}-{2**64 - 1}"):
            with pytest.raises(ValueError, match="offset"):
                await _drain(log.read(run_id, after=offset))


async def test_a_run_that_the_server_has_lost_is_brought_to_its_end_by_who_works_on_it_alone(
    own_redis: RedisServer, run_id: str
) -> None:
    delta = events(ItemDelta(item_id="a", delta_content="x"), run_id=run_id)
    done = events(ResponseDone(response_id=run_id, status="complete"), run_id=run_id)
    async with (
        RedisEventLog.open(own_redis.url) as one,
        RedisEventLog.open(own_redis.url) as two,
        redis.asyncio.Redis.from_url(own_redis.url) as client,
        asyncio.timeout(20),
        task_group() as tasks,
    ):
        await one.append(run_id, events(started(run_id), run_id=run_id))
        await one.begin(run_id, "a")
        reader = tasks.create_task(_drain_events(one, run_id))
        while not (await client.info("clients"))["blocked_clients"]:
            await asyncio.sleep(0.001)
        await client.flushall()
        with pytest.raises(RunClosed):
            await two.append(run_id, delta)
        await one.append(run_id, delta)
        await one.append(run_id, done)
        assert await reader == ["response_start", "item_delta", "response_done"]
        await client.flushall()
        with pytest.raises(RunClosed):
            await one.append(run_id, delta)


async def test_a_run_that_another_worker_has_is_found_begun(
    redis_server: RedisServer, run_id: str
) -> None:
    async with (
        RedisEventLog.open(redis_server.url) as one,
        RedisEventLog.open(redis_server.url) as two,
    ):
        await one.append(run_id, events(started(run_id), run_id=run_id))
        assert await one.begin(run_id, "a") == "first"
        assert await two.begin(run_id, "b") == "begun"
        assert await one.begin(run_id, "a") == "first"


async def test_a_run_that_an_older_version_has_is_found_begun(
    redis_server: RedisServer, run_id: str
) -> None:
    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
    ):
        await log.append(run_id, events(started(run_id), run_id=run_id))
        await client.hset(f"codex:run:{run_id}:meta", "worker", "writer:older")
        assert await log.begin(run_id, "a") == "begun"


async def test_what_nobody_writes_or_follows_is_forgotten_after_a_week(
    redis_server: RedisServer, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_tails, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(redis_tails, "BLOCK_MS", 10)
    keys = [f"codex:run:{run_id}:{name}" for name in ("events", "meta")]
    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
        asyncio.timeout(20),
    ):
        await log.append(run_id, events(started(run_id), run_id=run_id))
        week = redis_module.LEASE_MS
        for key in keys:
            assert week - 60_000 < await client.pttl(key) <= week
        for key in keys:
            await client.pexpire(key, 60_000)
        async with aclosing(log.read(run_id)) as reader, task_group() as tasks:
            await anext(reader)
            following = tasks.create_task(_next(reader))
            while await client.pttl(keys[1]) <= 60_000:
                await asyncio.sleep(0.001)
            following.cancel()
        assert min([await client.pttl(key) for key in keys]) > 60_000


async def test_what_is_to_be_forgotten_is_not_kept_by_who_is_still_to_read_its_end(
    redis_server: RedisServer, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_tails, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(redis_tails, "BLOCK_MS", 10)
    other = new_id()
    keys = [f"codex:run:{each}:meta" for each in (run_id, other)]
    async with (
        RedisEventLog.open(redis_server.url) as log,
        redis.asyncio.Redis.from_url(redis_server.url) as client,
        asyncio.timeout(20),
        aclosing(log.read(run_id)) as slow,
        aclosing(log.read(other)) as reader,
        task_group() as tasks,
    ):
        for each in (run_id, other):
            await log.append(each, events(started(each), run_id=each))
        await anext(slow)
        delta = ItemDelta(item_id="a", delta_content="x")
        done = ResponseDone(response_id=run_id, status="complete")
        following, quick = (
            tasks.create_task(_next(slow)),
            tasks.create_task(_drain(log.read(run_id))),
        )
        await log.append(run_id, events(delta, run_id=run_id))
        await following  # from here on it reads no further
        await anext(reader)
        waiting = tasks.create_task(_next(reader))
        await log.append(run_id, events(done, run_id=run_id))
        await quick
        await log.expire(run_id, seconds=60)
        for _ in range(2):
            await client.pexpire(keys[1], 60_000)
            while await client.pttl(keys[1]) <= 60_000:  # all that is followed is kept by turns
                await asyncio.sleep(0.001)
        assert await client.pttl(keys[0]) <= 60_000
        waiting.cancel()
