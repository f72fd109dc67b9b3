"""What every client must do. A test module inherits these and provides the fixture ``opened``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

import pytest
from cody_core.client import Client
from cody_core.errors import (
    ApprovalResolvedBefore,
    InvalidModel,
    RunNotFound,
    UnknownAgent,
    UnknownProvider,
)
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider, Think
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import (
    START,
    ApprovalResolved,
    Entry,
    TurnAbortedByUser,
)
from cody_core.schema.items import FunctionCallOutput
from cody_core.schema.requests import ModelRequest, SubmitRequest
from cody_core.tools import Tool
from support.asking import Runner, commands, question
from support.core import MODEL, ask, ended, events_of, texts

UNICODE = "Grüße, 世界 \u2028 \r\n 🌍"


NOWHERE = ["01890a5d-ac96-774b-bcce-b302099a8057", "no-id", "..", "a/b?c#d"]
"""Ids of nothing, some of them no ids at all."""


class Opened(Protocol):
    """Opens a client of a core of its own: ``support.core.core``, or that behind a server."""

    def __call__(
        self, provider: ScriptedProvider, *, tools: Sequence[Tool] = (), **flags: object
    ) -> AbstractAsyncContextManager[Client]: ...


def echo() -> ScriptedProvider:
    """Return a model that thinks, and says what it was asked last; ``hang`` makes it hang."""

    def answer(request: ModelRequest) -> Sequence[Think | Say | Hang]:
        prompt = texts(request.items)[-1]
        return [Hang(after="I was")] if prompt == "hang" else [Think("Hm."), Say(prompt)]

    return ScriptedProvider(answer)


async def entries_of(client: Client, run_id: str, after: str = START) -> list[Entry]:
    async with asyncio.timeout(20), aclosing(client.follow(run_id, after=after)) as batches:
        return [entry async for batch in batches for entry in batch]


async def hanging(client: Client, thread_id: str | None = None) -> tuple[str, str]:
    """Submit a prompt whose answer hangs, wait for its first words; return run and thread."""
    submitted = await client.submit(SubmitRequest(prompt="hang", thread_id=thread_id))
    reducer = ResponseReducer()
    async with asyncio.timeout(20), aclosing(client.follow(submitted.run_id)) as batches:
        async for batch in batches:
            reducer.feed(batch)
            if reducer.response is not None and "I was" in texts(reducer.response.output_items):
                return submitted.run_id, submitted.thread_id
    pytest.fail("it did not hang")


async def asked(client: Client) -> tuple[str, str]:
    """Submit a prompt, and return its run and the question that it asks."""
    submitted = await client.submit(SubmitRequest(prompt="go"))
    return submitted.run_id, (await question(client, submitted.run_id)).approval_id


class RunContract:
    async def test_a_run_is_followed_to_its_end_and_comes_back_as_it_was(
        self, opened: Opened
    ) -> None:
        async with opened(echo()) as client:
            response = await ask(client, UNICODE)
            assert texts(response.output_items) == [UNICODE]
            reducer = ResponseReducer()
            reducer.feed(await entries_of(client, response.id))
            assert reducer.response == response

    async def test_everything_a_request_says_arrives(self, opened: Opened) -> None:
        provider = echo()
        request = SubmitRequest(
            prompt="p",
            model=MODEL,
            run_id=new_id(),
            turn_id=new_id(),
            agent_id="poet",
            system="Rhyme.",
            reasoning_effort="xhigh",
            thinking_budget=7,
            max_output_tokens=8,
        )
        async with opened(provider, agents={"poet": {}}) as client:
            submitted = await client.submit(request)
            response = await ended(client, submitted.run_id)
        assert (submitted.run_id, submitted.turn_id) == (request.run_id, request.turn_id)
        assert (response.id, response.turn_id) == (request.run_id, request.turn_id)
        assert (response.thread_id, response.agent_id) == (submitted.thread_id, "poet")
        (asked,) = provider.requests
        assert (asked.system, asked.reasoning_effort) == ("Rhyme.", "xhigh")
        assert (asked.thinking_budget, asked.max_output_tokens) == (7, 8)

    async def test_the_same_run_is_not_submitted_twice(self, opened: Opened) -> None:
        provider, request = echo(), SubmitRequest(prompt="once", run_id=new_id())
        async with opened(provider) as client:
            first = await client.submit(request)
            assert await client.submit(request) == first
            await ended(client, first.run_id)
            assert await client.submit(request) == first
            assert len((await client.threads()).threads) == 1
        assert len(provider.requests) == 1

    async def test_following_goes_on_after_any_offset(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            response = await ask(client, "some words to be said one by one")
            seen = [(entry.offset, entry.data) for entry in await entries_of(client, response.id)]
            for at, (offset, _) in enumerate(seen, 1):
                rest = await entries_of(client, response.id, offset)
                assert [(entry.offset, entry.data) for entry in rest] == seen[at:]

    async def test_who_comes_late_gets_everything_and_then_what_comes(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            run_id, _ = await hanging(client)
            async with asyncio.TaskGroup() as tasks:
                late = [tasks.create_task(entries_of(client, run_id)) for _ in range(3)]
                await asyncio.sleep(0)
                await client.cancel(run_id)
            whole = [entry.data for entry in await entries_of(client, run_id)]
            for task in late:
                assert [entry.data for entry in task.result()] == whole

    async def test_following_can_be_left_and_the_run_goes_on(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            run_id, _ = await hanging(client)
            assert (await client.run(run_id)).status == "in_progress"
            await client.cancel(run_id)
            assert (await ended(client, run_id)).status == "aborted"

    async def test_a_malformed_offset_is_no_offset(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            response = await ask(client)
            with pytest.raises(ValueError, match="yesterday"):
                await entries_of(client, response.id, "yesterday")

    async def test_a_run_the_log_has_forgotten_is_replayed(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            response = await ask(client, "hello")
        async with opened(echo()) as client:
            reducer = ResponseReducer()
            reducer.feed(await entries_of(client, response.id))
            assert reducer.response == response

    async def test_of_a_run_the_log_has_forgotten_midway_there_is_the_end_once(
        self, opened: Opened
    ) -> None:
        async with opened(echo()) as client:
            response = await ask(client, "hello")
            whole = await entries_of(client, response.id)
        async with opened(echo()) as client:
            (end,) = await entries_of(client, response.id, whole[2].offset)
            assert (end.is_terminal, end.event.run_id) == (True, response.id)
            assert await entries_of(client, response.id, end.offset) == []

    async def test_cancelling_keeps_what_came(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            run_id, thread_id = await hanging(client)
            await client.cancel(run_id, reason="enough")
            response = await ended(client, run_id)
            assert response.status == "aborted"
            asked = [event.payload for event in await events_of(client, run_id)]
            assert [p.reason for p in asked if isinstance(p, TurnAbortedByUser)] == ["enough"]
            assert (await client.thread(thread_id)).runs == (response,)
            await client.cancel(run_id)
            assert await client.run(run_id) == response

    async def test_a_refused_request_leaves_nothing_behind(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            with pytest.raises(UnknownProvider, match="nobody"):
                await client.submit(SubmitRequest(prompt="x", provider_id="nobody"))
            with pytest.raises(InvalidModel, match="mystery"):
                await client.submit(SubmitRequest(prompt="x", model="mystery"))
            with pytest.raises(InvalidModel):
                await client.submit(
                    SubmitRequest(prompt="x", model="gpt-5", provider_id="anthropic")
                )
            with pytest.raises(UnknownAgent, match="stranger"):
                await client.submit(SubmitRequest(prompt="x", agent_id="stranger"))
            assert (await client.threads()).threads == ()

    @pytest.mark.parametrize("nowhere", NOWHERE)
    async def test_a_run_that_does_not_exist_is_said_to_be_so(
        self, opened: Opened, nowhere: str
    ) -> None:
        async with opened(echo()) as client:
            lookups: list[Awaitable[object]] = [
                client.run(nowhere),
                client.cancel(nowhere),
                client.resolve_approval(nowhere, new_id(), "approve"),
                entries_of(client, nowhere),
            ]
            for lookup in lookups:
                with pytest.raises(RunNotFound) as caught:
                    await lookup
                assert repr(nowhere) in caught.value.message


class ApprovalContract:
    @pytest.fixture
    async def asking(self, opened: Opened) -> AsyncIterator[tuple[Client, Runner]]:
        runner = Runner()
        async with opened(commands("make"), tools=[runner], policy="ask") as client:
            yield client, runner

    async def test_consent_lets_a_call_run(self, asking: tuple[Client, Runner]) -> None:
        client, runner = asking
        run_id, approval_id = await asked(client)
        await client.resolve_approval(run_id, approval_id, "approve")
        response = await ended(client, run_id)
        assert (response.status, runner.ran) == ("complete", ["make"])

    async def test_refusal_and_its_reason_reach_the_model(
        self, asking: tuple[Client, Runner]
    ) -> None:
        client, runner = asking
        run_id, approval_id = await asked(client)
        await client.resolve_approval(run_id, approval_id, "deny", reason="not on Sundays")
        response = await ended(client, run_id)
        (output,) = [i for i in response.output_items if isinstance(i, FunctionCallOutput)]
        assert "not on Sundays" in output.output
        assert runner.ran == []

    async def test_the_first_answer_counts(self, asking: tuple[Client, Runner]) -> None:
        client, runner = asking
        run_id, approval_id = await asked(client)
        given = await asyncio.gather(
            *(client.resolve_approval(run_id, approval_id, "approve") for _ in range(4)),
            return_exceptions=True,
        )
        assert sorted(map(repr, given)).count("None") == 1
        assert sum(isinstance(answer, ApprovalResolvedBefore) for answer in given) == 3
        await ended(client, run_id)
        answers = [event.payload for event in await events_of(client, run_id)]
        assert sum(isinstance(answer, ApprovalResolved) for answer in answers) == 1
        assert runner.ran == ["make"]

    async def test_what_nobody_asked_cannot_be_answered(
        self, asking: tuple[Client, Runner]
    ) -> None:
        client, _ = asking
        run_id, approval_id = await asked(client)
        with pytest.raises(ApprovalResolvedBefore):
            await client.resolve_approval(run_id, new_id(), "approve")
        await client.cancel(run_id)
        await ended(client, run_id)
        with pytest.raises(ApprovalResolvedBefore):
            await client.resolve_approval(run_id, approval_id, "approve")
