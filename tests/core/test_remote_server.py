"""The remote client against real servers: that end and come again, ask for a token, run ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

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
from support.server import served

from .client_contract import echo, entries_of, hanging

TOKEN = "s3cret-token"


class Relay:
    """An address that stays while the server behind it does not, and connections that can be cut.

    Without a server behind it, whoever comes is turned away.
    """

    def __init__(self) -> None:
        self.url = ""
        self._target: tuple[str, int] | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._left = asyncio.Event()

    def point_to(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 0)

    def cut(self) -> None:
        """Take the server away."""
        self._target = None
        for writer in self._open:
            writer.transport.abort()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._relay, "127.0.0.1", 0) as server:
            self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
            yield
            self.cut()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target is None:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        ends = {writer, far_writer}
        self._open |= ends
        with suppress(ConnectionError):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, far_writer))
                tasks.create_task(_copy(far_reader, writer))
        self._open -= ends


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


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
