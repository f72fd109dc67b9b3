"""The Chat Completions adapter: the real SDK against recorded answers over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from cody_core.errors import (
    ProviderBadRequest,
    ProviderContextTooLong,
    ProviderError,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderStreamBroken,
)
from cody_core.providers import Provider
from cody_core.providers.openai_chat import create
from cody_core.schema.events import Payload, ResponseDone
from cody_core.schema.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ProviderData,
    Reasoning,
)
from cody_core.schema.requests import ModelRequest
from cody_core.schema.response import Usage
from cody_core.settings import ProviderSettings
from wire.openai_checks import check_chat
from wire.payloads import collect, done, normal, said, start, streamed
from wire.server import ALL_CUTS, Answer, WireServer, recording

RUN = "00000000-0000-4000-8000-000000000001"
PROMPT = Message(id="u1", origin="user", content="Hi")


@pytest.fixture
async def server() -> AsyncIterator[WireServer]:
    async with WireServer(check_chat) as server:
        yield server


@pytest.fixture
async def provider(server: WireServer) -> AsyncIterator[Provider]:
    """A provider without a key: local servers need none."""
    settings = ProviderSettings(base_url=f"{server.url}/v1", timeout=10)
    provider = create(settings, name="local")
    yield provider
    await provider.aclose()


def ask(*items: Item, **fields: Any) -> ModelRequest:
    return ModelRequest(response_id=RUN, model="m", items=items or (PROMPT,), **fields)


def end(reason: str, usage: Usage | None) -> ResponseDone:
    return ResponseDone(response_id=RUN, status="complete", finish_reason=reason, usage=usage)


def message(text: str, item_id: str = "1", data: ProviderData | None = None) -> Message:
    return Message(id=item_id, content=text, provider_data=data)


def call(item_id: str, call_id: str, name: str, arguments: str) -> FunctionCall:
    return FunctionCall(id=item_id, name=name, arguments=arguments, call_id=call_id)


def details(*blocks: dict[str, Any]) -> ProviderData:
    return ProviderData(provider_id="local", data={"reasoning_details": list(blocks)})


SHOWN = ProviderData(provider_id="local", data={"reasoning_content": True})
USED = Usage(
    prompt_tokens=20, completion_tokens=9, total_tokens=29, cached_tokens=16, reasoning_tokens=4
)
BLOCK = {
    "format": "anthropic-claude-v1",
    "index": 0,
    "type": "reasoning.text",
    "text": "Let me look.",
    "signature": "sig+/==",
}
SEALED = {
    "type": "reasoning.encrypted",
    "data": "AAEC",
    "id": "toolu_1",
    "format": "google-gemini-v1",
    "index": 1,
}
CALL_A = call("2", "call_a", "read_file", '{"path":"é.txt"}')
CALL_B = call("3", "call_b", "list_files", "{}")
WHOLE_X = call("1", "call_x", "read_file", '{"path":"a"}')
WHOLE_Y = call("2", "call_y", "read_file", '{"path":"b"}')
BARE = [
    call("1", "call_2", "read_file", '{"path":"a"}'),
    call("3", "call_4", "list_files", "{}"),
    call("5", "call_6", "stat", '{"path":"b"}'),
]
EXPECTED: dict[str, list[Payload]] = {
    "text": [*streamed(message("Hello there."), "Hello", " there."), end("stop", USED)],
    "reasoning_content": [
        *streamed(
            Reasoning(id="1", content="Two and two.", provider_data=SHOWN), "Two and", " two."
        ),
        *streamed(message("Four.", "2"), "Four", "."),
        end("stop", Usage(prompt_tokens=7, completion_tokens=5, total_tokens=12)),
    ],
    "calls": [
        *streamed(message("Looking."), "Looking."),
        start(CALL_A),
        said(CALL_A, '{"path":'),
        said(CALL_A, '"é.txt"}'),
        start(CALL_B),
        said(CALL_B, "{}"),
        done(CALL_A),
        done(CALL_B),
        end("tool_calls", USED),
    ],
    "calls_whole": [
        start(WHOLE_X),
        said(WHOLE_X, '{"path":"a"}'),
        start(WHOLE_Y),
        said(WHOLE_Y, '{"path":"b"}'),
        done(WHOLE_X),
        done(WHOLE_Y),
        end("tool_calls", None),
    ],
    "calls_bare": [
        start(BARE[0]),
        said(BARE[0], '{"path":'),
        said(BARE[0], '"a"}'),
        start(BARE[1]),
        said(BARE[1], "{}"),
        start(BARE[2]),
        said(BARE[2], '{"path":"b"}'),
        *map(done, BARE),
        end("tool_calls", None),
    ],
    "legacy_call": [
        *streamed(call("1", "call_2", "read_file", '{"path":"a"}'), '{"path":"a"}'),
        end("tool_calls", None),
    ],
    "openrouter": [
        *streamed(
            Reasoning(id="1", content="Let me look.", provider_data=details(BLOCK)),
            "Let me",
            " look.",
        ),
        *streamed(message("Looking.", "2", details(SEALED)), "Looking."),
        *streamed(call("3", "toolu_1", "read_file", '{"path":"a"}'), '{"path":"a"}'),
        end("tool_calls", USED),
    ],
    "refusal": [
        *streamed(message("I can't do that."), "I can't", " do that."),
        end("refusal", USED),
    ],
    "length": [
        *streamed(message("Once upon"), "Once upon"),
        *streamed(call("2", "call_cut", "write_file", '{"path":"x'), '{"path":"x'),
        end("length", USED),
    ],
    "content_filter": [
        *streamed(message("The recipe"), "The recipe"),
        end("content_filter", None),
    ],
    "no_done": [*streamed(message("Hi"), "Hi"), end("stop", None)],
    "multibyte": [
        *streamed(
            message("Grüße — 日本語 🙂👩‍🚀\u2028next\u0085end\r\n"),
            "Grüße — ",
            "日本語 🙂👩‍🚀",
            "\u2028next\u0085end\r\n",
        ),
        end("stop", USED),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_recording_says_the_same_however_it_is_cut(
    name: str, server: WireServer, provider: Provider
) -> None:
    for cut in ALL_CUTS:
        server.answers(Answer.sse(recording(f"openai_chat/{name}.sse"), cuts=cut))
        assert await collect(provider.stream(ask())) == EXPECTED[name], cut.__name__
    assert server.refused == []


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [("length", "{"), ("content_filter", "{"), ("MAX_TOKENS", "{"), ("tool_calls", "")],
)
async def test_a_call_that_was_cut_off_has_no_arguments_that_could_be_taken(
    reason: str, arguments: str, server: WireServer, provider: Provider
) -> None:
    """Without any, it would be made as one that needs none."""
    chunks = (
        b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "ls",'
        b' "arguments": ""}}]}}]}',
        b'{"choices": [{"delta": {}, "finish_reason": "%b"}]}' % reason.encode(),
    )
    server.answers(Answer.sse(b"".join(b"data: " + chunk + b"\n\n" for chunk in chunks)))
    payloads = await collect(provider.stream(ask()))
    expected = call("1", "a", "ls", arguments)
    assert payloads[:-1] == streamed(expected, *filter(None, [arguments]))


async def until_error(provider: Provider) -> tuple[list[Payload], ProviderError]:
    payloads: list[Payload] = []
    try:
        async for payload in provider.stream(ask()):
            payloads.append(payload)
    except ProviderError as error:
        return normal(payloads), error
    pytest.fail("the stream did not fail")


async def test_an_error_inside_the_stream_is_raised_after_what_came_before_it(
    server: WireServer, provider: Provider
) -> None:
    half = message("")
    for cut in ALL_CUTS:
        server.answers(Answer.sse(recording("openai_chat/error.sse"), cuts=cut))
        payloads, error = await until_error(provider)
        assert (payloads, type(error)) == ([start(half), said(half, "Half")], ProviderOverloaded)
        assert "Provider returned error: upstream is gone" in error.message


@pytest.mark.parametrize(
    ("chunk", "error"),
    [
        (b'{"error": {"code": 429, "message": "Slow down."}}', ProviderRateLimited),
        (b'{"error": {"code": 402, "message": "No credits."}}', ProviderBadRequest),
        (b'{"error": {"type": "exceed_context_size_error"}}', ProviderContextTooLong),
        (b'{"error": {"code": "invalid_prompt", "message": "No."}}', ProviderBadRequest),
        (b'{"error": {"message": "?", "code": null}}', ProviderOverloaded),
        (b'{"error": "out of memory"}', ProviderOverloaded),
        (b'{"choices": [{"delta": {}, "finish_reason": "error"}]}', ProviderStreamBroken),
    ],
)
async def test_an_error_chunk_becomes_the_error_of_its_kind(
    chunk: bytes, error: type[ProviderError], server: WireServer, provider: Provider
) -> None:
    server.answers(Answer.sse(b"data: " + chunk + b"\n\ndata: [DONE]\n\n"))
    payloads, raised = await until_error(provider)
    assert (payloads, type(raised)) == ([], error)


@pytest.mark.parametrize("then", ["close", "break"])
async def test_a_stream_without_its_finish_reason_is_broken(
    then: Any, server: WireServer, provider: Provider
) -> None:
    body = recording("openai_chat/text.sse")[:700]
    server.answers(Answer.sse(body, then=then))
    payloads, error = await until_error(provider)
    assert type(error) is ProviderStreamBroken
    assert payloads == EXPECTED["text"][:3]


async def test_the_mark_alone_ends_an_answer_but_not_an_empty_one(
    server: WireServer, provider: Provider
) -> None:
    chunk = b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'
    server.answers(Answer.sse(chunk + b"data: [DONE]\n\n"), Answer.sse(b"data: [DONE]\n\n"))
    assert await collect(provider.stream(ask())) == EXPECTED["no_done"]
    payloads, error = await until_error(provider)
    assert (payloads, type(error)) == ([], ProviderStreamBroken)


async def test_reasoning_blocks_that_come_last_get_an_item_to_ride_on(
    server: WireServer, provider: Provider
) -> None:
    chunks = (
        b'{"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}',
        b'{"choices": [{"delta": {"reasoning_details": [{"type": "reasoning.encrypted"}]}}]}',
    )
    server.answers(Answer.sse(b"".join(b"data: " + chunk + b"\n\n" for chunk in chunks)))
    sealed = Reasoning(id="2", content="", provider_data=details({"type": "reasoning.encrypted"}))
    assert await collect(provider.stream(ask())) == [
        *streamed(message("Hi"), "Hi"),
        *streamed(sealed),
        end("stop", None),
    ]


async def test_what_a_step_said_goes_back_as_one_message_with_its_outputs(
    server: WireServer, provider: Provider
) -> None:
    server.answers(
        Answer.sse(recording("openai_chat/openrouter.sse")),
        Answer.sse(recording("openai_chat/text.sse")),
    )
    payloads = await collect(provider.stream(ask()))
    items = [payload.final_item for payload in payloads if payload.type == "item_done"]
    output = FunctionCallOutput(id="o1", call_id="toolu_1", output="", success=False)
    await collect(provider.stream(ask(PROMPT, *items, output)))
    assert server.refused == []
    assert server.requests[1].json["messages"] == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [
                {
                    "id": "toolu_1",
                    "type": "function",
                    "function": {"name": "read_file", "arguments": '{"path":"a"}'},
                }
            ],
            "reasoning_details": [BLOCK, SEALED],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": ""},
    ]


def chunks_of(*deltas: str, reason: str) -> Answer:
    """Return a stream of these deltas, in JSON, and its end."""
    chunks = [f'{{"choices": [{{"delta": {delta}}}]}}' for delta in deltas]
    chunks.append(f'{{"choices": [{{"delta": {{}}, "finish_reason": "{reason}"}}]}}')
    return Answer.sse("".join(f"data: {chunk}\n\n" for chunk in chunks).encode())


async def test_thoughts_shown_as_content_go_back_while_the_turn_makes_calls(
    server: WireServer, provider: Provider
) -> None:
    called = '{"tool_calls": [{"index": 0, "id": "%s", "function": {"name": "ls"}}]}'
    server.answers(
        chunks_of('{"reasoning_content": "I look."}', called % "a", reason="tool_calls"),
        chunks_of('{"reasoning_content": ""}', called % "b", reason="tool_calls"),
        chunks_of('{"reasoning_content": "So."}', '{"content": "Two."}', reason="stop"),
        chunks_of('{"content": "Fine."}', reason="stop"),
    )
    items: list[Item] = [PROMPT]
    for step, call_id in enumerate(("a", "b", None)):
        payloads = await collect(provider.stream(ask(*items)))
        whole = [payload.final_item for payload in payloads if payload.type == "item_done"]
        items += [item.model_copy(update={"step": step}) for item in whole]
        if call_id is not None:
            items.append(FunctionCallOutput(id="o", call_id=call_id, output="x", success=True))
    await collect(provider.stream(ask(*items, PROMPT)))
    assert server.refused == []
    thoughts = [
        [m.get("reasoning_content") for m in request.json["messages"] if m["role"] == "assistant"]
        for request in server.requests
    ]
    assert thoughts == [[], ["I look."], ["I look.", ""], ["I look.", "", "So."]]


async def test_thoughts_by_another_name_do_not_go_back(
    server: WireServer, provider: Provider
) -> None:
    called = '{"tool_calls": [{"index": 0, "id": "a", "function": {"name": "ls"}}]}'
    server.answers(chunks_of('{"reasoning": "I look."}', called, reason="tool_calls"))
    payloads = await collect(provider.stream(ask()))
    whole = [payload.final_item for payload in payloads if payload.type == "item_done"]
    assert [item.provider_data for item in whole] == [None, None]


async def test_half_a_character_does_not_end_the_answer(
    server: WireServer, provider: Provider
) -> None:
    server.answers(chunks_of(r'{"content": "a\ud83d"}', '{"content": "b"}', reason="stop"))
    payloads = await collect(provider.stream(ask()))
    assert payloads == [*streamed(message("a?b"), "a?", "b"), end("stop", None)]


async def test_a_server_without_a_key_gets_a_placeholder(
    server: WireServer, provider: Provider
) -> None:
    server.answers(Answer.json({"object": "list", "data": [{"id": "llama"}]}))
    assert await provider.models() == ["llama"]
    assert server.requests[0].headers["authorization"] == "Bearer no-key"
    assert server.requests[0].path == "/v1/models"
