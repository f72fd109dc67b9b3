from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from cody_core.errors import (
    ProviderOverloaded,
    ProviderStreamBroken,
)
from cody_core.ids import new_id
from cody_core.providers.anthropic import create
from cody_core.providers.anthropic_stream import Translator
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload, ResponseDone
from cody_core.schema.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ProviderData,
    Reasoning,
)
from cody_core.schema.response import Usage
from wire.anthropic_checks import check, error, seal, sign
from wire.anthropic_client import KEY, QUESTION, RESPONSE, TOOLS, collect, request, settings, wired
from wire.server import ALL_CUTS, Answer, WireServer, recording


def numbered(payloads: Sequence[Payload]) -> list[Payload]:
    """Return payloads with item ids ``i1``, ``i2``, … in the order of their first appearance."""
    ids: dict[str, str] = {}
    result: list[Payload] = []
    for payload in payloads:
        if not isinstance(payload, ItemStart | ItemDelta | ItemDone):
            result.append(payload)
            continue
        changes: dict[str, Any] = {"item_id": ids.setdefault(payload.item_id, f"i{len(ids) + 1}")}
        if isinstance(payload, ItemDone):
            assert payload.final_item.id == payload.item_id
            changes["final_item"] = payload.final_item.model_copy(update={"id": changes["item_id"]})
        result.append(payload.model_copy(update=changes))
    return result


def message(number: int, *parts: str) -> list[Payload]:
    name = f"i{number}"
    return [
        ItemStart(item_id=name, item_type="message"),
        *(ItemDelta(item_id=name, delta_content=part) for part in parts),
        ItemDone(item_id=name, final_item=Message(id=name, content="".join(parts))),
    ]


def reasoning(number: int, *parts: str, data: dict[str, str]) -> list[Payload]:
    name = f"i{number}"
    own = ProviderData(provider_id="anthropic", data=data)
    final = Reasoning(id=name, content="".join(parts), provider_data=own)
    return [
        ItemStart(item_id=name, item_type="reasoning"),
        *(ItemDelta(item_id=name, delta_content=part) for part in parts),
        ItemDone(item_id=name, final_item=final),
    ]


def call(number: int, call_id: str, tool: str, *parts: str) -> list[Payload]:
    name = f"i{number}"
    final = FunctionCall(
        id=name,
        name=tool,
        arguments="".join(parts),
        call_id=call_id,
    )
    return [
        ItemStart(item_id=name, item_type="function_call", name=tool, call_id=call_id),
        *(ItemDelta(item_id=name, delta_content=part) for part in parts),
        ItemDone(item_id=name, final_item=final),
    ]


def done(reason: str, prompt: int, completion: int, **details: int) -> ResponseDone:
    usage = Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        **{"cached_tokens": 0, "cache_write_tokens": 0, **details},
    )
    return ResponseDone(response_id=RESPONSE, status="complete", usage=usage, finish_reason=reason)


THOUGHT = ("The user greets me.", ' I greet back — "politely".')
ARGUMENTS = ('{"path": "na', "ïve/雪 ❄", '\u2028.txt", "note": "a \\"b\\" \\ud83d', '\\ude00 🙂"}')
SAID: dict[str, list[Payload]] = {
    "text": [*message(1, "Hello", ", wor", "ld!"), done("stop", 25, 9)],
    "thinking": [
        *reasoning(1, *THOUGHT, data={"signature": sign("".join(THOUGHT))}),
        *message(2, "Good day."),
        done("stop", 2025, 60, cached_tokens=800, cache_write_tokens=1200, reasoning_tokens=41),
    ],
    "redacted_thinking": [
        *reasoning(1, data={"redacted_thinking": seal("sealed")}),
        *reasoning(2, data={"signature": sign("")}),
        *message(3, "Done."),
        done("stop", 25, 30),
    ],
    "tools": [
        *reasoning(1, "Two files, then.", data={"signature": sign("Two files, then.")}),
        *message(2, "I will look at both."),
        *call(3, "toolu_01A", "read_file", *ARGUMENTS),
        *call(4, "toolu_01B", "list_files", "{}"),
        *call(5, "toolu_01C", "read_file", '{"path":"b.txt"}'),
        done("tool_calls", 25, 120),
    ],
    "max_tokens": [
        *message(1, "Writing the file."),
        *call(2, "toolu_01D", "write_file", '{"path": "a.txt", "te'),
        done("length", 25, 4096),
    ],
    "refusal": [done("refusal", 25, 5)],
    "unknown_blocks": [*message(1, "Found", " it."), done("stop", 25, 12)],
    "unicode": [
        *message(
            1,
            "naïve 雪",
            "\u2028 line\u2029 \u0085 next\r\n🙂 e\u0301 \ufeffmid",
            "👩‍👩‍👧 end",
        ),
        done("stop", 25, 20),
    ],
}


