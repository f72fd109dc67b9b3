"""The whole core on Convex: runs that are seen elsewhere, and a deployment that is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cody_core.client import Client
from cody_core.errors import SettingsError, StoreUnavailable
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.remote import open_remote
from cody_core.runtime import Runtime, open_runtime
from cody_core.schema.changes import Changes
from cody_core.schema.items import FunctionCall, Message
from cody_core.schema.requests import SubmitRequest
from cody_core.settings import load_settings
from cody_core.stores.convex import ConvexStore
from cody_core.workers import recovery
from cody_core.workers.outbox import Outbox
from support.convex import ConvexServer
from support.core import ask, core, ended, texts
from support.loops import watched_loop
from support.server import served

ClientOf = Callable[[Path], AbstractAsyncContextManager[Client]]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cody_core.stores.convex_api.FIRST_PAUSE", 0.001)
    monkeypatch.setattr(recovery, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(recovery, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr("cody_core.workers.persist.LONGEST_PAUSE", 0.05)


def heard(provider: ScriptedProvider) -> list[list[str]]:
    """Return the texts that the provider was sent with each request."""
    return [texts(request.items) for request in provider.requests]


def hello() -> ScriptedProvider:
    return ScriptedProvider(lambda request: [Say("Hello.")])


@asynccontextmanager
async def on(
    convex: ConvexServer, home: Path, provider: ScriptedProvider | None = None, **flags: Any
) -> AsyncIterator[Runtime]:
    """Open the core of a machine with that data directory."""
    where: dict[str, Any] = {
        "convex_url": convex.url,
        "convex_deploy_key": convex.key,
        "home": home,
    }
    async with core(provider or hello(), **where, **flags) as client:
        assert isinstance(client, Runtime)
        yield client


@asynccontextmanager
async def store_of(convex: ConvexServer) -> AsyncIterator[ConvexStore]:
    async with ConvexStore.open(convex.url, convex.key) as store:
        yield store


async def until_stored(convex: ConvexServer, thread_id: str, count: int) -> None:
    """Wait until so many runs of a thread are stored with their ends."""
    async with store_of(convex) as store, asyncio.timeout(20):
        while True:
            runs = await store.list_runs(thread_id)
            if len(runs) == count and all(run.is_terminal for run in runs):
                return
            await asyncio.sleep(0.02)


async def test_a_run_is_seen_from_another_data_directory(
    convex: ConvexServer, tmp_path: Path
) -> None:
    async with on(convex, tmp_path / "a") as here:
        run = await ask(here, "about bees")
        assert (await here.info()).store == convex.url
    async with on(convex, tmp_path / "b") as there:
        assert (await there.run(run.id)) == run
        assert [thread.title for thread in (await there.threads(query="bees")).threads] == [
            "about bees"
        ]
        again = await ask(there, "and whales?", run.thread_id)
        assert (await there.thread(run.thread_id)).runs == (run, again)
    assert not (tmp_path / "a" / "cody.db").exists()


async def test_a_key_that_is_missing_is_named(convex: ConvexServer, tmp_path: Path) -> None:
    settings = load_settings(convex_url=convex.url, home=tmp_path)
    with pytest.raises(SettingsError, match="CONVEX_DEPLOY_KEY"):
        async with open_runtime(settings):
            pass


async def test_with_the_deployment_away_a_conversation_goes_on_and_is_stored_later(
    convex: ConvexServer, tmp_path: Path
) -> None:
    convex.stop()
    provider = hello()
    async with on(convex, tmp_path, provider) as client:
        first = await ask(client, "one")
        second = await ask(client, "two", first.thread_id)
        assert (first.status, second.status) == ("complete", "complete")
        assert heard(provider)[1] == ["one", "Hello.", "two"]
        shown = (await client.thread(first.thread_id)).runs
        assert [run.id for run in shown] == [first.id, second.id]
        convex.start()
        await until_stored(convex, first.thread_id, 2)
        third = await ask(client, "three", first.thread_id)
        convex.stop()
        fourth = await ask(client, "four", first.thread_id)
        assert heard(provider)[-1] == [
            *("one", "Hello.", "two", "Hello.", "three", "Hello.", "four"),
        ]
        convex.start()
        await until_stored(convex, first.thread_id, 4)
    async with store_of(convex) as store:
        assert await store.list_runs(first.thread_id) == [first, second, third, fourth]
    assert Outbox(tmp_path / "outbox").kept == set()


async def test_what_was_not_stored_by_the_end_arrives_after_a_restart(
    convex: ConvexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cody_core.runtime.GRACE_SECONDS", 0.2)
    convex.stop()
    async with on(convex, tmp_path) as client:
        run = await ask(client, "one")
    assert Outbox(tmp_path / "outbox").kept == {run.id}
    async with on(convex, tmp_path) as client:
        with pytest.raises(StoreUnavailable):
            await client.threads()
        convex.start()
        await until_stored(convex, run.thread_id, 1)
        assert await client.run(run.id) == run
    assert Outbox(tmp_path / "outbox").kept == set()


async def test_an_end_that_is_not_stored_is_on_disk_before_the_program_ends(
    convex: ConvexServer, tmp_path: Path
) -> None:
    convex.stop()
    async with on(convex, tmp_path) as client:
        run = await ask(client, "one")
        letter = tmp_path / "outbox" / f"{run.id}.json"
        async with asyncio.timeout(10):
            while not letter.exists():
                await asyncio.sleep(0.01)
        convex.start()
        await until_stored(convex, run.thread_id, 1)
        async with asyncio.timeout(10):
            while letter.exists():
                await asyncio.sleep(0.01)


async def test_runs_that_wait_to_be_stored_do_not_keep_others_from_running(
    convex: ConvexServer, tmp_path: Path
) -> None:
    convex.stop()
    async with on(convex, tmp_path, max_runs=2) as client:
        runs = [await ask(client, f"prompt {number}") for number in range(6)]
        assert [run.status for run in runs] == ["complete"] * 6
        convex.start()
        for run in runs:
            await until_stored(convex, run.thread_id, 1)


async def test_a_slow_deployment_slows_no_stream_and_is_sent_few_states(
    convex: ConvexServer, tmp_path: Path
) -> None:
    words = [f"word{number} " for number in range(400)]
    provider = ScriptedProvider(lambda request: [Say(word) for word in words])
    async with on(convex, tmp_path, provider) as client, watched_loop() as lateness:
        run = await ask(client, "warm up")
        await until_stored(convex, run.thread_id, 1)
        before = convex.stats()["calls"]["runs:save"]
        convex.faults(delay=[700, 700], only="runs:save")
        began = time.monotonic()
        run = await ask(client, "go on", run.thread_id)
        assert time.monotonic() - began < 5, "each item would be saved at its end"
        convex.faults()
        await until_stored(convex, run.thread_id, 2)
    assert convex.stats()["calls"]["runs:save"] - before < 20
    assert lateness.busy < 0.25


async def test_a_run_of_a_live_process_elsewhere_is_left_alone_and_of_a_dead_one_is_ended(
    convex: ConvexServer, tmp_path: Path
) -> None:
    hanging = ScriptedProvider(lambda request: [Say("half of it"), Hang()])
    async with on(convex, tmp_path / "a", hanging) as here, store_of(convex) as store:
        submitted = await here.submit(SubmitRequest(prompt="go"))
        async with asyncio.timeout(10):
            while not await store.open_runs():
                await asyncio.sleep(0.01)
        async with on(convex, tmp_path / "b") as there:
            assert there._recovery is not None
            await there._recovery
            assert (await store.open_runs())[0].owner is not None
            assert (await there.run(submitted.run_id)).status == "in_progress"
        convex.advance(120_000)
        async with on(convex, tmp_path / "c") as later:
            assert later._recovery is not None
            await later._recovery
            found = await later.run(submitted.run_id)
            assert (found.status, found.error and found.error.code) == ("error", "interrupted")
        await here.cancel(submitted.run_id)
        end = await ended(here, submitted.run_id)
        await until_stored(convex, submitted.thread_id, 1)
        async with asyncio.timeout(10):
            while await store.get_run(submitted.run_id) != end:
                await asyncio.sleep(0.01)
    assert end.status == "aborted", "it was alive after all, and what it says counts"


async def test_a_run_of_a_dead_process_of_this_machine_is_ended_at_once(
    convex: ConvexServer, tmp_path: Path
) -> None:
    hanging = ScriptedProvider(lambda request: [Say("half of it"), Hang()])
    async with on(convex, tmp_path / "a", hanging) as here, store_of(convex) as store:
        submitted = await here.submit(SubmitRequest(prompt="go"))
        async with asyncio.timeout(10):
            while not await store.open_runs():
                await asyncio.sleep(0.01)
        here._resources.process._lock.release()  # as the system does for a process that is killed
        async with on(convex, tmp_path / "a") as next_start:
            assert next_start._recovery is not None
            await next_start._recovery
            assert (await store.open_runs()) == []
            assert (await next_start.run(submitted.run_id)).status == "error"


async def test_tools_and_scripts_are_stored_as_they_are_anywhere(
    convex: ConvexServer, tmp_path: Path
) -> None:
    where = {"convex_url": convex.url, "convex_deploy_key": convex.key, "home": tmp_path / "h"}
    settings = load_settings(
        **where, policy="full-auto", model="demo/work", demo_delay=0.0, workspace=tmp_path
    )
    async with open_runtime(settings) as client:
        submitted = await client.submit(SubmitRequest(prompt="show me"))
        run = await ended(client, submitted.run_id)
        await until_stored(convex, run.thread_id, 1)
    async with store_of(convex) as store:
        stored = await store.get_run(run.id)
    assert stored == run
    assert {type(item) for item in run.output_items} > {Message, FunctionCall}


async def said(changes: AsyncGenerator[Changes], wanted: Callable[[Changes], bool]) -> Changes:
    """Return the first state of that kind."""
    async with asyncio.timeout(20):
        async for now in changes:
            if wanted(now):
                return now
    raise AssertionError


@pytest.fixture(params=["local", "remote"])
def client_of(request: pytest.FixtureRequest, convex: ConvexServer) -> ClientOf:
    """Open a client of a core on that deployment, in this process or behind a server."""

    @asynccontextmanager
    async def opened(home: Path) -> AsyncIterator[Client]:
        flags: dict[str, Any] = {
            "convex_url": convex.url,
            "convex_deploy_key": convex.key,
            "home": home,
        }
        if request.param == "local":
            async with core(hello(), **flags) as client:
                yield client
        else:
            async with served(hello(), **flags) as server, open_remote(server.url) as client:
                yield client

    return opened


async def test_a_thread_of_another_machine_is_told_within_a_second(
    convex: ConvexServer, tmp_path: Path, client_of: ClientOf
) -> None:
    async with (
        client_of(tmp_path / "a") as here,
        on(convex, tmp_path / "b") as there,
        aclosing(here.changes(threads=True)) as changes,
    ):
        before = await said(changes, lambda now: now.is_told)
        await ask(there, "from over there")
        began = time.monotonic()
        await said(changes, lambda now: now.threads > before.threads)
        assert [t.title for t in (await here.threads()).threads] == ["from over there"]
        assert time.monotonic() - began < 1


async def test_it_is_told_that_saving_is_pending_and_that_it_is_not_any_more(
    convex: ConvexServer,
    tmp_path: Path,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cody_core.runtime.GRACE_SECONDS", 0.2)
    async with client_of(tmp_path) as client, aclosing(client.changes()) as changes:
        assert await said(changes, lambda now: True) == Changes()
        convex.stop()
        await ask(client, "one")
        await said(changes, lambda now: now.unsaved == 1)
        convex.start()
        await said(changes, lambda now: now.unsaved == 0)
        convex.stop()
        await ask(client, "two")
        await said(changes, lambda now: now.unsaved == 1)
    async with client_of(tmp_path) as client, aclosing(client.changes()) as changes:
        await said(changes, lambda now: now.unsaved == 1)
        convex.start()
        await said(changes, lambda now: now.unsaved == 0)
        assert len((await client.threads()).threads) == 2
