"""The local client: what ``Client`` promises beyond the rules of a run, and a store that fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cody_core.client import Client
from cody_core.errors import (
    InvalidModel,
    InvalidRequest,
    RunNotFound,
    StoreCorrupt,
    StoreUnavailable,
    ThreadNotFound,
    UnknownProvider,
)
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.schema.events import START
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.threads import ThreadChanges
from support.core import MODEL, ask, core, ended, texts


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with core(ScriptedProvider(lambda request: [Say("Hello.")])) as client:
        yield client


async def test_threads_are_listed_found_changed_and_deleted(client: Client) -> None:
    first, second = await ask(client, "about bees"), await ask(client, "about whales")
    listed = await client.threads()
    assert [thread.title for thread in listed.threads] == ["about whales", "about bees"]
    found = await client.threads(query="bees")
    assert [thread.id for thread in found.threads] == [first.thread_id]
    await client.update_thread(first.thread_id, ThreadChanges(title="Bees", tags=("nature",)))
    tagged = await client.threads(tag="nature")
    assert [thread.title for thread in tagged.threads] == ["Bees"]
    await client.delete_thread(second.thread_id)
    assert [thread.id for thread in (await client.threads()).threads] == [first.thread_id]
    with pytest.raises(ThreadNotFound):
        await client.thread(second.thread_id)


async def test_pages_follow_one_another(client: Client) -> None:
    threads = [(await ask(client, f"prompt {number}")).thread_id for number in range(5)]
    seen, cursor = [], None
    while True:
        page = await client.threads(limit=2, cursor=cursor)
        seen += [thread.id for thread in page.threads]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == threads[::-1]
    with pytest.raises(InvalidRequest):
        await client.threads(cursor="nonsense")


async def test_what_does_not_exist_is_said_to_be_so(client: Client) -> None:
    nowhere = new_id()
    for lookup in (client.run(nowhere), client.cancel(nowhere)):
        with pytest.raises(RunNotFound, match=nowhere):
            await lookup
    with pytest.raises(RunNotFound):
        await anext(client.follow(nowhere))
    for change in (
        client.thread(nowhere),
        client.delete_thread(nowhere),
        client.update_thread(nowhere, ThreadChanges(title="x")),
        client.submit(SubmitRequest(prompt="x", thread_id=nowhere)),
    ):
        with pytest.raises(ThreadNotFound, match=nowhere):
            await change


async def test_a_refused_request_leaves_nothing_behind(client: Client) -> None:
    with pytest.raises(UnknownProvider, match="nobody"):
        await client.submit(SubmitRequest(prompt="x", provider_id="nobody"))
    with pytest.raises(InvalidModel, match="mystery"):
        await client.submit(SubmitRequest(prompt="x", model="mystery"))
    with pytest.raises(InvalidModel):
        await client.submit(SubmitRequest(prompt="x", model="gpt-5", provider_id="anthropic"))
    assert (await client.threads()).threads == ()


async def test_an_empty_change_is_refused(client: Client) -> None:
    response = await ask(client)
    with pytest.raises(InvalidRequest):
        await client.update_thread(response.thread_id, ThreadChanges())


async def test_a_run_the_log_has_forgotten_is_replayed_from_the_store() -> None:
    async with core(ScriptedProvider([[Say("Hello.")]]), log_ttl=0) as client:
        live = await ask(client)
    async with core(ScriptedProvider([])) as client:
        batches = [batch async for batch in client.follow(live.id, after=START)]
        assert await ended(client, live.id) == live
    assert batches[0][-1].is_terminal


async def test_deleting_a_thread_ends_its_live_runs() -> None:
    async with core(ScriptedProvider([[Hang(after="I was")]])) as client:
        submitted = await client.submit(SubmitRequest(prompt="x"))
        async with asyncio.timeout(5):
            await client.delete_thread(submitted.thread_id)
            async for _ in client.follow(submitted.run_id):
                pass
        assert (await client.threads()).threads == ()


async def test_the_thread_remembers_its_model(client: Client) -> None:
    response = await ask(client)
    thread = (await client.thread(response.thread_id)).thread
    assert f"{thread.provider_id}/{thread.model_id}" == MODEL
    models = (await client.models()).models
    assert [model.name for model in models if model.is_default] == [MODEL]


async def test_two_runtimes_may_share_a_directory() -> None:
    async with core(ScriptedProvider([[Hang(after="I was")]])) as one:
        submitted = await one.submit(SubmitRequest(prompt="x"))
        await anext(one.follow(submitted.run_id))
        async with asyncio.timeout(5):
            while not (await _stored(one, submitted.thread_id)):
                await asyncio.sleep(0.001)
        async with core(ScriptedProvider([[Say("Hello.")]])) as two:
            await ask(two, "y")
            assert len((await two.threads()).threads) == 2
            assert (await two.run(submitted.run_id)).status == "in_progress"


async def _stored(client: Client, thread_id: str) -> bool:
    return bool((await client.thread(thread_id)).runs)


async def test_a_store_that_is_locked_loses_nothing(tmp_path: Path) -> None:
    provider = ScriptedProvider(lambda request: [Say(f"answer {len(request.items)}")])
    database = tmp_path / "home" / "cody.db"
    async with core(provider) as client:
        first = await ask(client, "a")
        other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")
        submitted = await client.submit(SubmitRequest(prompt="b"))
        response = await ended(client, submitted.run_id)
        assert response.status == "complete"
        other.close()
    async with core(ScriptedProvider([])) as client:
        assert await client.run(submitted.run_id) == response
        assert await client.run(first.id) == first
        assert len((await client.threads()).threads) == 2


async def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="CODY_HOME"):
        async with core(ScriptedProvider([]), home=tmp_path / "file" / "home"):
            pass


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "cody.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreCorrupt, match=r"cody\.db"):
        async with core(ScriptedProvider([])):
            pass


async def test_prompts_submitted_at_once_to_one_thread_all_arrive() -> None:
    provider = ScriptedProvider(lambda request: [Say(texts(request.items)[-1])])
    async with core(provider) as client:
        first = await ask(client, "start")
        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                tasks.create_task(ask(client, f"p{number}", first.thread_id))
        detail = await client.thread(first.thread_id)
    answers = {text for run in detail.runs for text in texts(run.output_items)}
    assert answers == {"start", *(f"p{number}" for number in range(10))}
    assert all(run.status == "complete" for run in detail.runs)
