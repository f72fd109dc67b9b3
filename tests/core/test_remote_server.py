"""The remote client against real servers: that end and come again, ask for a token, run ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from cody_core.client import Client
from cody_core.errors import SettingsError
from cody_core.providers.scripted import Say, ScriptedProvider
from cody_core.reducer import ResponseReducer
from cody_core.remote import open_remote
from cody_core.schema.events import Entry
from cody_core.schema.requests import SubmitRequest
from support.core import core, ended, texts
from support.redis import RedisServer
from support.relay import Relay
from support.server import served

from .client_contract import echo, entries_of, hanging

TOKEN = "s3cret-token"


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay()
    async with relay.serve():
        yield relay


async def collect(client: Client, run_id: str, seen: list[Entry], said: asyncio.Event) -> None:
    """Follow a run to its end; say when there is text."""
    reducer = ResponseReducer()
    async with aclosing(client.follow(run_id)) as batches:
        async for batch in batches:
            seen += batch
            reducer.feed(batch)
            if reducer.response is not None and any(texts(reducer.response.output_items)):
                said.set()


async def test_a_server_that_is_restarted_midway_loses_nothing(
    relay: Relay, redis_server: RedisServer
) -> None:
    shared: dict[str, Any] = {"redis_url": redis_server.url}
    words = " ".join(f"word{number}" for number in range(200))
    provider = ScriptedProvider([[Say(words)]], delay=0.01)
    async with core(provider, **shared) as worker, AsyncExitStack() as stack:
        submitted = await worker.submit(SubmitRequest(prompt="tell"))
        first = await stack.enter_async_context(AsyncExitStack())
        relay.point_to((await first.enter_async_context(served(echo(), **shared))).url)
        client = await stack.enter_async_context(open_remote(relay.url))
        seen: list[Entry] = []
        said = asyncio.Event()
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(collect(client, submitted.run_id, seen, said))
            await said.wait()
            relay.cut()
            assert not seen[-1].is_terminal
            await first.aclose()
            second = await stack.enter_async_context(served(echo(), **shared))
            relay.point_to(second.url)
        stored = await entries_of(worker, submitted.run_id)
        response = await ended(client, submitted.run_id)
    assert [(e.offset, e.data) for e in seen] == [(e.offset, e.data) for e in stored]
    assert texts(response.output_items) == [words]


async def test_a_server_that_ends_with_its_log_still_ends_the_run(relay: Relay) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        relay.point_to((await first.enter_async_context(served(echo()))).url)
        client = await stack.enter_async_context(open_remote(relay.url))
        run_id, _ = await hanging(client)
        seen: list[Entry] = []
        said = asyncio.Event()
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(collect(client, run_id, seen, said))
            await said.wait()
            relay.cut()
            await first.aclose()
            second = await stack.enter_async_context(served(echo()))
            relay.point_to(second.url)
        assert [entry.is_terminal for entry in seen].count(True) == 1
        assert seen[-1].is_terminal
        assert (await client.run(run_id)).status == "aborted"


async def test_a_server_that_is_stopped_tells_the_end_of_its_runs() -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        server = await first.enter_async_context(served(echo()))
        client = await stack.enter_async_context(open_remote(server.url, patience=0.0))
        run_id, _ = await hanging(client)
        seen: list[Entry] = []
        said = asyncio.Event()
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(collect(client, run_id, seen, said))
            await said.wait()
            await first.aclose()
        assert seen[-1].is_terminal


async def test_a_slow_reader_misses_nothing() -> None:
    words = " ".join(f"word{number}" for number in range(6000))
    provider = ScriptedProvider([[Say(words)]])
    async with served(provider) as server, open_remote(server.url) as client:
        submitted = await client.submit(SubmitRequest(prompt="long"))
        seen: list[Entry] = []
        async with asyncio.timeout(40), aclosing(client.follow(submitted.run_id)) as batches:
            seen += await anext(batches)
            while (await client.run(submitted.run_id)).status != "complete":
                await asyncio.sleep(0.05)
            async for batch in batches:
                seen += batch
        stored = await entries_of(server.core, submitted.run_id)
    assert len(stored) > 6000
    assert [(e.offset, e.data) for e in seen] == [(e.offset, e.data) for e in stored]


async def test_a_server_with_a_token_lets_in_who_has_it() -> None:
    async with served(echo(), token=TOKEN) as server:
        async with open_remote(server.url, token=TOKEN) as client:
            assert (await client.threads()).threads == ()
        for wrong in (None, TOKEN + "x"):
            with pytest.raises(SettingsError, match="CODY_TOKEN") as caught:
                async with open_remote(server.url, token=wrong):
                    pass
            assert TOKEN not in caught.value.message
