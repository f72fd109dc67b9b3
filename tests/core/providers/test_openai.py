"""The Responses API adapter: the real SDK against recorded answers over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cody_core.errors import (
    ProviderContextTooLong,
    ProviderError,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderStreamBroken,
)
from cody_core.providers import Provider
from cody_core.providers.openai import create
from cody_core.schema.events import Payload, ResponseDone
from cody_core.schema.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ProviderData,
    Reasoning,
)
from cody_core.schema.requests import ModelRequest, ToolSpec
from cody_core.schema.response import Usage
from cody_core.settings import ProviderSettings
from pydantic import SecretStr
from wire.openai_checks import check_responses
from wire.payloads import collect, done, normal, said, start, streamed
from wire.server import ALL_CUTS, Answer, WireServer, recording

RUN = "00000000-0000-4000-8000-000000000001"
PROMPT = Message(id="u1", origin="user", content="Hi")


@pytest.fixture
async def server() -> AsyncIterator[WireServer]:
    async with WireServer(check_responses) as server:
        yield server


@pytest.fixture
async def provider(server: WireServer) -> AsyncIterator[Provider]:
    settings = ProviderSettings(base_url=f"{server.url}/v1", api_key=SecretStr("sk-1"), timeout=10)
    provider = create(settings, name="openai")
    yield provider
    await provider.aclose()


def ask(*items: Item, **fields: Any) -> ModelRequest:
    model = fields.pop("model", "gpt-5.1-codex-mini")
    return ModelRequest(response_id=RUN, model=model, items=items or (PROMPT,), **fields)


def own(**data: Any) -> ProviderData:
    return ProviderData(provider_id="openai", data=data)


def end(reason: str, usage: Usage | None) -> ResponseDone:
    return ResponseDone(response_id=RUN, status="complete", finish_reason=reason, usage=usage)


def used(read: int, written: int, cached: int | None = 0, reasoning: int | None = 0) -> Usage:
    return Usage(
        prompt_tokens=read,
        completion_tokens=written,
        total_tokens=read + written,
        cached_tokens=cached,
        reasoning_tokens=reasoning,
    )


def message(item_id: str, text: str, **data: Any) -> Message:
    return Message(id=item_id, content=text, provider_data=own(**data) if data else None)


THOUGHT = Reasoning(
    id="1",
    content="**Adding**\n\nTwo and two\n\n**Checking**",
    provider_data=own(
        id="rs_01",
        summary=[
            {"type": "summary_text", "text": "**Adding**\n\nTwo and two"},
            {"type": "summary_text", "text": "**Checking**"},
        ],
        encrypted_content="gAAAAABo-encrypted+/=",
    ),
)
OPEN_THOUGHT = Reasoning(
    id="1",
    content="We need a greeting.",
    provider_data=own(
        id="rs_ow",
        summary=[],
        content=[{"type": "reasoning_text", "text": "We need a greeting."}],
    ),
)
SILENT_THOUGHT = Reasoning(
    id="1",
    content="",
    provider_data=own(id="rs_03", summary=[], encrypted_content="gAAAAABo-silent=="),
)
READ = FunctionCall(
    id="2",
    name="read_file",
    arguments='{"path":"a é b.txt"}',
    call_id="call_aaa",
    provider_data=own(id="fc_01"),
)
LIST = FunctionCall(
    id="3",
    name="list_files",
    arguments="{}",
    call_id="call_bbb",
    provider_data=own(id="fc_02"),
)
CUT = FunctionCall(
    id="2", name="write_file", arguments='{"path":"x.txt","content":"', call_id="call_cut"
)
MULTIBYTE = ("Grüße — ", "日本語 ", "🙂👩‍🚀", "\u2028next\u2029", '\u0085end\r\n"q"')
EXPECTED: dict[str, list[Payload]] = {
    "text": [
        *streamed(message("1", "Hello there.", id="msg_01"), "Hello", " there", "."),
        end("stop", used(12, 4)),
    ],
    "reasoning": [
        *streamed(THOUGHT, "**Adding**", "\n\nTwo and two", "\n\n**Checking**"),
        *streamed(message("2", "Four.", id="msg_02", phase="final_answer"), "Four", "."),
        end("stop", used(80, 71, 64, 64)),
    ],
    "reasoning_text": [
        *streamed(OPEN_THOUGHT, "We need", " a greeting."),
        *streamed(message("2", "Hi", id="msg_ow"), "Hi"),
        end("stop", None),
    ],
    "calls": [
        *streamed(SILENT_THOUGHT),
        start(READ),
        said(READ, '{"path"'),
        said(READ, ':"a é'),
        start(LIST),
        said(READ, ' b.txt"'),
        said(READ, "}"),
        done(READ),
        said(LIST, "{}"),
        done(LIST),
        end("tool_calls", used(200, 90, 128, 40)),
    ],
    "refusal": [
        *streamed(
            message("1", "I can't help with that.", id="msg_05"), "I can't help", " with that."
        ),
        end("refusal", used(20, 8)),
    ],
    "incomplete": [
        *streamed(message("1", "Once upon a", id="msg_06"), "Once upon", " a"),
        *streamed(CUT, '{"path":"x', '.txt","content":"'),
        end("length", used(15, 16)),
    ],
    "content_filter": [
        *streamed(message("1", "The recipe", id="msg_07"), "The recipe"),
        end("content_filter", used(15, 3)),
    ],
    "unknown": [
        *streamed(message("1", "Found it.", id="msg_10"), "Found", " it."),
        end("stop", used(9, 3, None, None)),
    ],
    "multibyte": [
        *streamed(message("1", "".join(MULTIBYTE), id="msg_11"), *MULTIBYTE),
        end("stop", used(5, 20)),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_recording_says_the_same_however_it_is_cut(
    name: str, server: WireServer, provider: Provider
) -> None:
    for cut in ALL_CUTS:
        server.answers(Answer.sse(recording(f"openai/{name}.sse"), cuts=cut))
        assert await collect(provider.stream(ask())) == EXPECTED[name], cut.__name__
    assert server.refused == []


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("error", ProviderRateLimited),
        ("error_wrapped", ProviderContextTooLong),
        ("failed", ProviderOverloaded),
    ],
)
async def test_an_error_inside_the_stream_is_raised_after_what_came_before_it(
    name: str, error: type[ProviderError], server: WireServer, provider: Provider
) -> None:
    partial = message("1", "")
    for cut in ALL_CUTS:
        server.answers(Answer.sse(recording(f"openai/{name}.sse"), cuts=cut))
        payloads, raised = await until_error(provider)
        assert type(raised) is error, cut.__name__
        assert payloads == [start(partial), said(partial, "Half of"), said(partial, " an ans")]


async def until_error(provider: Provider) -> tuple[list[Payload], ProviderError]:
    payloads: list[Payload] = []
    try:
        async for payload in provider.stream(ask()):
            payloads.append(payload)
    except ProviderError as error:
        return normal(payloads), error
    pytest.fail("the stream did not fail")


@pytest.mark.parametrize("then", ["close", "break"])
async def test_a_stream_without_its_last_event_is_broken(
    then: Any, server: WireServer, provider: Provider
) -> None:
    body = recording("openai/text.sse").partition(b"event: response.completed")[0]
    server.answers(Answer.sse(body, then=then))
    payloads, error = await until_error(provider)
    assert type(error) is ProviderStreamBroken
    assert payloads == EXPECTED["text"][:-1]


async def test_answers_share_a_connection_and_do_not_wait_for_one_that_stays_open(
    server: WireServer, provider: Provider
) -> None:
    body = recording("openai/text.sse")
    server.answers(Answer.sse(body), Answer.sse(body), Answer.sse(body, then="hang"))
    for _ in range(3):
        assert await collect(provider.stream(ask())) == EXPECTED["text"]
    assert server.connections == 1
    async with asyncio.timeout(5):
        await server.client_left.wait()


async def test_what_a_step_said_goes_back_with_its_outputs(
    server: WireServer, provider: Provider
) -> None:
    outputs = (
        FunctionCallOutput(id="o1", call_id="call_aaa", output="text", success=True),
        FunctionCallOutput(id="o2", call_id="call_bbb", output="no such folder", success=False),
    )
    server.answers(
        Answer.sse(recording("openai/calls.sse")), Answer.sse(recording("openai/text.sse"))
    )
    payloads = await collect(provider.stream(ask()))
    items = [payload.final_item for payload in payloads if payload.type == "item_done"]
    await collect(provider.stream(ask(PROMPT, *items, *outputs)))
    assert server.refused == []
    assert server.requests[1].json["input"][1:] == [
        {
            "type": "reasoning",
            "id": "rs_03",
            "summary": [],
            "encrypted_content": "gAAAAABo-silent==",
        },
        {
            "type": "function_call",
            "id": "fc_01",
            "call_id": "call_aaa",
            "name": "read_file",
            "arguments": '{"path":"a é b.txt"}',
        },
        {
            "type": "function_call",
            "id": "fc_02",
            "call_id": "call_bbb",
            "name": "list_files",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": "call_aaa", "output": "text"},
        {"type": "function_call_output", "call_id": "call_bbb", "output": "no such folder"},
    ]


async def test_a_request_holds_what_was_asked_for_and_nothing_else(
    server: WireServer, provider: Provider
) -> None:
    tool = ToolSpec(name="stat", description="Look.", parameters={"type": "object"})
    server.answers(*[Answer.sse(recording("openai/text.sse"))] * 2)
    full = ask(
        Message(id="s1", origin="system", content="Be kind."),
        PROMPT,
        system="Be brief.",
        tools=(tool,),
        reasoning_effort="high",
        max_output_tokens=99,
        cache_key="thread",
    )
    await collect(provider.stream(full))
    await collect(provider.stream(ask(model="gpt-4.1", thinking_budget=100)))
    prompt = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
    }
    kindness = {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "Be kind."}],
    }
    assert [request.json for request in server.requests] == [
        {
            "model": "gpt-5.1-codex-mini",
            "input": [kindness, prompt],
            "stream": True,
            "store": False,
            "instructions": "Be brief.",
            "reasoning": {"effort": "high", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "tools": [
                {
                    "type": "function",
                    "name": "stat",
                    "description": "Look.",
                    "parameters": {"type": "object"},
                    "strict": False,
                }
            ],
            "parallel_tool_calls": True,
            "prompt_cache_key": "thread",
            "max_output_tokens": 99,
        },
        {"model": "gpt-4.1", "input": [prompt], "stream": True, "store": False},
    ]
    assert server.requests[0].path == "/v1/responses"
