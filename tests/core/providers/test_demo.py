from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from cody_core.errors import (
    ProviderBadRequest,
    ProviderConnectionError,
    ProviderError,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderStreamBroken,
)
from cody_core.ids import new_id
from cody_core.providers import Provider
from cody_core.providers.demo import create
from cody_core.providers.demo_scripts import QUOTE_LENGTH, SCRIPTS, quote
from cody_core.providers.scripted import (
    Call,
    Fail,
    Finish,
    Hang,
    Pause,
    Say,
    ScriptedProvider,
    Step,
    Think,
    tokens,
)
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload, ResponseDone
from cody_core.schema.items import FunctionCall, FunctionCallOutput, Item, Message, Reasoning
from cody_core.schema.requests import ModelRequest
from cody_core.settings import ProviderSettings
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

ANSWERING = [name for name in SCRIPTS if name != "fail"]
EVERYTHING: Sequence[Step] = (
    Think("hm, let me see"),
    Say("some words to say"),
    Call("get_time", {"timezone": "UTC", "名": [1]}),
)


def user(text: str) -> Message:
    return Message(id=new_id(), content=text, origin="user")


def request(model: str, *items: Item) -> ModelRequest:
    return ModelRequest(response_id=new_id(), model=model, items=items or (user("Hello"),))


def demo(delay: float = 0.0) -> Provider:
    return create(ProviderSettings(kind="demo"), name="demo", delay=delay)


async def play(provider: Provider, asked: ModelRequest) -> list[Payload]:
    return [payload async for payload in provider.stream(asked)]


async def answer(model: str, *items: Item) -> str:
    """Return the text of the messages a demo model answers with."""
    payloads = await play(demo(), request(model, *items))
    done = [payload.final_item for payload in payloads if isinstance(payload, ItemDone)]
    return "\n".join(item.content for item in done if isinstance(item, Message))


def body(item: Item) -> str:
    assert isinstance(item, Message | Reasoning | FunctionCall)
    return item.arguments if isinstance(item, FunctionCall) else item.content


def check_sequence(payloads: Sequence[Payload]) -> None:
    """Items open, grow and close one by one, their deltas are their text, and the end is last."""
    opened: list[str] = []
    text: dict[str, str] = {}
    for payload in payloads[:-1]:
        if isinstance(payload, ItemStart):
            opened.append(payload.item_id)
            text[payload.item_id] = ""
        elif isinstance(payload, ItemDelta):
            assert payload.delta_content
            text[payload.item_id] += payload.delta_content
        else:
            assert isinstance(payload, ItemDone)
            assert payload.item_id == payload.final_item.id == opened[-1]
            assert text.pop(payload.item_id) == body(payload.final_item)
    assert text == {}
    assert len(set(opened)) == len(opened)
    assert isinstance(payloads[-1], ResponseDone)


def shape(payloads: Sequence[Payload]) -> list[object]:
    """Return what was said, without the ids."""
    hidden = {"item_id": "", "response_id": "", "call_id": ""}
    return [
        payload.final_item.model_copy(update={"id": "", "call_id": ""})
        if isinstance(payload, ItemDone)
        else payload.model_copy(update=hidden)
        for payload in payloads
    ]


@pytest.mark.parametrize("model", ANSWERING)
async def test_an_answer_is_a_proper_sequence_with_plausible_usage(model: str) -> None:
    asked = request(model)
    payloads = await play(demo(), asked)
    check_sequence(payloads)
    end = payloads[-1]
    assert isinstance(end, ResponseDone)
    assert end.response_id == asked.response_id
    assert end.usage is not None
    assert end.usage.prompt_tokens >= 1
    said = sum(len(p.delta_content) for p in payloads if isinstance(p, ItemDelta))
    assert abs(end.usage.completion_tokens - said / 4) <= 4
    assert end.usage.total_tokens == end.usage.prompt_tokens + end.usage.completion_tokens
    assert (end.usage.reasoning_tokens or 0) <= end.usage.completion_tokens


@pytest.mark.parametrize("model", ANSWERING)
async def test_the_same_request_gets_the_same_answer_with_new_ids(model: str) -> None:
    provider, asked = demo(), request(model)
    first, second = await play(provider, asked), await play(provider, asked)
    assert shape(first) == shape(second)
    ids = [p.item_id for p in (*first, *second) if isinstance(p, ItemStart)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("delay", [0.0, 0.001])
async def test_a_stream_that_is_cancelled_or_closed_at_any_payload_leaves_no_task(
    delay: float,
) -> None:
    provider = ScriptedProvider(lambda _: EVERYTHING, delay=delay)
    total = len(await play(provider, request("m")))
    before = asyncio.all_tasks()
    for count in range(total):
        reached = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read(provider, count, reached))
            await reached.wait()
            reading.cancel()
        assert reading.cancelled()
        stream = provider.stream(request("m"))
        for _ in range(count):
            await anext(stream)
        await stream.aclose()
        del stream
        assert asyncio.all_tasks() == before


