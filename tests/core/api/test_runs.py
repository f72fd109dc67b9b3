"""Submitting, looking up, cancelling and answering, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.schema.requests import MAX_PROMPT_CHARACTERS
from cody_core.settings import ServerSettings
from support.asking import Runner, commands, question
from support.server import Served, served


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served(ScriptedProvider(lambda request: [Say("Hello.")])) as server:
        yield server


async def test_what_is_submitted_says_where_it_is_and_is_found_there(server: Served) -> None:
    submitted = await server.submit()
    assert set(submitted) == {"runId", "threadId", "turnId", "streamUrl"}
    assert submitted["streamUrl"] == f"/api/v2/stream/{submitted['runId']}"
    await server.events(submitted["streamUrl"])
    found = await server.http.get(f"/api/v2/runs/{submitted['runId']}")
    response = await server.core.run(submitted["runId"])
    assert (found.status_code, found.text) == (200, response.model_dump_json())
    assert (response.status, response.turn_id) == ("complete", submitted["turnId"])


async def test_ids_that_are_given_are_used_whatever_their_case(server: Served) -> None:
    run_id, turn_id = new_id(), new_id()
    submitted = await server.ask(runId=run_id.upper(), turnId=turn_id)
    assert (submitted["runId"], submitted["turnId"]) == (run_id, turn_id)
    assert (await server.http.get(f"/api/v2/runs/{run_id.upper()}")).status_code == 200


async def test_all_that_may_be_said_of_a_prompt_arrives() -> None:
    provider = ScriptedProvider(lambda request: [Say("Hello.")])
    async with served(provider) as server:
        submitted = await server.ask(
            model="model",
            providerId="scripted",
            system="be brief",
            reasoningEffort="high",
            thinkingBudget=7,
            maxOutputTokens=9,
            policy="read-only",
            somethingNew=True,
        )
        assert (await server.core.run(submitted["runId"])).model_id == "model"
    asked = provider.requests[0]
    assert (asked.system, asked.reasoning_effort) == ("be brief", "high")
    assert (asked.thinking_budget, asked.max_output_tokens) == (7, 9)


async def test_the_same_run_submitted_twice_runs_once(server: Served) -> None:
    first = await server.ask(runId=new_id())
    again = await server.http.post("/api/v2/submit", json={"prompt": "x", "runId": first["runId"]})
    assert (again.status_code, again.json()) == (202, first)
    assert len((await server.core.thread(first["threadId"])).runs) == 1


async def test_a_run_on_its_way_is_shown_as_far_as_it_has_come() -> None:
    async with served(ScriptedProvider([[Hang(after="so far")]])) as server:
        submitted = await server.submit()
        async with server.stream(submitted["streamUrl"]) as events:
            async for event in events:
                if event.event == "item_delta":
                    break
        found = (await server.http.get(f"/api/v2/runs/{submitted['runId']}")).json()
    assert found["status"] == "in_progress"
    assert found["output_items"][0]["content"].startswith("so")


async def test_a_cancelled_run_ends_as_aborted_and_cancelling_it_again_is_nothing() -> None:
    async with served(ScriptedProvider([[Hang(after="so far")]])) as server:
        submitted = await server.submit()
        path = f"/api/v2/runs/{submitted['runId']}/cancel"
        cancelled = await server.http.post(path, json={"reason": "enough"})
        assert (cancelled.status_code, cancelled.json()) == (202, {"runId": submitted["runId"]})
        events = await server.events(submitted["streamUrl"])
        assert [event.event for event in events][-1] == "response_done"
        aborts = [event.data for event in events if event.event == "turn_aborted_by_user"]
        assert '"enough"' in aborts[0]
        assert (await server.http.post(path)).status_code == 202
        assert (await server.core.run(submitted["runId"])).status == "aborted"


async def test_a_question_is_answered_once() -> None:
    async with served(commands("ls"), tools=[Runner()], policy="ask") as server:
        submitted = await server.submit()
        asked = (await question(server.core, submitted["runId"])).approval_id
        path = f"/api/v2/runs/{submitted['runId']}/approvals/{asked}"
        answers = [await server.http.post(path, json={"decision": "approve"}) for _ in range(2)]
        await server.events(submitted["streamUrl"])
    assert (answers[0].status_code, answers[0].json()) == (
        *(200, {"approvalId": asked, "decision": "approve"}),
    )
    assert answers[1].status_code == 409
    assert answers[1].json()["error"]["code"] == "APPROVAL_RESOLVED"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "runs/{id}", None),
        ("POST", "runs/{id}/cancel", {}),
        ("POST", "runs/{id}/approvals/a", {"decision": "deny"}),
        ("GET", "stream/{id}", None),
    ],
)
async def test_a_run_that_is_not_there_is_said_to_be_so(
    server: Served, method: str, path: str, body: object
) -> None:
    nowhere = new_id()
    answer = await server.http.request(method, f"/api/v2/{path.format(id=nowhere)}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "RUN_NOT_FOUND")
    assert nowhere in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"threadId": "01a20436-6d15-73ae-a0df-3650e2e4e342"}, 404, "THREAD_NOT_FOUND"),
        ({"model": "mystery"}, 400, "INVALID_MODEL"),
        ({"model": "gpt-5", "providerId": "anthropic"}, 400, "INVALID_MODEL"),
        ({"providerId": "nobody"}, 400, "UNKNOWN_PROVIDER"),
        ({"agentId": "nobody"}, 400, "UNKNOWN_AGENT"),
    ],
)
async def test_what_cannot_be_run_is_refused_and_leaves_nothing(
    server: Served, more: dict[str, object], status: int, code: str
) -> None:
    answer = await server.http.post("/api/v2/submit", json={"prompt": "x", **more})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert (await server.core.threads()).threads == ()


async def test_an_unknown_provider_is_answered_with_those_there_are(server: Served) -> None:
    body = {"prompt": "x", "providerId": "nobody"}
    error = (await server.http.post("/api/v2/submit", json=body)).json()["error"]
    assert {"openai", "anthropic", "scripted"} <= set(error["details"]["providers"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x" * (MAX_PROMPT_CHARACTERS + 1)}, "prompt"),
        ({"prompt": "x", "threadId": "one"}, "threadId"),
        ({"prompt": "x", "runId": ""}, "runId"),
        ({"prompt": "x", "turnId": None, "thinkingBudget": "many"}, "thinkingBudget"),
        ({"prompt": "x", "thinkingBudget": 10**400}, "thinkingBudget"),
        ({"prompt": "x", "reasoningEffort": "very"}, "reasoningEffort"),
        ({"prompt": "x", "policy": "none"}, "policy"),
        ([], ""),
    ],
    ids=range(11),
)
async def test_a_field_that_is_wrong_is_named_and_not_repeated(
    server: Served, body: object, field: str
) -> None:
    answer = await server.http.post("/api/v2/submit", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["details"]["field"]) == ("VALIDATION_ERROR", field)
    assert error["details"]["problems"][0]["message"]
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"prompt": "x", "system": "\\ud800"}',
        b'{"\\ud800": 1}',
        b"[" * 100_000,
        b"NaN",
    ],
    ids=range(7),
)
async def test_a_body_that_is_no_request_is_refused(server: Served, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await server.http.post("/api/v2/submit", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_half_a_character_in_a_prompt_is_replaced(server: Served) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"prompt": "cut off: \\ud83d"}'
    submitted = await server.http.post("/api/v2/submit", content=body, headers=headers)
    assert submitted.status_code == 202, submitted.text
    found = await server.http.get(f"/api/v2/runs/{submitted.json()['runId']}")
    assert "cut off: ?" in found.text


@pytest.mark.parametrize(
    "path", ["runs/one", "stream/one", "threads/one", "threads/one/events", "threads?limit=0"]
)
async def test_a_parameter_that_cannot_be_is_refused(server: Served, path: str) -> None:
    answer = await server.http.get(f"/api/v2/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["error"]["details"]["field"] in ("runId", "threadId", "limit")


async def test_there_are_no_more_runs_than_there_may_be() -> None:
    provider = ScriptedProvider([[Hang(after="so far")], [Say("Hello.")]])
    async with served(provider, serve=ServerSettings(max_live=1)) as server:
        first = await server.submit()
        refused = await server.http.post("/api/v2/submit", json={"prompt": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TOO_MANY_RUNS")
        again = await server.submit("x", runId=first["runId"])
        assert again == first
        await server.http.post(f"/api/v2/runs/{first['runId']}/cancel")
        await server.events(first["streamUrl"])
        async with asyncio.timeout(5):
            while (await server.http.post("/api/v2/submit", json={"prompt": "x"})).is_error:
                await asyncio.sleep(0.001)


async def test_more_runs_than_are_worked_on_are_queued_and_then_answered() -> None:
    provider = ScriptedProvider([[Hang(after="so far")], [Say("Hello.")]])
    async with served(provider, max_runs=1) as server:
        first, second = await server.submit(), await server.submit()
        path = f"/api/v2/runs/{second['runId']}"
        found = (await server.http.get(path)).json()
        assert (found["status"], found["output_items"]) == ("queued", [])
        async with server.stream(second["streamUrl"]) as events:
            start = await anext(events)
            assert (start.event, '"status":"queued"' in start.data) == ("response_start", True)
            await server.http.post(f"/api/v2/runs/{first['runId']}/cancel")
            assert [event.event async for event in events][-1] == "response_done"
        assert (await server.http.get(path)).json()["status"] == "complete"


async def test_a_queued_run_that_is_cancelled_ends_at_once() -> None:
    async with served(ScriptedProvider([[Hang(after="so far")]]), max_runs=1) as server:
        first, second = await server.submit(), await server.submit()
        await server.http.post(f"/api/v2/runs/{second['runId']}/cancel", json={"reason": "enough"})
        kinds = [event.event for event in await server.events(second["streamUrl"])]
        assert kinds == ["response_start", "turn_aborted_by_user", "response_done"]
        assert (await server.core.run(first["runId"])).status == "in_progress"
