"""Threads over a real server, and word of their runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.sse import ServerSentEvent
from support.redis import RedisServer
from support.server import Served, served

THREADS = "/api/v2/threads"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served(ScriptedProvider(lambda request: [Say("Hello.")])) as server:
        yield server


async def titles(server: Served, **query: str | int) -> list[str]:
    answer = await server.http.get(THREADS, params=query)
    assert answer.status_code == 200
    return [thread["title"] for thread in answer.json()["threads"]]


async def test_a_thread_has_all_its_fields_and_its_runs_as_they_are_stored(server: Served) -> None:
    first = await server.ask("about bees")
    await server.ask("and wasps?", threadId=first["threadId"].upper())
    answer = await server.http.get(f"{THREADS}/{first['threadId']}")
    detail = await server.core.thread(first["threadId"])
    shown = answer.json()["thread"]
    created = datetime.fromtimestamp(detail.thread.created_at / 1000, UTC)
    assert datetime.fromisoformat(shown["createdAt"]) == created
    assert datetime.fromisoformat(shown["updatedAt"]) >= created
    assert shown == {
        "threadId": first["threadId"],
        "title": "about bees",
        "summary": None,
        "tags": [],
        "agentRole": None,
        "modelProviderId": "scripted",
        "modelProviderApi": "demo",
        "model": "model",
        "createdAt": shown["createdAt"],
        "updatedAt": shown["updatedAt"],
        "state": None,
    }
    assert answer.json()["runs"] == [json.loads(run.model_dump_json()) for run in detail.runs]
    assert len(detail.runs) == 2


async def test_threads_are_listed_newest_change_first_page_by_page(server: Served) -> None:
    for number in range(5):
        await server.ask(f"prompt {number}")
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await server.http.get(THREADS, params=query)).json()
        seen += [thread["title"] for thread in page["threads"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == [f"prompt {number}" for number in (4, 3, 2, 1, 0)]


async def test_threads_are_found_by_tag_and_by_what_was_said(server: Served) -> None:
    bees = await server.ask("about bees")
    await server.ask("about whales")
    await server.http.patch(f"{THREADS}/{bees['threadId']}", json={"tags": ["nature", "nature"]})
    assert await titles(server, tag="nature") == ["about bees"]
    assert await titles(server, q="whal") == ["about whales"]
    async with asyncio.timeout(5):  # an answer is given before it is stored
        while await titles(server, q="hello") != ["about bees", "about whales"]:
            await asyncio.sleep(0.001)
    assert await titles(server, q="bees", tag="other") == []


async def test_a_thread_is_changed_and_shown_while_the_log_is_away(own_redis: RedisServer) -> None:
    provider = ScriptedProvider([[Say("Hello.")]])
    async with served(provider, redis_url=own_redis.url) as server, asyncio.timeout(20):
        submitted = await server.ask()
        own_redis.stop()
        path = f"{THREADS}/{submitted['threadId']}"
        answer = await server.http.patch(path, json={"title": "Renamed"})
        assert (answer.status_code, answer.json()["title"]) == (200, "Renamed")
        await asyncio.to_thread(own_redis.start)  # for what is to be said of the run at the end


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"cursor": "nonsense"}, "INVALID_REQUEST"),
        ({"limit": "0"}, "VALIDATION_ERROR"),
        ({"limit": "501"}, "VALIDATION_ERROR"),
        ({"limit": "many"}, "VALIDATION_ERROR"),
        ({"q": "a\0b"}, "VALIDATION_ERROR"),
        ({"tag": "x" * 1001}, "VALIDATION_ERROR"),
    ],
)
async def test_a_list_that_cannot_be_is_refused(
    server: Served, query: dict[str, str], code: str
) -> None:
    answer = await server.http.get(THREADS, params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_a_thread_is_made_and_then_answered_in(server: Served) -> None:
    body = {
        "threadId": new_id(),
        "title": " Bees ",
        "summary": "of bees",
        "tags": ["a", "b", "a"],
        "agentRole": "default",
        "model": "model",
        "modelProviderId": "scripted",
    }
    made = await server.http.post(THREADS, json=body)
    assert made.status_code == 201
    expected = {**body, "title": "Bees", "tags": ["a", "b"]}
    assert {key: made.json()[key] for key in body} == expected
    submitted = await server.ask("hello", threadId=body["threadId"])
    detail = (await server.http.get(f"{THREADS}/{body['threadId']}")).json()
    assert (detail["thread"]["title"], detail["runs"][0]["id"]) == ("Bees", submitted["runId"])
    assert (await server.http.post(THREADS, json={})).json()["title"] == "Untitled"


async def test_a_thread_that_is_or_was_there_is_not_made_again(server: Served) -> None:
    body = {"threadId": new_id()}
    assert (await server.http.post(THREADS, json=body)).status_code == 201
    again = await server.http.post(THREADS, json={"threadId": body["threadId"].upper()})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "THREAD_EXISTS")
    assert (await server.http.delete(f"{THREADS}/{body['threadId']}")).status_code == 204
    assert (await server.http.post(THREADS, json=body)).status_code == 409


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"title": " "}, "VALIDATION_ERROR"),
        ({"tags": "one"}, "VALIDATION_ERROR"),
        ({"tags": [""]}, "VALIDATION_ERROR"),
        ({"threadId": "one"}, "VALIDATION_ERROR"),
        ({"model": "mystery"}, "INVALID_MODEL"),
        ({"modelProviderId": "nobody"}, "UNKNOWN_PROVIDER"),
    ],
)
async def test_a_thread_that_cannot_be_is_not_made(
    server: Served, body: dict[str, object], code: str
) -> None:
    answer = await server.http.post(THREADS, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert (await server.core.threads()).threads == ()


async def test_what_is_said_is_changed_and_the_rest_stays(server: Served) -> None:
    submitted = await server.ask("about bees")
    path = f"{THREADS}/{submitted['threadId']}"
    before = (await server.http.get(path)).json()["thread"]
    changes = {"title": "Bees", "summary": "of bees", "tags": ["x"], "agentRole": "default"}
    for field, value in changes.items():
        answer = await server.http.patch(path, json={field: value})
        after = (await server.http.get(path)).json()["thread"]
        assert (answer.status_code, answer.json()) == (200, after)
        assert after == {**before, field: value, "updatedAt": after["updatedAt"]}
        assert after["updatedAt"] >= before["updatedAt"]
        before = after
    cleared = await server.http.patch(path, json={"summary": "", "tags": []})
    assert (cleared.json()["summary"], cleared.json()["tags"]) == ("", [])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"color": "red"},
        {"threadId": new_id()},
        {"createdAt": "now"},
        {"model": "m"},
        {"title": None},
        {"title": ""},
        {"title": "x", "modelProviderId": "p"},
        {"tags": [1]},
        [],
    ],
    ids=range(10),
)
async def test_a_change_of_nothing_or_of_what_cannot_change_is_refused(
    server: Served, body: object
) -> None:
    made = (await server.http.post(THREADS, json={"title": "Bees"})).json()
    answer = await server.http.patch(f"{THREADS}/{made['threadId']}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert (await server.core.thread(made["threadId"])).thread.title == "Bees"


async def test_deleting_takes_the_runs_along(server: Served) -> None:
    submitted = await server.ask()
    path = f"{THREADS}/{submitted['threadId']}"
    answers = [await server.http.delete(path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 404]
    assert answers[0].content == b""
    assert (await server.http.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/events", None),
        ("PATCH", "", {"title": "x"}),
        ("DELETE", "", None),
        ("POST", "/fork", {}),
    ],
)
async def test_a_thread_that_is_not_there_is_said_to_be_so(
    server: Served, method: str, path: str, body: object
) -> None:
    answer = await server.http.request(method, f"{THREADS}/{new_id()}{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "THREAD_NOT_FOUND")


async def test_a_thread_is_copied_up_to_a_run(server: Served) -> None:
    first = await server.ask("one")
    second = await server.ask("two", threadId=first["threadId"])
    path = f"{THREADS}/{first['threadId']}/fork"
    body = {"before": second["runId"], "title": "Other"}
    copy = await server.http.post(path, json=body)
    assert (copy.status_code, copy.json()["title"]) == (201, "Other")
    detail = await server.core.thread(copy.json()["threadId"])
    assert [run.input_items[0].model_dump()["content"] for run in detail.runs] == ["one"]
    whole = await server.http.post(path)
    assert len((await server.core.thread(whole.json()["threadId"])).runs) == 2
    nowhere = await server.http.post(path, json={"until": new_id()})
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "RUN_NOT_FOUND")


async def word(events: AsyncIterator[ServerSentEvent]) -> tuple[str, dict[str, str]]:
    async with asyncio.timeout(10):
        event = await anext(events)
    return event.event, json.loads(event.data)


async def test_a_second_screen_hears_of_runs_of_its_thread_alone() -> None:
    provider = ScriptedProvider([[Say("Hello.")], [Say("Elsewhere.")], [Hang(after="so far")]])
    async with served(provider) as server:
        first = await server.ask()
        thread = first["threadId"]
        async with server.stream(f"{THREADS}/{thread}/events") as events:
            await server.ask("another thread")
            third = await server.submit("x", threadId=thread)
            ids = {"runId": third["runId"], "threadId": thread}
            assert await word(events) == ("run_started", ids)
            async with server.stream(f"{THREADS}/{thread}/events") as later:
                assert await word(later) == ("run_started", ids)
                await server.http.post(f"/api/v2/runs/{third['runId']}/cancel")
                for listener in (events, later):
                    assert await word(listener) == ("run_ended", {**ids, "status": "aborted"})
            await server.ask(runId=first["runId"])  # no word of this: it was over before
            last = await server.submit("y", threadId=thread)
            assert (await word(events))[1] == {"runId": last["runId"], "threadId": thread}


async def test_who_comes_back_hears_what_was_missed() -> None:
    async with served(ScriptedProvider(lambda request: [Say("Hello.")])) as server:
        thread = (await server.ask())["threadId"]
        url = f"{THREADS}/{thread}/events"
        async with server.stream(url) as events:
            await server.ask("a", threadId=thread)
            begun = await anext(events)
        await server.ask("b", threadId=thread)
        async with server.stream(url, **{"Last-Event-ID": begun.id}) as events:
            missed = [(await word(events))[0] for _ in range(3)]
        assert missed == ["run_ended", "run_started", "run_ended"]
