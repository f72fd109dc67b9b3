"""Approvals as clients see them: questions and answers in the log, over both logs."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from cody_core.client import Client
from cody_core.errors import ApprovalResolvedBefore, RunNotFound
from cody_core.ids import new_id
from cody_core.providers.scripted import Say, ScriptedProvider
from cody_core.schema.events import ApprovalRequested, ApprovalResolved, Decision
from cody_core.schema.items import FunctionCallOutput
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response
from cody_core.tools.shell import Shell
from support.asking import Runner, commands, question
from support.core import core, ended, events_of
from support.redis import RedisServer


@pytest.fixture(params=["memory", "redis"])
def flags(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "memory":
        return {"policy": "ask"}
    server: RedisServer = request.getfixturevalue("redis_server")
    return {"policy": "ask", "redis_url": server.url}


def output(response: Response) -> FunctionCallOutput:
    (found,) = [i for i in response.output_items if isinstance(i, FunctionCallOutput)]
    return found


async def test_a_call_waits_for_consent_and_then_runs(flags: dict[str, Any]) -> None:
    tool = Runner()
    async with core(commands("make all"), tools=[tool], **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        asked = await question(client, submitted.run_id)
        assert tool.ran == []
        assert (asked.tool, asked.kind, asked.preview) == ("shell", "execute", "make all")
        assert asked.covers == "every command that begins with 'make all'"
        await client.resolve_approval(submitted.run_id, asked.approval_id, "approve")
        response = await ended(client, submitted.run_id)
    assert tool.ran == ["make all"]
    assert output(response).success


async def test_a_refusal_and_its_reason_reach_the_model(flags: dict[str, Any]) -> None:
    tool, provider = Runner(), commands("rm -rf /")
    async with core(provider, tools=[tool], **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        asked = await question(client, submitted.run_id)
        await client.resolve_approval(
            submitted.run_id, asked.approval_id, "deny", reason="use trash instead"
        )
        response = await ended(client, submitted.run_id)
    assert tool.ran == []
    assert not output(response).success
    assert "use trash instead" in output(response).output
    assert provider.requests[1].items[-1] == output(response)


async def test_the_first_answer_counts_and_every_client_sees_it(flags: dict[str, Any]) -> None:
    tool = Runner()
    async with core(commands("make"), tools=[tool], **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        asked = await question(client, submitted.run_id)

        async def answer(decision: Decision) -> bool:
            try:
                await client.resolve_approval(submitted.run_id, asked.approval_id, decision)
            except ApprovalResolvedBefore:
                return False
            return True

        async with asyncio.TaskGroup() as tasks:
            answers = [tasks.create_task(answer("approve" if n % 2 else "deny")) for n in range(10)]
        run = await events_of(client, submitted.run_id)
        with pytest.raises(ApprovalResolvedBefore):
            await client.resolve_approval(submitted.run_id, asked.approval_id, "approve")
    assert sum(task.result() for task in answers) == 1
    decisions = [e.payload.decision for e in run if isinstance(e.payload, ApprovalResolved)]
    assert len(decisions) == 1
    assert tool.ran == (["make"] if decisions == ["approve"] else [])


async def test_consent_for_the_session_covers_what_begins_alike(flags: dict[str, Any]) -> None:
    tool = Runner()
    provider = commands("git status", "git status -s", "git status; rm -rf /")
    async with core(provider, tools=[tool], **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        asked = await question(client, submitted.run_id)
        await client.resolve_approval(submitted.run_id, asked.approval_id, "approve_for_session")
        async with asyncio.timeout(10):
            while len(open_questions := await _open(client, submitted.run_id)) < 2:
                await asyncio.sleep(0.001)
        assert open_questions[1].preview == "git status; rm -rf /"
        await client.resolve_approval(submitted.run_id, open_questions[1].approval_id, "deny")
        await ended(client, submitted.run_id)
    assert tool.ran == ["git status", "git status -s"]


async def _open(client: Client, run_id: str) -> list[ApprovalRequested]:
    async with aclosing(client.follow(run_id)) as batches:
        batch = await anext(batches)
    return [e.payload for e in batch if isinstance(e.payload, ApprovalRequested)]


async def test_consent_for_good_outlives_the_program(flags: dict[str, Any], tmp_path: Path) -> None:
    async with core(commands("make test"), tools=[Runner()], **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        asked = await question(client, submitted.run_id)
        await client.resolve_approval(submitted.run_id, asked.approval_id, "approve_always")
        await ended(client, submitted.run_id)
    tool = Runner()
    async with core(commands("make test -j2"), tools=[tool], **flags) as client:
        later = await client.submit(SubmitRequest(prompt="go"))
        await ended(client, later.run_id)
    assert tool.ran == ["make test -j2"]
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_cancelled_run_answers_its_own_questions(flags: dict[str, Any]) -> None:
    tool = Runner()
    async with core(commands("make"), tools=[tool], **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        asked = await question(client, submitted.run_id)
        await client.cancel(submitted.run_id)
        run = await events_of(client, submitted.run_id)
        with pytest.raises(ApprovalResolvedBefore):
            await client.resolve_approval(submitted.run_id, asked.approval_id, "approve")
    answers = [e.payload for e in run if isinstance(e.payload, ApprovalResolved)]
    assert [(a.approval_id, a.decision, a.by) for a in answers] == [
        (asked.approval_id, "deny", "cody")
    ]
    assert tool.ran == []


async def test_leaving_while_something_is_asked_stops_the_call_first(
    flags: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    tool = Runner()
    async with core(commands("make"), tools=[tool], **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        await question(client, submitted.run_id)
    assert "did not stop in time" not in caplog.text
    async with core(commands(), **flags) as client:
        response = await client.run(submitted.run_id)
    assert [item.type for item in response.output_items] == ["function_call", "cancelled"]
    assert (response.status, response.finish_reason, tool.ran) == ("aborted", "interrupted", [])


async def test_read_only_refuses_without_asking(flags: dict[str, Any]) -> None:
    tool = Runner()
    async with core(commands("make"), tools=[tool], **flags) as client:
        request = SubmitRequest(prompt="go", policy="read-only")
        submitted = await client.submit(request)
        response = await ended(client, submitted.run_id)
    assert tool.ran == []
    assert "read-only" in output(response).output


async def test_the_real_shell_asks_again_for_what_only_begins_alike(flags: dict[str, Any]) -> None:
    tool = Shell({"PATH": os.environ["PATH"]})
    provider = commands("echo one", "echo one two", "echo one; echo two")
    async with core(provider, tools=[tool], **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        asked = await question(client, submitted.run_id)
        await client.resolve_approval(submitted.run_id, asked.approval_id, "approve_for_session")
        async with asyncio.timeout(10):
            while len(open_questions := await _open(client, submitted.run_id)) < 2:
                await asyncio.sleep(0.001)
        assert open_questions[1].summary == "echo one; echo two"
        await client.resolve_approval(submitted.run_id, open_questions[1].approval_id, "deny")
        response = await ended(client, submitted.run_id)
    outputs = [i for i in response.output_items if isinstance(i, FunctionCallOutput)]
    assert [output.success for output in outputs] == [True, True, False]


async def test_a_question_nobody_asked_cannot_be_answered(flags: dict[str, Any]) -> None:
    async with core(ScriptedProvider([[Say("hi")]]), **flags) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        with pytest.raises(ApprovalResolvedBefore):
            await client.resolve_approval(submitted.run_id, new_id(), "approve")
        with pytest.raises(RunNotFound):
            await client.resolve_approval(new_id(), new_id(), "approve")