async def read(provider: Provider, count: int, reached: asyncio.Event) -> None:
    """Read on until cancelled; say when so many payloads have come."""
    async with aclosing(provider.stream(request("m"))) as stream:
        for _ in range(count):
            await anext(stream)
        reached.set()
        async for _ in stream:
            pass
    await asyncio.Event().wait()


async def test_a_stream_flat_out_lets_others_run() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count())
        payloads = await play(demo(), request("long"))
        counting.cancel()
    assert turns > len(payloads) / 50


async def test_the_models_are_offered_and_another_one_is_refused_by_name() -> None:
    assert await demo().models() == tuple(SCRIPTS)
    with pytest.raises(ProviderBadRequest, match=r"'gpt'.*'demo/tour', 'demo/echo'"):
        await play(demo(), request("gpt"))


async def test_the_demo_keeps_nothing_of_what_it_is_asked() -> None:
    provider = demo()
    await play(provider, request("echo", user("Hi")))
    assert isinstance(provider, ScriptedProvider)
    assert provider.requests == []


async def test_tour_quotes_the_prompt_and_knows_its_thread() -> None:
    prompt = "What is\tthe weather like\x1b[31m on the far side of the moon, if there is any?\nOr"
    first = await answer("tour", user(prompt))
    assert "`What is the weather like\ufffd[31m on the far side of the moon,…`" in first
    assert "first turn" in first
    items = [user("one"), Message(id="a", content="answer"), user("two"), user("three")]
    assert "one earlier turn" in await answer("tour", *items[:3])
    third = await answer("tour", *items)
    assert "2 earlier turns" in third
    assert "`three`" in third


async def test_tour_shows_every_kind_of_markdown() -> None:
    payloads = await play(demo(), request("tour"))
    starts = [p.item_type for p in payloads if isinstance(p, ItemStart)]
    assert starts == ["reasoning", "message"]
    parsed = MarkdownIt().enable("table").parse(await answer("tour"))
    kinds = {token.type for block in parsed for token in (block, *(block.children or ()))}
    wanted = {"heading_open", "bullet_list_open", "table_open", "fence", "link_open", "strong_open"}
    assert wanted <= kinds
    fence = next(token for token in parsed if token.type == "fence")
    assert fence.info == "python"
    compile(fence.content, "tour", "exec")


@given(st.text())
def test_a_quote_is_one_piece_of_code_and_nothing_else(text: str) -> None:
    quoted = quote(text)
    [paragraph, inline, _] = MarkdownIt().enable("table").parse(f"You said {quoted}.")
    assert paragraph.type == "paragraph_open"
    assert [token.type for token in inline.children or ()] == ["text", "code_inline", "text"]
    assert len((inline.children or [])[1].content) <= QUOTE_LENGTH


async def test_echo_says_exactly_the_last_prompt() -> None:
    prompt = "  two\n\n spaces and 一期一会 \t"
    assert await answer("echo", user("first"), user(prompt)) == prompt
    starts = [p for p in await play(demo(), request("echo")) if isinstance(p, ItemStart)]
    assert [start.item_type for start in starts] == ["message"]


async def test_long_is_long_and_varied() -> None:
    text = await answer("long")
    assert 39_000 < len(text) < 42_000
    kinds = {token.type for token in MarkdownIt().enable("table").parse(text)}
    wanted = {"heading_open", "bullet_list_open", "ordered_list_open", "table_open", "fence"}
    assert wanted | {"blockquote_open"} <= kinds


