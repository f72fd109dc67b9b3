"""Submitting what is refused, or cannot be announced: nothing is left of it."""

from __future__ import annotations

import asyncio

import pytest
from cody_core import runtime
from cody_core.client import Client
from cody_core.errors import EventLogUnavailable, TooManyRuns
from cody_core.providers.scripted import Hang, ScriptedProvider
from cody_core.schema.requests import SubmitRequest
from cody_core.settings import ServerSettings
from cody_core.workers import recovery
from support.core import core
from support.redis import RedisServer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a log that was away again after a moment."""
    monkeypatch.setattr(recovery, "FIRST_PAUSE", 0.01)


async def listed(client: Client) -> list[str]:
    return [thread.id for thread in (await client.threads()).threads]


async def test_a_run_that_is_refused_leaves_no_thread() -> None:
    provider = ScriptedProvider(lambda request: [Hang()])
    async with core(provider, serve=ServerSettings(max_live=1)) as client:
        first = await client.submit(SubmitRequest(prompt="first"))
        for _ in range(3):
            with pytest.raises(TooManyRuns):
                await client.submit(SubmitRequest(prompt="too many"))
        assert await listed(client) == [first.thread_id]


async def test_a_run_that_the_log_did_not_take_leaves_no_thread_when_the_log_is_back(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "ANSWER_SECONDS", 0.1)
    async with core(ScriptedProvider([]), redis_url=own_redis.url) as client:
        own_redis.stop()
        with pytest.raises(EventLogUnavailable):
            await client.submit(SubmitRequest(prompt="lost"))
        await until_withdrawn(client, own_redis)


async def test_a_submit_that_is_cancelled_leaves_no_thread_without_a_run(
    own_redis: RedisServer,
) -> None:
    async with core(ScriptedProvider([]), redis_url=own_redis.url) as client:
        own_redis.stop()
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
            submitting = tasks.create_task(client.submit(SubmitRequest(prompt="never mind")))
            while not await listed(client):
                await asyncio.sleep(0.001)
            submitting.cancel()
        await until_withdrawn(client, own_redis)


async def until_withdrawn(client: Client, server: RedisServer) -> None:
    """Start the server, and wait until the one thread that there is has gone."""
    assert len(await listed(client)) == 1
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(10):
        while await listed(client):
            await asyncio.sleep(0.001)
