"""What every client must do. A test module inherits these and provides the fixture ``opened``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Protocol

import pytest
from cody_core.client import Client
from cody_core.errors import (
    ApprovalResolvedBefore,
    InvalidModel,
    InvalidRequest,
    NotFound,
    RunNotFound,
    ThreadNotFound,
    UnknownAgent,
    UnknownProvider,
)
from cody_core.ids import new_id
from cody_core.providers.scripted import Call, Hang, Say, ScriptedProvider, Think
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import (
    START,
    ApprovalRequested,
    ApprovalResolved,
    Entry,
    TurnAbortedByUser,
)
from cody_core.schema.files import Attachment
from cody_core.schema.items import FunctionCallOutput
from cody_core.schema.requests import ModelRequest, SubmitRequest
from cody_core.schema.threads import ThreadChanges
from cody_core.tools import Intent, Tool, ToolContext, ToolKind, ToolResult
from pydantic import BaseModel
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


async def hanging(client: Client) -> tuple[str, str]:
    """Submit a prompt whose answer hangs, wait for its first words; return run and thread."""
    submitted = await client.submit(SubmitRequest(prompt="hang"))
    reducer = ResponseReducer()
    async with asyncio.timeout(20), aclosing(client.follow(submitted.run_id)) as batches:
        async for batch in batches:
            reducer.feed(batch)
            if reducer.response is not None and "I was" in texts(reducer.response.output_items):
                return submitted.run_id, submitted.thread_id
    pytest.fail("it did not hang")


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


class Arguments(BaseModel):
    command: str


class Runner:
    """A tool that asks, and remembers what it was allowed."""

    name = "shell"
    description = "Run a command."
    kind: ToolKind = "execute"
    arguments = Arguments

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def intend(self, arguments: Arguments, context: ToolContext) -> Intent:
        return Intent("run it", preview=arguments.command, command=arguments.command)

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        self.ran.append(arguments.command)
        return ToolResult("ok")


class ApprovalContract:
    @pytest.fixture
    async def asking(self, opened: Opened) -> AsyncIterator[tuple[Client, Runner]]:
        runner = Runner()
        provider = ScriptedProvider([[Call("shell", {"command": "make"})], [Say("end")]])
        async with opened(provider, tools=[runner], policy="ask") as client:
            yield client, runner

    async def test_consent_lets_a_call_run(self, asking: tuple[Client, Runner]) -> None:
        client, runner = asking
        run_id, approval_id = await self._question(client)
        await client.resolve_approval(run_id, approval_id, "approve")
        response = await ended(client, run_id)
        assert (response.status, runner.ran) == ("complete", ["make"])

    async def test_refusal_and_its_reason_reach_the_model(
        self, asking: tuple[Client, Runner]
    ) -> None:
        client, runner = asking
        run_id, approval_id = await self._question(client)
        await client.resolve_approval(run_id, approval_id, "deny", reason="not on Sundays")
        response = await ended(client, run_id)
        (output,) = [i for i in response.output_items if isinstance(i, FunctionCallOutput)]
        assert "not on Sundays" in output.output
        assert runner.ran == []

    async def test_the_first_answer_counts(self, asking: tuple[Client, Runner]) -> None:
        client, runner = asking
        run_id, approval_id = await self._question(client)
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
        run_id, approval_id = await self._question(client)
        with pytest.raises(ApprovalResolvedBefore):
            await client.resolve_approval(run_id, new_id(), "approve")
        await client.cancel(run_id)
        await ended(client, run_id)
        with pytest.raises(ApprovalResolvedBefore):
            await client.resolve_approval(run_id, approval_id, "approve")

    async def _question(self, client: Client) -> tuple[str, str]:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        async with asyncio.timeout(20), aclosing(client.follow(submitted.run_id)) as batches:
            async for batch in batches:
                for entry in batch:
                    if isinstance(entry.payload, ApprovalRequested):
                        return submitted.run_id, entry.payload.approval_id
        pytest.fail("nothing was asked")


class ThreadContract:
    async def test_threads_are_listed_found_changed_and_deleted(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            first, second = await ask(client, "about bees"), await ask(client, "about whales")
            assert await self._titles(client) == ["about whales", "about bees"]
            assert await self._titles(client, query="bees") == ["about bees"]
            changes = ThreadChanges(title="Bees", tags=("nature",), summary="s", agent_role="r")
            await client.update_thread(first.thread_id, changes)
            assert await self._titles(client, tag="nature") == ["Bees"]
            thread = (await client.thread(first.thread_id)).thread
            assert (thread.title, thread.tags) == ("Bees", ("nature",))
            assert (thread.summary, thread.agent_role) == ("s", "r")
            await client.update_thread(first.thread_id, ThreadChanges(tags=()))
            assert await self._titles(client, tag="nature") == []
            await client.delete_thread(second.thread_id)
            assert await self._titles(client) == ["Bees"]

    async def test_pages_follow_one_another(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            threads = [(await ask(client, f"prompt {number}")).thread_id for number in range(5)]
            seen, cursor = [], None
            while True:
                page = await client.threads(limit=2, cursor=cursor)
                seen += [thread.id for thread in page.threads]
                if (cursor := page.next_cursor) is None:
                    break
            assert seen == threads[::-1]
            assert len((await client.threads(limit=1000)).threads) == 5
            for wrong in (client.threads(cursor="nonsense"), client.threads(limit=0)):
                with pytest.raises(InvalidRequest):
                    await wrong

    async def test_lists_tell_how_a_thread_stands(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            run_id, _ = await hanging(client)
            states: list[str | None] = []
            async with asyncio.timeout(20):
                while states != ["running"]:
                    await asyncio.sleep(0.001)
                    states = [thread.state for thread in (await client.threads()).threads]
            await client.cancel(run_id)
            await ended(client, run_id)
            async with asyncio.timeout(20):
                while states != ["stopped"]:
                    await asyncio.sleep(0.001)
                    states = [thread.state for thread in (await client.threads()).threads]

    async def test_a_thread_holds_its_runs_in_order_and_remembers_its_model(
        self, opened: Opened
    ) -> None:
        async with opened(echo()) as client:
            first = await ask(client, "one")
            second = await ask(client, "two", first.thread_id)
            detail = await client.thread(first.thread_id)
            assert detail.runs == (first, second)
            assert f"{detail.thread.provider_id}/{detail.thread.model_id}" == MODEL
            assert detail.thread.created_at <= first.created_at <= detail.thread.updated_at

    async def test_an_empty_change_is_refused(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            response = await ask(client)
            with pytest.raises(InvalidRequest):
                await client.update_thread(response.thread_id, ThreadChanges())

    async def test_deleting_a_thread_ends_its_live_runs(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            run_id, thread_id = await hanging(client)
            following = entries_of(client, run_id)
            await client.delete_thread(thread_id)
            assert (await following)[-1].is_terminal
            assert await self._titles(client) == []

    async def test_a_fork_goes_its_own_way(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            first = await ask(client, "one")
            second = await ask(client, "two", first.thread_id)
            copy = await client.fork(first.thread_id, before=second.id, title="Other")
            detail = await client.thread(copy.id)
            assert (copy.title, detail.thread) == ("Other", copy)
            assert [texts(run.output_items) for run in detail.runs] == [["one"]]
            copy = await client.fork(first.thread_id, until=second.id)
            assert len((await client.thread(copy.id)).runs) == 2
            with pytest.raises(RunNotFound):
                await client.fork(first.thread_id, until=new_id())
            run_id, thread_id = await hanging(client)
            with pytest.raises(InvalidRequest):
                await client.fork(thread_id, until=run_id)
            await client.cancel(run_id)

    @pytest.mark.parametrize("nowhere", NOWHERE)
    async def test_a_thread_that_does_not_exist_is_said_to_be_so(
        self, opened: Opened, nowhere: str
    ) -> None:
        async with opened(echo()) as client:
            lookups: list[Awaitable[object]] = [
                client.thread(nowhere),
                client.delete_thread(nowhere),
                client.update_thread(nowhere, ThreadChanges(title="x")),
                client.fork(nowhere),
            ]
            for lookup in lookups:
                with pytest.raises(ThreadNotFound) as caught:
                    await lookup
                assert repr(nowhere) in caught.value.message
            with pytest.raises(ThreadNotFound):
                await client.submit(SubmitRequest(prompt="x", thread_id=new_id()))

    async def _titles(self, client: Client, **filters: str) -> list[str]:
        page = await client.threads(
            query=filters.get("query"), tag=filters.get("tag"), limit=10, cursor=None
        )
        return [thread.title for thread in page.threads]


class PlaceContract:
    async def test_models_are_listed_with_the_default_marked(self, opened: Opened) -> None:
        async with opened(echo(), anthropic_api_key="sk-none") as client:
            known = await client.models()
            assert [model.name for model in known.models if model.is_default] == [MODEL]
            assert any(model.price is not None for model in known.models)

    async def test_it_tells_where_things_are(self, opened: Opened, tmp_path: Path) -> None:
        async with opened(echo()) as client:
            info = await client.info()
        assert (info.home, info.log) == (str(tmp_path / "home"), "memory")
        assert info.workspace == str(tmp_path / "work")

    @pytest.fixture
    def files(self) -> None:
        Path("träger.py").write_text("print('ß')\n", "utf-8")
        Path("blob").write_bytes(b"\0\1")

    @pytest.mark.usefixtures("files")
    async def test_files_are_found_and_read(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            assert "träger.py" in await client.find_files("träg")
            assert len(await client.find_files("", limit=1)) == 1
            assert len(await client.find_files("", limit=1000)) >= 2
            size = len("print('ß')\n".encode())
            attached = Attachment(path="träger.py", content="print('ß')\n", size=size)
            assert await client.read_attachment("träger.py") == attached
            with pytest.raises(NotFound):
                await client.read_attachment("nothing here")
            for refused in ("blob", "../outside"):
                with pytest.raises(InvalidRequest):
                    await client.read_attachment(refused)
