"""Forks: what is copied, what is refused, and that the model sees in one what it saw before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from cody_core.client import Client
from cody_core.errors import InvalidRequest, RunNotFound, ThreadNotFound
from cody_core.forking import fork
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.schema.items import FunctionCall, FunctionCallOutput
from cody_core.schema.requests import ModelRequest, SubmitRequest
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadChanges, ThreadDetail
from support.core import ask, core, ended, texts
from support.shapes import THREAD, response


def _answer(request: ModelRequest) -> list[Say | Hang]:
    prompt = texts(request.items)[-1]
    return [Hang(after="I was")] if prompt == "hang" else [Say(f"Answer to {prompt}.")]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with core(ScriptedProvider(_answer)) as client:
        yield client


def _said(runs: tuple[Response, ...]) -> list[str]:
    return [text for run in runs for text in texts((*run.input_items, *run.output_items))]


async def _thread_of(client: Client, *prompts: str) -> tuple[str, list[Response]]:
    runs: list[Response] = []
    for prompt in prompts:
        runs.append(await ask(client, prompt, runs[0].thread_id if runs else None))
    return runs[0].thread_id, runs


async def test_a_fork_holds_the_runs_up_to_the_one_that_was_named(client: Client) -> None:
    thread_id, runs = await _thread_of(client, "one", "two", "three")
    await client.update_thread(thread_id, ThreadChanges(tags=("kept",), summary="not kept"))
    copy = await client.fork(thread_id, until=runs[1].id, title="Another way")
    detail = await client.thread(copy.id)
    assert detail.thread == copy
    assert (copy.title, copy.tags, copy.summary) == ("Another way", ("kept",), None)
    assert _said(detail.runs) == ["one", "Answer to one.", "two", "Answer to two."]
    assert len({run.id for run in (*runs, *detail.runs)}) == 5
    assert len((await client.thread(thread_id)).runs) == 3


async def test_a_fork_before_a_run_leaves_it_out_and_can_be_continued(client: Client) -> None:
    thread_id, runs = await _thread_of(client, "one", "two")
    copy = await client.fork(thread_id, before=runs[1].id)
    assert copy.title == "one"
    await ask(client, "TWO", copy.id)
    said = _said((await client.thread(copy.id)).runs)
    assert said == ["one", "Answer to one.", "TWO", "Answer to TWO."]
    assert (await client.fork(thread_id, before=runs[0].id)).model_id == "model"


async def test_a_run_that_is_live_is_not_copied(client: Client) -> None:
    thread_id, _ = await _thread_of(client, "one")
    live = await client.submit(SubmitRequest(prompt="hang", thread_id=thread_id))
    await anext(client.follow(live.run_id))
    copy = await client.fork(thread_id)
    assert _said((await client.thread(copy.id)).runs) == ["one", "Answer to one."]
    with pytest.raises(InvalidRequest, match="not ended"):
        await client.fork(thread_id, until=live.run_id)
    await client.cancel(live.run_id)
    await ended(client, live.run_id)


async def test_what_there_is_not_cannot_be_forked(client: Client) -> None:
    thread_id, _ = await _thread_of(client, "one")
    with pytest.raises(ThreadNotFound):
        await client.fork(new_id())
    with pytest.raises(RunNotFound):
        await client.fork(thread_id, until=new_id())
    assert len((await client.threads()).threads) == 1


def test_runs_of_one_turn_stay_runs_of_one_turn_and_calls_keep_their_outputs() -> None:
    call = FunctionCall(id="i1", call_id="c1", name="ls", arguments="{}")
    output = FunctionCallOutput(id="i2", call_id="c1", output="a", success=True)
    turn = new_id()
    runs = tuple(
        response(new_id(), turn_id=turn, output_items=(call, output), created_at=at)
        for at in (1, 2)
    )
    thread = Thread(id=THREAD, title="t", created_at=1, updated_at=1)
    copies = fork(ThreadDetail(thread=thread, runs=runs)).runs
    assert [copy.output_items for copy in copies] == [run.output_items for run in runs]
    assert len({copy.turn_id for copy in copies}) == 1
    assert copies[0].turn_id != turn
    assert [copy.created_at for copy in copies] == [1, 2]