async def test_tools_calls_then_comments_on_what_came_of_it() -> None:
    prompt = user("what time is it?")
    payloads = await play(demo(), request("tools", prompt))
    end, done = payloads[-1], payloads[-2]
    assert isinstance(end, ResponseDone)
    assert end.finish_reason == "tool_calls"
    assert isinstance(done, ItemDone)
    call = done.final_item
    assert isinstance(call, FunctionCall)
    assert (call.name, json.loads(call.arguments)) == ("get_time", {"timezone": "UTC"})
    [start] = [p for p in payloads if isinstance(p, ItemStart) and p.item_id == call.id]
    assert (start.name, start.call_id) == (call.name, call.call_id)

    def output(text: str, *, success: bool) -> FunctionCallOutput:
        return FunctionCallOutput(id="o", call_id=call.call_id, output=text, success=success)

    told = await answer("tools", prompt, call, output("12:30", success=True))
    assert "`12:30`" in told
    sorry = await answer("tools", prompt, call, output("no tool `x`", success=False))
    assert "did not help" in sorry
    assert "no tool `x`" in sorry
    assert "nothing at all" in await answer("tools", prompt, call, output("", success=True))
    again = request("tools", prompt, call, output("12:30", success=True), user("and now?"))
    assert isinstance((await play(demo(), again))[-2], ItemDone)
    assert "clock" in await answer("tools", *again.items)


async def test_fail_breaks_in_the_middle_of_a_message_each_time() -> None:
    provider = demo()
    for _ in range(2):
        seen: list[Payload] = []
        with pytest.raises(ProviderOverloaded) as caught:
            await follow(provider, request("fail"), seen)
        assert caught.value.retryable
        assert isinstance(seen[-1], ItemDelta)


async def follow(provider: Provider, asked: ModelRequest, seen: list[Payload]) -> None:
    """Put what comes into ``seen``, which keeps it when the stream fails."""
    async for payload in provider.stream(asked):
        seen.append(payload)


async def test_refuse_says_so() -> None:
    end = (await play(demo(), request("refuse")))[-1]
    assert isinstance(end, ResponseDone)
    assert end.finish_reason == "refusal"


async def test_a_script_answers_request_n_with_turn_n_and_records_them() -> None:
    provider = ScriptedProvider([[Say("one")], lambda asked: [Say(asked.model), Finish("length")]])
    asked = [request("a"), request("b"), request("c")]
    first, second = await play(provider, asked[0]), await play(provider, asked[1])
    with pytest.raises(ProviderBadRequest, match="2 turns"):
        await play(provider, asked[2])
    assert provider.requests == asked
    assert [p.delta_content for p in (*first, *second) if isinstance(p, ItemDelta)] == ["one", "b"]
    end = second[-1]
    assert isinstance(end, ResponseDone)
    assert end.finish_reason == "length"


async def test_a_call_keeps_the_id_it_is_given() -> None:
    calls = [Call("a", {}, call_id="mine"), Call("a", {}), Call("a", {})]
    payloads = await play(ScriptedProvider([calls]), request("m"))
    ids = [p.call_id for p in payloads if isinstance(p, ItemStart)]
    assert ids[0] == "mine"
    assert len(set(ids)) == 3


async def test_a_failure_before_the_first_payload_is_just_raised() -> None:
    provider = ScriptedProvider([[Fail(ProviderRateLimited("slow down", retry_after=3))]])
    with pytest.raises(ProviderRateLimited) as caught:
        await anext(provider.stream(request("m")))
    assert caught.value.retry_after == 3


@pytest.mark.parametrize("wait", [Pause(3600), Hang(), Hang("half a sentence")])
async def test_closing_the_provider_breaks_a_stream_that_waits(wait: Step) -> None:
    provider = ScriptedProvider([[Say("hello"), wait, Say("never")]])
    stream = provider.stream(request("m"))
    async with aclosing(stream), asyncio.TaskGroup() as group:
        for _ in range(3):  # the whole first message
            await anext(stream)
        broken = group.create_task(breaks(stream))
        await asyncio.sleep(0)
        assert not broken.done()
        await provider.aclose()
    assert not any(isinstance(payload, ResponseDone) for payload in await broken)


async def breaks(stream: AsyncIterator[Payload]) -> list[Payload]:
    """Return what comes before the stream breaks, as it must."""
    seen: list[Payload] = []
    try:
        async for payload in stream:
            seen.append(payload)
    except ProviderStreamBroken:
        return seen
    pytest.fail("the stream ended by itself")


async def test_a_pause_ends_by_itself_and_a_closed_provider_refuses() -> None:
    provider = ScriptedProvider(lambda _: [Pause(0.001), Say("hello")])
    check_sequence(await play(provider, request("m")))
    await provider.aclose()
    with pytest.raises(ProviderConnectionError) as caught:
        await play(provider, request("m"))
    assert isinstance(caught.value, ProviderError)


@given(st.text())
def test_tokens_are_small_and_joined_are_the_text(text: str) -> None:
    pieces = list(tokens(text))
    assert "".join(pieces) == text
    assert all(pieces)
    assert all(len(piece.strip()) <= 12 for piece in pieces)