@pytest.mark.parametrize("name", SAID)
async def test_a_recording_says_the_same_however_it_is_cut(name: str) -> None:
    async with wired() as (server, provider):
        for cut in ALL_CUTS:
            server.answers(Answer.sse(recording(f"anthropic/{name}.sse"), cuts=cut))
            assert numbered(await collect(provider)) == SAID[name], cut.__name__


async def test_half_a_character_does_not_end_the_answer() -> None:
    body = recording("anthropic/text.sse").replace(b'"Hello"', rb'"Hell\ud83d"')
    async with wired() as (server, provider):
        server.answers(Answer.sse(body))
        payloads = numbered(await collect(provider))
    assert payloads == [*message(1, "Hell?", ", wor", "ld!"), done("stop", 25, 9)]


def test_the_streamed_arguments_are_one_json_document() -> None:
    assert orjson.loads("".join(ARGUMENTS)) == {
        "path": "naïve/雪 ❄\u2028.txt",
        "note": 'a "b" 😀 🙂',
    }


async def test_the_request_is_the_one_the_api_documents() -> None:
    async with wired() as (server, provider):
        server.answers(Answer.sse(recording("anthropic/text.sse")))
        await collect(provider, request(system="Be kind.", tools=TOOLS[:1]))
    sent = server.requests[0]
    assert (sent.method, sent.path) == ("POST", "/v1/messages")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    cached = {"cache_control": {"type": "ephemeral"}}
    assert sent.json == {
        "model": "claude-haiku-4-5",
        "max_tokens": 64_000,
        "stream": True,
        "system": [{"type": "text", "text": "Be kind.", **cached}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello?", **cached}]}],
        "tools": [
            {
                "name": "read_file",
                "description": "Does read_file.",
                "input_schema": {"type": "object", "properties": {}},
            }
        ],
    }


async def test_a_newer_model_is_asked_with_the_header_its_thinking_needs() -> None:
    async with wired() as (server, provider):
        server.answers(Answer.sse(recording("anthropic/text.sse")))
        await collect(provider, request(model="claude-opus-5.5", reasoning_effort="high"))
    sent = server.requests[0]
    assert sent.headers["anthropic-beta"] == "thinking-binding-controls-2026-08-01"
    assert sent.json["output_config"] == {"effort": "high"}


async def test_a_conversation_goes_back_as_it_came_over_several_steps() -> None:
    items: list[Item] = [QUESTION]
    async with wired() as (server, provider):
        for step, name in enumerate(("tools", "redacted_thinking", "thinking")):
            server.answers(Answer.sse(recording(f"anthropic/{name}.sse")))
            payloads = await collect(provider, request(*items, reasoning_effort="low"))
            for payload in payloads:
                if isinstance(payload, ItemDone):
                    items.append(payload.final_item.model_copy(update={"step": step}))
                    items += _output(payload.final_item)
            if name != "tools":
                items.append(Message(id=new_id(), origin="user", content="And now?"))
        server.answers(Answer.sse(recording("anthropic/text.sse")))
        await collect(provider, request(*items, reasoning_effort="low"))
    assert server.refused == []
    kinds = [
        (sent["role"], [block["type"] for block in sent["content"]])
        for sent in server.requests[-1].json["messages"]
    ]
    assert kinds == [
        ("user", ["text"]),
        ("assistant", ["thinking", "text", "tool_use", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "tool_result"]),
        ("assistant", ["redacted_thinking", "thinking", "text"]),
        ("user", ["text"]),
        ("assistant", ["thinking", "text"]),
        ("user", ["text"]),
    ]


def _output(item: Item) -> list[Item]:
    if not isinstance(item, FunctionCall):
        return []
    return [FunctionCallOutput(id=new_id(), call_id=item.call_id, output="", success=True)]


async def test_one_connection_serves_request_after_request() -> None:
    async with wired() as (server, provider):
        for _ in range(2):
            server.answers(Answer.sse(recording("anthropic/text.sse")))
            await collect(provider)
        assert server.connections == 1


async def test_closing_the_stream_closes_the_connection() -> None:
    async with wired(timeout=60) as (server, provider):
        server.answers(Answer.sse(recording("anthropic/cut_off.sse"), then="hang"))
        async with aclosing(provider.stream(request())) as payloads:
            assert isinstance(await anext(payloads), ItemStart)
        async with asyncio.timeout(5):
            await server.client_left.wait()


async def test_cancelling_closes_the_connection() -> None:
    async with wired(timeout=60) as (server, provider):
        server.answers(Answer.sse(recording("anthropic/cut_off.sse"), then="hang"))
        streaming = asyncio.Event()

        async def read() -> None:
            async for _ in provider.stream(request()):
                streaming.set()

        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(read())
            await streaming.wait()
            task.cancel()
        async with asyncio.timeout(5):
            await server.client_left.wait()


async def test_closing_the_provider_breaks_its_streams() -> None:
    async with wired(timeout=60) as (server, provider):
        server.answers(Answer.sse(recording("anthropic/cut_off.sse"), then="hang"))
        payloads = provider.stream(request())
        assert isinstance(await anext(payloads), ItemStart)
        assert isinstance(await anext(payloads), ItemDelta)
        await provider.aclose()
        with pytest.raises(ProviderStreamBroken):
            await anext(payloads)


async def test_an_answer_is_whole_without_the_end_of_its_body() -> None:
    async with wired(timeout=60) as (server, provider):
        server.answers(Answer.sse(recording("anthropic/text.sse"), then="hang"))
        async with asyncio.timeout(5):
            assert numbered(await collect(provider)) == SAID["text"]


async def test_models_are_listed_over_all_pages() -> None:
    def page(*ids: str, more: bool) -> Answer:
        models = [{"type": "model", "id": name, "display_name": name} for name in ids]
        return Answer.json(
            {"data": models, "has_more": more, "first_id": ids[0], "last_id": ids[-1]}
        )

    async with wired() as (server, provider):
        server.answers(page("claude-b", "claude-a", more=True), page("claude-c", more=False))
        assert await provider.models() == ["claude-b", "claude-a", "claude-c"]
        assert "after_id=claude-a" in server.requests[1].path
        server.answers(Answer.error(529, error("overloaded_error", "Overloaded")))
        with pytest.raises(ProviderOverloaded):
            await provider.models()


async def test_create_makes_a_provider() -> None:
    async with WireServer(check=check) as server:
        provider = create(settings(server.url), name="claude")
        server.answers(Answer.sse(recording("anthropic/thinking.sse")))
        payloads = [payload async for payload in provider.stream(request())]
        await provider.aclose()
    finals = [payload.final_item for payload in payloads if isinstance(payload, ItemDone)]
    assert [item.provider_data and item.provider_data.provider_id for item in finals] == [
        "claude",
        None,
    ]


@pytest.mark.parametrize(
    ("stop_reason", "arguments"),
    [
        ("max_tokens", "{"),
        ("model_context_window_exceeded", "{"),
        ("refusal", "{"),
        ("tool_use", "{}"),
    ],
)
@pytest.mark.parametrize("stopped", [True, False])
def test_a_call_that_was_cut_off_has_no_arguments_that_could_be_taken(
    stop_reason: str, arguments: str, stopped: bool
) -> None:
    """Without any, it would be made as one that needs none, which the one before it may be."""
    translator = Translator(RESPONSE, provider_id="anthropic")
    payloads: list[Payload] = []
    for index in range(2):
        block = {"type": "tool_use", "id": f"t{index}", "name": "ls", "input": {}}
        start = {"type": "content_block_start", "index": index, "content_block": block}
        payloads += translator.feed(start)
        if index == 0 or stopped:
            payloads += translator.feed({"type": "content_block_stop", "index": index})
    payloads += translator.feed({"type": "message_delta", "delta": {"stop_reason": stop_reason}})
    assert numbered(payloads) == [*call(1, "t0", "ls", "{}"), *call(2, "t1", "ls", arguments)]
    assert len(translator.feed({"type": "message_stop"})) == 1


def test_a_stop_reason_stands_when_a_later_event_has_none() -> None:
    translator = Translator(RESPONSE, provider_id="anthropic")
    for delta in ({"stop_reason": "max_tokens"}, {"stop_reason": None}):
        translator.feed({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 1}})
    [end] = translator.feed({"type": "message_stop"})
    assert isinstance(end, ResponseDone)
    assert end.finish_reason == "length"
