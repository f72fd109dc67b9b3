"""Run queues: one contract for both, and what workers on the same Redis do for each other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest
import redis.asyncio
from cody_core.errors import AppendedBefore, TooManyRuns
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.eventlog.redis import WORK, RedisEventLog
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.runqueue import RunQueue
from cody_core.runqueue.memory import MemoryRunQueue
from cody_core.runqueue.redis import GROUP, RedisRunQueue
from cody_core.schema.requests import RunRequest, SubmitRequest
from cody_core.submission import start_event
from redis import Redis
from support.core import ended, member, texts
from support.redis import RedisServer


def request() -> RunRequest:
    return RunRequest(
        run_id=new_id(),
        turn_id=new_id(),
        thread_id=new_id(),
        provider_id="demo",
        model_id="echo",
        input_items=(),
    )


async def put(queue: RunQueue, count: int = 1) -> list[RunRequest]:
    """Announce new runs."""
    runs = [request() for _ in range(count)]
    for run in runs:
        await queue.put(run, start_event(run))
    return runs


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    """A server whose queue is empty."""
    with Redis.from_url(redis_server.url) as client:
        client.delete(WORK)
    return redis_server.url


@asynccontextmanager
async def open_queue(url: str, *, limit: int = 100, **times: float) -> AsyncIterator[RedisRunQueue]:
    async with (
        RedisEventLog.open(url) as log,
        RedisRunQueue.open(log, limit=limit, **times) as queue,
    ):
        yield queue


@pytest.fixture(params=["memory", "redis"])
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[RunQueue]:
    if request.param == "memory":
        yield MemoryRunQueue(MemoryEventLog(), limit=4)
        return
    async with open_queue(request.getfixturevalue("url"), limit=4) as opened:
        yield opened


async def test_runs_are_taken_once_and_in_order(queue: RunQueue) -> None:
    runs = await put(queue, 3)
    assert list(await queue.waiting()) == runs
    claims = [await queue.take() for _ in runs]
    assert [claim.run for claim in claims] == runs
    for claim in claims:
        await queue.done(claim)
    assert not await queue.waiting()


async def test_who_waits_gets_what_comes(queue: RunQueue) -> None:
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(queue.take())
        await asyncio.sleep(0)
        (run,) = await put(queue)
    assert (await taking).run == run


async def test_a_taker_that_is_cancelled_loses_nothing(queue: RunQueue) -> None:
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(queue.take())
        await asyncio.sleep(0.01)
        taking.cancel()
    (run,) = await put(queue)
    assert (await queue.take()).run == run


async def test_a_run_is_announced_once(queue: RunQueue) -> None:
    (run,) = await put(queue)
    with pytest.raises(AppendedBefore):
        await queue.put(run, start_event(run))
    assert list(await queue.waiting()) == [run]


async def test_a_queue_that_is_full_takes_another_when_one_is_done(queue: RunQueue) -> None:
    first, *_ = await put(queue, 4)
    with pytest.raises(TooManyRuns, match="4 runs"):
        await put(queue)
    claim = await queue.take()
    assert claim.run == first
    late = request()
    with pytest.raises(TooManyRuns):  # it is being worked on
        await queue.put(late, start_event(late))
    await queue.done(claim)
    await queue.put(late, start_event(late))


async def test_a_run_of_a_worker_that_died_is_taken_again(url: str) -> None:
    async with open_queue(url, keep=60, lost=0.2) as alive:
        async with open_queue(url, keep=60, lost=0.2) as dying:
            runs = await put(dying, 3)
            assert [(await dying.take()).run for _ in runs] == runs
        claims = [await alive.take() for _ in runs]
        assert [claim.run for claim in claims] == runs
        for claim in claims:
            await alive.done(claim)
        assert not await alive.waiting()


async def test_a_claim_that_is_kept_is_nobody_elses(url: str) -> None:
    async with open_queue(url, keep=0.05, lost=0.4) as first, open_queue(url, lost=0.4) as second:
        await put(first)
        claim = await first.take()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.2):
                await second.take()
        await first.done(claim)


async def test_many_that_are_kept_do_not_hide_one_that_is_lost(url: str) -> None:
    async with (
        open_queue(url, keep=60, lost=0.4) as dying,
        open_queue(url, keep=0.05, lost=0.4) as busy,
        open_queue(url, lost=0.4) as free,
        asyncio.timeout(10),
    ):
        kept = await put(busy, 25)
        assert [(await busy.take()).run for _ in kept] == kept
        (lost,) = await put(busy)
        assert (await dying.take()).run == lost
        assert (await free.take()).run == lost


async def test_what_we_have_is_not_taken_again_when_it_could_not_be_kept(url: str) -> None:
    async with (
        open_queue(url, keep=60, lost=0.2) as queue,
        redis.asyncio.Redis.from_url(url) as client,
        asyncio.timeout(10),
    ):
        ours, other = await put(queue, 2)
        claim = await queue.take()
        assert claim.run == ours
        while not await client.xpending_range(WORK, GROUP, "-", "+", 1, idle=300):
            await asyncio.sleep(0.01)
        assert (await queue.take()).run == other
        await queue.done(claim)
        assert list(await queue.waiting()) == [other]


async def test_who_leaves_with_nothing_to_do_leaves_the_group(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        async with open_queue(url) as queue:
            await put(queue)
            await queue.done(await queue.take())
            assert len(await client.xinfo_consumers(WORK, GROUP)) == 1
        assert await client.xinfo_consumers(WORK, GROUP) == []
        async with open_queue(url) as queue:
            await put(queue)
            await queue.take()
        assert [found["pending"] for found in await client.xinfo_consumers(WORK, GROUP)] == [1]


async def test_what_is_no_run_is_thrown_away_and_the_next_is_taken(url: str) -> None:
    async with open_queue(url) as queue, redis.asyncio.Redis.from_url(url) as client:
        await client.xadd(WORK, {"run": "{}"})
        await client.xadd(WORK, {"other": "x"})
        (run,) = await put(queue)
        claim = await queue.take()
        assert claim.run == run
        await queue.done(claim)
        assert await client.xlen(WORK) == 0
        assert (await client.xpending(WORK, GROUP))["pending"] == 0


@pytest.mark.parametrize(
    "newer", [{"policy": "as-of-tomorrow"}, {"input_items": [{"type": "hologram"}]}]
)
async def test_a_run_of_a_newer_version_is_ended_and_not_lost(
    newer: dict[str, object], url: str
) -> None:
    provider = ScriptedProvider([[Say("As I see fit.")]])
    async with (
        member(url, provider, works=False) as here,
        redis.asyncio.Redis.from_url(url, decode_responses=True) as client,
    ):
        submitted = await here.submit(SubmitRequest(prompt="hi"))
        ((key, fields),) = cast("list[tuple[str, dict[str, str]]]", await client.xrange(WORK))
        await client.xdel(WORK, key)
        await client.xadd(WORK, {"run": json.dumps(json.loads(fields["run"]) | newer)})
        async with member(url, provider):
            response = await ended(here, submitted.run_id)
            async with asyncio.timeout(10):
                while await client.xlen(WORK):
                    await asyncio.sleep(0.001)
            assert (await here.thread(submitted.thread_id)).runs == (response,)
    assert response.error is not None
    assert response.error.code == "not_understood"
    assert provider.requests == []


async def test_a_run_submitted_here_is_worked_on_there(url: str) -> None:
    idle, busy = ScriptedProvider([]), ScriptedProvider([[Say("From there.")]])
    async with (
        member(url, idle, works=False) as here,
        member(url, busy),
    ):
        submitted = await here.submit(SubmitRequest(prompt="hi"))
        response = await ended(here, submitted.run_id)
    assert texts(response.output_items) == ["From there."]


async def test_a_run_is_cancelled_from_the_other_side(url: str) -> None:
    idle, busy = ScriptedProvider([]), ScriptedProvider([[Hang(after="so far")]])
    async with (
        member(url, idle, works=False) as here,
        member(url, busy),
    ):
        submitted = await here.submit(SubmitRequest(prompt="hi"))
        async for batch in here.follow(submitted.run_id):
            if any("item_delta" in entry.event.type for entry in batch):
                break
        await here.cancel(submitted.run_id)
        response = await ended(here, submitted.run_id)
    assert response.status == "aborted"


@pytest.mark.parametrize("has_begun", [False, True])
async def test_what_a_dead_worker_had_is_begun_or_ended_but_not_done_twice(
    has_begun: bool, url: str
) -> None:
    run = request().model_copy(update={"provider_id": "scripted", "model_id": "model"})
    async with RedisEventLog.open(url) as log, AsyncExitStack() as dead:
        opening = RedisRunQueue.open(log, limit=100, keep=60, lost=60)
        queue = await dead.enter_async_context(opening)
        await queue.put(run, start_event(run))
        await queue.take()
        if has_begun:
            assert await log.begin(run.run_id, new_id()) == "first"
        await dead.aclose()
    provider = ScriptedProvider([[Say("Whole.")]])
    async with member(url, provider) as worker:
        response = await ended(worker, run.run_id)
    if has_begun:
        assert response.error is not None
        assert (response.status, response.error.code) == ("error", "interrupted")
        assert provider.requests == []
    else:
        assert texts(response.output_items) == ["Whole."]
