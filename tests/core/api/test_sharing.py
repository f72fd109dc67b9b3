"""Servers that share runs over Redis: submitted to one, worked on, seen and steered at another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.sse import ServerSentEvent
from cody_core.tools import Tool
from support.asking import Runner, commands, question
from support.redis import RedisServer
from support.server import Served, served


@asynccontextmanager
async def pair(
    redis: RedisServer, provider: ScriptedProvider, tools: Sequence[Tool] = ()
) -> AsyncIterator[tuple[Served, Served]]:
    """Serve without working on runs, and beside it a server that does."""
    place: dict[str, Any] = {"redis_url": redis.url, "policy": "ask"}
    async with (
        served(ScriptedProvider([]), works=False, tools=tools, **place) as front,
        served(provider, tools=tools, **place) as back,
    ):
        yield front, back


async def until(events: AsyncIterator[ServerSentEvent], kind: str) -> ServerSentEvent:
    async with asyncio.timeout(10):
        async for event in events:
            if event.event == kind:
                return event
    pytest.fail(f"there was no {kind}")


async def test_a_run_is_streamed_and_cancelled_at_either_server(own_redis: RedisServer) -> None:
    provider = ScriptedProvider(lambda request: [Hang(after="so far")])
    async with pair(own_redis, provider) as servers:
        for here, there in (servers, servers[::-1]):
            submitted = await here.submit()
            path = f"/api/v2/runs/{submitted['runId']}"
            async with there.stream(submitted["streamUrl"]) as events:
                await until(events, "item_delta")
                assert (await here.http.get(path)).json()["status"] == "in_progress"
                assert (await there.http.post(f"{path}/cancel")).status_code == 202
                await until(events, "response_done")
            for server in (here, there):
                assert (await server.http.get(path)).json()["status"] == "aborted"


async def test_a_question_is_answered_at_the_server_that_does_not_work_on_it(
    own_redis: RedisServer,
) -> None:
    runner = Runner()
    async with pair(own_redis, commands("make"), [runner]) as (front, back):
        submitted = await back.submit()
        asked = (await question(front.core, submitted["runId"])).approval_id
        path = f"/api/v2/runs/{submitted['runId']}/approvals/{asked}"
        answers = [
            (await server.http.post(path, json={"decision": "approve"})).status_code
            for server in (front, back)
        ]
        await front.events(submitted["streamUrl"])
    assert (answers, runner.ran) == ([200, 409], ["make"])


async def test_both_servers_hear_of_the_runs_of_a_thread(own_redis: RedisServer) -> None:
    provider = ScriptedProvider([[Say("Hello.")], [Hang(after="so far")]])
    async with pair(own_redis, provider) as (front, back):
        first = await front.ask()
        path = f"/api/v2/threads/{first['threadId']}/events"
        ids = {"runId": new_id(), "threadId": first["threadId"]}
        async with front.stream(path) as one, back.stream(path) as two:
            await back.submit(**ids)
            for events in (one, two):
                assert json.loads((await until(events, "run_started")).data) == ids
            async with front.stream(path) as late:
                assert json.loads((await until(late, "run_started")).data) == ids
            await front.http.post(f"/api/v2/runs/{ids['runId']}/cancel")
            ends = [await until(events, "run_ended") for events in (one, two)]
        assert [json.loads(end.data) for end in ends] == [{**ids, "status": "aborted"}] * 2
        assert ends[0] == ends[1]


async def test_a_thread_shows_what_another_server_has_not_stored_yet(
    own_redis: RedisServer,
) -> None:
    provider = ScriptedProvider([[Say("Hello.")], [Hang(after="so far")]])
    async with pair(own_redis, provider) as (front, back):
        first = await back.ask()
        thread = first["threadId"]
        second = await back.submit("again", threadId=thread)
        async with back.stream(second["streamUrl"]) as events:
            await until(events, "item_delta")
            shown = (await back.http.get(f"/api/v2/runs/{second['runId']}")).json()
            detail = (await front.http.get(f"/api/v2/threads/{thread}")).json()
        assert [run["id"] for run in detail["runs"]] == [first["runId"], second["runId"]]
        assert detail["runs"][1]["output_items"] == shown["output_items"]


async def test_streams_of_a_run_that_goes_on_elsewhere_end_with_their_server_and_are_resumed(
    own_redis: RedisServer,
) -> None:
    provider = ScriptedProvider([[Hang(after="so far")]])
    async with pair(own_redis, provider) as (front, back):
        submitted = await front.submit()
        url = submitted["streamUrl"]
        async with asyncio.timeout(20), front.stream(url) as events:
            seen = [await anext(events)]
            front.stop.ask()
            seen += [event async for event in events]
        await back.http.post(f"/api/v2/runs/{submitted['runId']}/cancel")
        seen += await back.events(url, **{"Last-Event-ID": seen[-1].id})
        assert seen == await back.events(url)
        assert seen[-1].event == "response_done"


async def test_a_run_that_nobody_works_on_yet_is_queued(own_redis: RedisServer) -> None:
    async with served(ScriptedProvider([]), works=False, redis_url=own_redis.url) as front:
        submitted = await front.submit()
        path = f"/api/v2/runs/{submitted['runId']}"
        assert (await front.http.get(path)).json()["status"] == "queued"
        async with served(ScriptedProvider([[Say("Hello.")]]), redis_url=own_redis.url):
            await front.events(submitted["streamUrl"])
        assert (await front.http.get(path)).json()["status"] == "complete"
