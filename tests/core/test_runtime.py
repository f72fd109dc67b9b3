"""The local client: what ``Client`` promises beyond the rules of a run, and a store that fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from cody_core import runs, runtime
from cody_core.client import Client
from cody_core.errors import (
    EventLogUnavailable,
    StoreCorrupt,
    StoreUnavailable,
)
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.threads import ThreadChanges
from support.core import ask, core, ended, member, texts
from support.redis import RedisServer


@pytest.fixture(params=["memory", "redis"])
def flags(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "memory":
        return {}
    server: RedisServer = request.getfixturevalue("redis_server")
    return {"redis_url": server.url}


async def test_a_run_that_is_cancelled_while_it_waits_ends_at_once_and_never_begins(
    flags: dict[str, Any],
) -> None:
    provider = ScriptedProvider([[Hang(after="I was")], [Say("Third.")]])
    async with core(provider, max_runs=1, **flags) as client, asyncio.timeout(20):
        first = await client.submit(SubmitRequest(prompt="first"))
        await until_hanging(client, first.run_id)
        second = await client.submit(SubmitRequest(prompt="second"))
        assert (await client.run(second.run_id)).status == "queued"
        await client.cancel(second.run_id, reason="enough")
        response = await ended(client, second.run_id)
        assert (response.status, response.output_items) == ("aborted", ())
        while (await client.thread(second.thread_id)).runs != (response,):
            await asyncio.sleep(0.001)
        assert (await client.run(first.run_id)).status == "in_progress"
        third = await client.submit(SubmitRequest(prompt="third"))
        await client.cancel(first.run_id)
        assert texts((await ended(client, third.run_id)).output_items) == ["Third."]
    assert [texts(request.items) for request in provider.requests] == [["first"], ["third"]]


async def test_a_run_that_somebody_has_just_begun_is_ended_by_them_when_it_is_cancelled(
    redis_server: RedisServer,
) -> None:
    async with (
        member(redis_server.url, ScriptedProvider([]), works=False) as client,
        RedisEventLog.open(redis_server.url) as elsewhere,
    ):
        runs = [await client.submit(SubmitRequest(prompt="hi")) for _ in range(2)]
        begun, waiting = (submitted.run_id for submitted in runs)
        assert await elsewhere.begin(begun, new_id()) == "first"
        for run_id in (begun, waiting):
            assert (await client.run(run_id)).status == "queued"
            await client.cancel(run_id)
        assert await in_log(elsewhere, begun) == ["response_start", "turn_aborted_by_user"]
        assert (await ended(client, waiting)).status == "aborted"
        assert await elsewhere.begin(waiting, new_id()) == "ended"


async def in_log(log: RedisEventLog, run_id: str) -> list[str]:
    return [entry.event.type async for batch in log.read(run_id, follow=False) for entry in batch]


async def until_hanging(client: Client, run_id: str) -> None:
    while not (await client.run(run_id)).output_items:
        await asyncio.sleep(0.001)


async def test_who_waits_for_an_answer_does_not_wait_long_for_a_log_that_is_away(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (runtime, runs):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    async with core(ScriptedProvider([[Say("Hello.")]]), redis_url=own_redis.url) as client:
        response = await ask(client)
        thread = response.thread_id
        own_redis.stop()
        async with asyncio.timeout(10):
            for asked in (
                client.thread(thread),
                client.delete_thread(thread),
                client.fork(thread),
                client.cancel(response.id),
                _next(client.follow(response.id)),
                _next(client.watch(thread)),
            ):
                with pytest.raises(EventLogUnavailable):
                    await asked
            changed = await client.update_thread(thread, ThreadChanges(title="Renamed"))
            assert changed.title == "Renamed"
            assert [found.title for found in (await client.threads()).threads] == ["Renamed"]
        await asyncio.to_thread(own_redis.start)  # for what is to be said of the run at the end


async def _next(reader: AsyncGenerator[object]) -> object:
    async with aclosing(reader):
        return await anext(reader)


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
