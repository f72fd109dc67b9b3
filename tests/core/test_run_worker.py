"""The run worker over a Redis that goes away, forgets whose a run is, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest
import redis.asyncio
from cody_core import run_worker, runtime
from cody_core.client import Client
from cody_core.eventlog.redis import WORK, meta_key
from cody_core.patience import impatient
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.runqueue.redis import GROUP
from cody_core.schema.requests import SubmitRequest
from support.core import ask, ended, member, texts
from support.redis import RedisServer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a server that was away again after a moment."""
    monkeypatch.setattr(run_worker, "PAUSE_SECONDS", 0.01)


@pytest.fixture
async def client(own_redis: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(own_redis.url) as opened:
        yield opened


async def hanging(worker: Client) -> str:
    """Submit a prompt whose answer hangs, and return the run's id when that has begun."""
    submitted = await worker.submit(SubmitRequest(prompt="hi"))
    while not (await worker.run(submitted.run_id)).output_items:
        await asyncio.sleep(0.001)
    return submitted.run_id


async def said(caplog: pytest.LogCaptureFixture, what: str) -> None:
    """Wait until something is in the log of the program."""
    while not any(what in message for message in caplog.messages):
        await asyncio.sleep(0.001)


async def until_done(client: redis.asyncio.Redis) -> None:
    """Wait until no run is left to be taken."""
    while await client.xlen(WORK):
        await asyncio.sleep(0.001)


async def pending(client: redis.asyncio.Redis) -> tuple[str, str]:
    """Return the key of the one run that is worked on, and who does that."""
    (found,) = await client.xpending_range(WORK, GROUP, "-", "+", 1)
    return cast("bytes", found["message_id"]).decode(), cast("bytes", found["consumer"]).decode()


@asynccontextmanager
async def not_to_be_begun(client: redis.asyncio.Redis, run_id: str) -> AsyncIterator[None]:
    """Let the server fail whoever begins a run."""
    await client.rename(meta_key(run_id), "aside")
    await client.set(meta_key(run_id), "no hash")
    yield
    await client.rename("aside", meta_key(run_id))


async def test_a_log_that_is_away_for_longer_than_anybody_waits_leaves_a_run_its_one_end(
    own_redis: RedisServer, client: redis.asyncio.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    provider = ScriptedProvider([[Hang(after="so far")]])
    with impatient(0.1):
        async with member(own_redis.url, provider) as worker, asyncio.timeout(20):
            run_id = await hanging(worker)
            await asyncio.to_thread(own_redis.stop)
            await said(caplog, "cannot be ended yet")
            await asyncio.to_thread(own_redis.start)
            response = await ended(worker, run_id)
            await until_done(client)
            assert await worker.run(run_id) == response
    assert response.error is not None
    assert (response.status, response.error.code) == ("error", "interrupted")
    assert [item.type for item in response.output_items] == ["error"]
    assert len(provider.requests) == 1


async def test_a_run_that_was_lost_and_is_had_again_goes_on_as_it_was(
    own_redis: RedisServer, client: redis.asyncio.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    provider = ScriptedProvider([[Hang(after="so far")]])
    async with member(own_redis.url, provider) as worker, asyncio.timeout(20):
        run_id = await hanging(worker)
        key, ours = await pending(client)
        await client.xclaim(WORK, GROUP, "thief", 0, [key])
        await said(caplog, "taken over")
        while await pending(client) != (key, ours):
            await asyncio.sleep(0.001)
        assert (await worker.run(run_id)).status == "in_progress"
        await worker.cancel(run_id)
        assert (await ended(worker, run_id)).status == "aborted"
        await until_done(client)
    assert len(provider.requests) == 1


async def test_a_run_that_cannot_be_begun_yet_is_begun_later(
    own_redis: RedisServer, client: redis.asyncio.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    provider = ScriptedProvider([[Say("At last.")]])
    async with (
        member(own_redis.url, ScriptedProvider([]), works=False) as here,
        AsyncExitStack() as worker,
        asyncio.timeout(20),
    ):
        submitted = await here.submit(SubmitRequest(prompt="hi"))
        async with not_to_be_begun(client, submitted.run_id):
            await worker.enter_async_context(member(own_redis.url, provider))
            await said(caplog, "cannot be begun yet")
        response = await ended(here, submitted.run_id)
        await until_done(client)
    assert texts(response.output_items) == ["At last."]


async def test_a_run_that_is_being_begun_when_the_worker_stops_does_not_start(
    own_redis: RedisServer, client: redis.asyncio.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    provider = ScriptedProvider([[Say("Too late.")]])
    async with (
        member(own_redis.url, ScriptedProvider([]), works=False) as here,
        AsyncExitStack() as worker,
        asyncio.timeout(20),
        asyncio.TaskGroup() as tasks,
    ):
        submitted = await here.submit(SubmitRequest(prompt="hi"))
        async with not_to_be_begun(client, submitted.run_id):
            opened = await worker.enter_async_context(member(own_redis.url, provider))
            await said(caplog, "cannot be begun yet")
            leaving = tasks.create_task(worker.aclose())
            async for _ in opened.changes():  # they end when it stops
                pass
        await leaving
        response = await ended(here, submitted.run_id)
    assert response.error is not None
    assert (response.status, response.error.code) == ("error", "interrupted")
    assert provider.requests == []


async def test_a_worker_ends_soon_although_it_cannot_say_that_a_run_is_done(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "GRACE_SECONDS", 0.1)
    loop = asyncio.get_running_loop()
    async with member(own_redis.url, ScriptedProvider([[Say("Done.")]])) as worker:
        await ask(worker)
        own_redis.stop()
        began = loop.time()
    assert loop.time() - began < 15, "without hurry it is tried for 30 s"
