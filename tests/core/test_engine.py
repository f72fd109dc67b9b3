"""The rules of a run, over both logs, with a scripted model and everything else real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import pytest
from cody_core.client import Client
from cody_core.errors import (
    ProviderAuthError,
    ProviderContextTooLong,
    ProviderOverloaded,
    ProviderRateLimited,
)
from cody_core.ids import new_id
from cody_core.providers.scripted import (
    Call,
    Fail,
    Finish,
    Hang,
    Say,
    ScriptedProvider,
    Step,
    Think,
)
from cody_core.schema.events import ItemDelta, ItemStart
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Message,
    Reasoning,
)
from cody_core.schema.requests import ModelRequest, SubmitRequest
from cody_core.schema.response import Response
from cody_core.tools import BaseTool, ToolContext, ToolKind, ToolResult
from pydantic import BaseModel
from support.core import ask, core, ended, events_of, texts
from support.redis import RedisServer

Open = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(params=["memory", "redis"])
def open_core(request: pytest.FixtureRequest) -> Open:
    if request.param == "memory":
        return core
    server: RedisServer = request.getfixturevalue("redis_server")

    def open_with_redis(provider: ScriptedProvider, **options: Any) -> Any:
        return core(provider, redis_url=server.url, **options)

    return open_with_redis


class Text(BaseModel):
    text: str = ""


class Upper(BaseTool):
    name = "upper"
    description = "Say it louder."
    kind: ToolKind = "read"
    arguments = Text

    async def call(self, arguments: Text, context: ToolContext) -> ToolResult:
        for character in arguments.text.upper():
            await context.emit(character)
        return ToolResult(arguments.text.upper())


class Endless(BaseTool):
    """A tool that runs until it is cancelled."""

    name = "endless"
    description = "Never ends."
    kind: ToolKind = "execute"
    arguments = Text

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()

    async def call(self, arguments: Text, context: ToolContext) -> ToolResult:
        await context.emit("working")
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()
        return ToolResult("")


async def wait_for_item(client: Client, run_id: str, item_type: str) -> None:
    """Wait until some text of an item of that type is in the log."""
    kinds: dict[str, str] = {}
    async with aclosing(client.follow(run_id)) as batches:
        async for batch in batches:
            for entry in batch:
                payload = entry.payload
                if isinstance(payload, ItemStart):
                    kinds[payload.item_id] = payload.item_type
                if isinstance(payload, ItemDelta) and kinds[payload.item_id] == item_type:
                    return


async def test_a_run_is_streamed_reduced_and_stored(open_core: Open) -> None:
    provider = ScriptedProvider([[Think("Hm."), Say("Hello **you**.")]])
    async with open_core(provider) as client:
        response = await ask(client, "hi")
        detail = await client.thread(response.thread_id)
    async with open_core(provider) as client:
        assert (await client.thread(response.thread_id)).runs == (response,)
        assert await client.run(response.id) == response
    assert detail.runs == (response,)
    assert detail.thread.title == "hi"
    assert (response.status, response.finish_reason, response.error) == ("complete", "stop", None)
    assert texts(response.input_items) == ["hi"]
    match response.output_items:
        case (Reasoning(content="Hm."), Message(content="Hello **you**.")):
            pass
        case other:
            pytest.fail(f"unexpected items: {other}")


async def test_the_model_sees_the_whole_thread(open_core: Open) -> None:
    async with open_core(ScriptedProvider([[Say("one")], [Say("two")]])) as client:
        first = await ask(client, "a")
        await ask(client, "b", first.thread_id)
    later = ScriptedProvider([[Say("three")]])
    async with open_core(later) as client:
        await ask(client, "c", first.thread_id)
    assert texts(later.requests[0].items) == ["a", "one", "b", "two", "c"]


async def test_an_unknown_tool_is_answered_and_the_model_goes_on(open_core: Open) -> None:
    call = Call("get_weather", {"city": "Ulm"}, call_id="call_1")
    provider = ScriptedProvider([[Say("Let me see."), call], [Say("I cannot.")]])
    async with open_core(provider) as client:
        response = await ask(client)
    output = response.output_items[2]
    assert isinstance(output, FunctionCallOutput)
    assert (output.call_id, output.success) == ("call_1", False)
    assert "get_weather" in output.output
    assert texts(response.output_items) == ["Let me see.", "I cannot."]
    asked = provider.requests[1].items
    assert [item.type for item in asked[1:]] == ["message", "function_call", "function_call_output"]


async def test_parallel_calls_each_have_one_output_in_the_next_request(open_core: Open) -> None:
    calls = [Call("upper", {"text": text}, call_id=text) for text in ("x", "y", "z")]
    provider = ScriptedProvider([[Think("Three."), *calls], [Say("done")]])
    async with open_core(provider, tools=[Upper()]) as client:
        await ask(client)
    asked = provider.requests[1].items[2:]
    assert [item.call_id for item in asked[:3] if isinstance(item, FunctionCall)] == ["x", "y", "z"]
    outputs = [item for item in asked[3:] if isinstance(item, FunctionCallOutput)]
    assert [(item.call_id, item.output) for item in outputs] == [("x", "X"), ("y", "Y"), ("z", "Z")]
    assert [spec.name for spec in provider.requests[0].tools] == ["upper", "run_script"]


async def test_a_server_that_uses_a_call_id_again_is_understood(open_core: Open) -> None:
    calls = [[Call("upper", {"text": text}, call_id="call_0")] for text in ("x", "y")]
    provider = ScriptedProvider([*calls, [Say("done")]])
    async with open_core(provider, tools=[Upper()]) as client:
        await ask(client)
    asked = provider.requests[2].items
    made = [item for item in asked if isinstance(item, FunctionCall)]
    outputs = [item for item in asked if isinstance(item, FunctionCallOutput)]
    assert [item.output for item in outputs] == ["X", "Y"]
    assert [item.call_id for item in made] == [item.call_id for item in outputs]


async def test_tool_output_streams_as_deltas_of_its_item(open_core: Open) -> None:
    provider = ScriptedProvider([[Call("upper", {"text": "loud"})], [Say("done")]])
    async with open_core(provider, tools=[Upper()]) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        run = [event.payload for event in await events_of(client, submitted.run_id)]
    starts = {p.item_id: p for p in run if isinstance(p, ItemStart)}
    streamed = [
        p.delta_content
        for p in run
        if isinstance(p, ItemDelta) and starts[p.item_id].item_type == "function_call_output"
    ]
    assert streamed == list("LOUD")


async def test_usage_adds_up_over_the_loop(open_core: Open) -> None:
    provider = ScriptedProvider([[Call("upper", {})], [Say("x" * 400)]])
    async with open_core(provider, tools=[Upper()]) as client:
        response = await ask(client)
    assert response.usage is not None
    assert response.usage.completion_tokens >= 100
    assert response.usage.total_tokens == (
        response.usage.prompt_tokens + response.usage.completion_tokens
    )


async def test_the_loop_ends_at_its_limit(open_core: Open) -> None:
    provider = ScriptedProvider(lambda request: [Call("upper", {})])
    async with open_core(provider, tools=[Upper()], max_iterations=3) as client:
        response = await ask(client)
    assert (response.status, response.finish_reason) == ("complete", "max_iterations")
    assert len(provider.requests) == 3


@pytest.mark.parametrize("reason", ["length", "refusal", "content_filter"])
async def test_why_the_model_stopped_is_passed_on(reason: str) -> None:
    provider = ScriptedProvider([[Say("So"), Finish(reason)]])  # type: ignore[arg-type] # as parametrised
    async with core(provider) as client:
        response = await ask(client)
    assert (response.status, response.finish_reason) == ("complete", reason)


async def test_an_error_before_the_first_token_is_tried_again() -> None:
    again: list[list[Step]] = [
        [Fail(ProviderRateLimited("slow down", retry_after=0.01))],
        [Fail(ProviderOverloaded("busy"))],
        [Say("here")],
    ]
    provider = ScriptedProvider(again)
    async with core(provider) as client:
        response = await ask(client)
    assert response.status == "complete"
    assert texts(response.output_items) == ["here"]
    assert provider.requests[0].items == provider.requests[2].items


async def test_an_error_that_stays_ends_the_run(open_core: Open) -> None:
    provider = ScriptedProvider(lambda request: [Fail(ProviderOverloaded("busy"))])
    async with open_core(provider, max_retries=1) as client:
        response = await ask(client)
    assert response.status == "error"
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("provider_overloaded", "busy")
    assert len(provider.requests) == 2


async def test_an_error_that_cannot_be_helped_is_not_tried_again() -> None:
    provider = ScriptedProvider(lambda request: [Fail(ProviderAuthError("set X_API_KEY"))])
    async with core(provider) as client:
        response = await ask(client)
    assert response.error is not None
    assert response.error.message == "set X_API_KEY"
    assert len(provider.requests) == 1


async def test_a_wait_longer_than_anybody_has_is_not_waited() -> None:
    limited = Fail(ProviderRateLimited("come back tomorrow", retry_after=86_400))
    provider = ScriptedProvider(lambda request: [limited])
    async with core(provider) as client, asyncio.timeout(10):
        response = await ask(client)
    assert response.status == "error"


async def test_a_stream_that_breaks_midway_is_tried_again_without_what_failed() -> None:
    broken = Fail(ProviderOverloaded("cut"), after="I was saying")
    provider = ScriptedProvider([[Think("Hm."), broken], [broken], [Say("whole")]])
    async with core(provider) as client:
        response = await ask(client, "go")
    assert response.status == "complete"
    kinds = [item.type for item in response.output_items]
    assert kinds == ["reasoning", "error", "error", "message"]
    failed = response.output_items[1]
    assert isinstance(failed, ErrorItem)
    assert isinstance(failed.partial, Message)
    assert failed.partial.content == "I was saying"
    assert provider.requests[2].items == provider.requests[0].items


async def test_a_stream_that_keeps_breaking_ends_the_run_after_two_more_tries() -> None:
    provider = ScriptedProvider(lambda _: [Fail(ProviderOverloaded("cut"), after="I was")])
    async with core(provider) as client:
        response = await ask(client)
    assert response.status == "error"
    assert len(provider.requests) == 3
    assert [item.type for item in response.output_items] == ["error"] * 3


async def test_a_call_made_before_the_stream_broke_is_not_made_again() -> None:
    broken: list[Step] = [
        Call("upper", {"text": "once"}, call_id="c"),
        Fail(ProviderOverloaded("cut"), after="and"),
    ]
    provider = ScriptedProvider([broken, [Say("done")]])
    async with core(provider, tools=[Upper()]) as client:
        response = await ask(client)
    assert [item.type for item in response.output_items].count("function_call_output") == 1
    asked = provider.requests[1].items
    assert [item.type for item in asked] == ["message", "function_call", "function_call_output"]
    assert texts(response.output_items) == ["done"]


async def test_a_conversation_too_long_loses_its_oldest_turns() -> None:
    def answer(request: ModelRequest) -> list[Step]:
        prompts = [text for text in texts(request.items) if text.startswith("p")]
        if len(prompts) > 2:
            return [Fail(ProviderContextTooLong("too long"))]
        return [Say("ok")]

    provider = ScriptedProvider(answer)
    async with core(provider) as client:
        first = await ask(client, "p0")
        for number in range(1, 4):
            response = await ask(client, f"p{number}", first.thread_id)
    assert response.status == "complete"
    assert texts(provider.requests[-1].items)[-1] == "p3"
    assert "p0" not in texts(provider.requests[-1].items)


async def test_a_window_that_is_known_is_not_overrun() -> None:
    provider = ScriptedProvider(lambda request: [Say("y" * 400)])
    async with core(provider, context_tokens=1000) as client:
        first = await ask(client, "x" * 400)
        for _ in range(6):
            await ask(client, "x" * 400, first.thread_id)
    sizes = [len(request.items) for request in provider.requests]
    assert sizes[0] == 1
    assert sizes[-1] == sizes[-2] < 13
    assert sizes[-1] % 2 == 1


async def test_a_bug_in_an_adapter_ends_the_run_and_tells_nothing_private() -> None:
    def fail(request: ModelRequest) -> list[Step]:
        msg = "sk-secret"
        raise LookupError(msg)

    async with core(ScriptedProvider(fail)) as client:
        response = await ask(client)
    assert response.error is not None
    assert response.error.code == "internal_error"
    assert "sk-secret" not in response.model_dump_json()


async def test_cancelling_keeps_what_was_streamed(open_core: Open) -> None:
    provider = ScriptedProvider([[Think("Hm."), Hang(after="I was about to")], [Say("again")]])
    async with open_core(provider) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        await wait_for_item(client, submitted.run_id, "message")
        async with asyncio.timeout(5):
            await client.cancel(submitted.run_id, reason="changed my mind")
            response = await ended(client, submitted.run_id)
        await client.cancel(submitted.run_id)
        await ask(client, "go on", submitted.thread_id)
    assert response.status == "aborted"
    cut = response.output_items[1]
    assert isinstance(cut, Cancelled)
    assert isinstance(cut.partial, Message)
    assert cut.partial.content.startswith("I was")
    assert texts(provider.requests[1].items) == ["go", cut.partial.content, "go on"]


async def test_cancelling_stops_a_running_tool_and_keeps_its_output(open_core: Open) -> None:
    tool = Endless()
    provider = ScriptedProvider([[Call("endless", {}, call_id="c")]])
    async with open_core(provider, tools=[tool]) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        await wait_for_item(client, submitted.run_id, "function_call_output")
        async with asyncio.timeout(5):
            await client.cancel(submitted.run_id)
            response = await ended(client, submitted.run_id)
            await tool.stopped.wait()
    assert response.status == "aborted"
    cut = response.output_items[-1]
    assert isinstance(cut, Cancelled)
    assert isinstance(cut.partial, FunctionCallOutput)
    assert cut.partial.output == "working"


async def test_a_run_that_has_ended_cannot_be_cancelled(open_core: Open) -> None:
    async with open_core(ScriptedProvider([[Say("done")]])) as client:
        response = await ask(client)
        await client.cancel(response.id)
        assert await client.run(response.id) == response


async def test_leaving_the_runtime_ends_its_runs(open_core: Open) -> None:
    provider = ScriptedProvider([[Hang(after="I was about to")], [Say("hello again")]])
    async with open_core(provider) as client:
        submitted = await client.submit(SubmitRequest(prompt="go"))
        await wait_for_item(client, submitted.run_id, "message")
    async with open_core(provider) as client:
        response = await client.run(submitted.run_id)
    assert (response.status, response.finish_reason) == ("aborted", "interrupted")
    assert [item.type for item in response.output_items] == ["cancelled"]


async def test_a_run_submitted_twice_runs_once(open_core: Open) -> None:
    provider = ScriptedProvider(lambda request: [Say("once")])
    request = SubmitRequest(prompt="go", run_id=new_id())
    async with open_core(provider) as client:
        first, second = await client.submit(request), await client.submit(request)
        await ended(client, first.run_id)
        third = await client.submit(request)
    assert first == second == third
    assert len(provider.requests) == 1


async def test_a_run_submitted_several_times_at_once_runs_once_in_one_thread(
    open_core: Open,
) -> None:
    provider = ScriptedProvider(lambda request: [Say("once")])
    request = SubmitRequest(prompt="go", run_id=new_id())
    async with open_core(provider) as client:
        first, *others = await asyncio.gather(*(client.submit(request) for _ in range(5)))
        await ended(client, first.run_id)
        threads = (await client.threads()).threads
    assert others == [first] * 4
    assert [thread.id for thread in threads] == [first.thread_id]
    assert len(provider.requests) == 1


async def test_many_runs_at_once_do_not_mix(open_core: Open) -> None:
    def echo(request: ModelRequest) -> list[Step]:
        return [Say(f"{texts(request.items)[-1]} " * 20)]

    async def one(client: Client, number: int) -> Response:
        return await ask(client, f"prompt {number}")

    async with open_core(ScriptedProvider(echo)) as client, asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(one(client, number)) for number in range(30)]
    for number, run in enumerate(runs):
        assert texts(run.result().output_items) == [f"prompt {number} " * 20]


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}
