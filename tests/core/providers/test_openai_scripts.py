"""Scripts as calls of a custom tool of the Responses API, and calls of any kind that break off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cody_core.providers import Provider
from cody_core.providers.openai import create
from cody_core.providers.openai_request import build
from cody_core.schema.events import ItemDone, Payload, ResponseDone
from cody_core.schema.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ProviderData,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.requests import SCRIPT_TOOL, ModelRequest
from cody_core.schema.response import Usage
from cody_core.settings import ProviderSettings
from cody_core.tools.offer import script_tool
from pydantic import SecretStr
from wire.openai_checks import check_responses
from wire.payloads import collect, streamed
from wire.server import ALL_CUTS, Answer, WireServer, recording

RUN = "00000000-0000-4000-8000-000000000001"
PROMPT = Message(id="u1", origin="user", content="Hi")
TOOL = script_tool()
CODE = (
    "const text = await tools.",
    'read_file({path: "naï',
    've.txt"});\n',
    "return text.length; // 日本 🙂",
)
THOUGHT = Reasoning(
    id="1",
    content="",
    provider_data=ProviderData(
        provider_id="openai",
        data={"id": "rs_12", "summary": [], "encrypted_content": "gAAAAABo-script=="},
    ),
)
SCRIPT = ScriptExecution(id="2", code="".join(CODE))
MADE_UP = FunctionCall(id="3", name="python", arguments="print(1)", call_id="call_s2")


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[WireServer, Provider]]:
    async with WireServer(check_responses) as server:
        settings = ProviderSettings(
            base_url=f"{server.url}/v1", api_key=SecretStr("sk-1"), timeout=10
        )
        provider = create(settings, name="openai")
        yield server, provider
        await provider.aclose()
        assert server.refused == []


def ask(*items: Item, **fields: Any) -> ModelRequest:
    values = {"model": "gpt-5.1-codex-mini", "tools": (TOOL,), **fields}
    return ModelRequest(response_id=RUN, items=items or (PROMPT,), **values)


def end(reason: str, read: int, written: int, reasoning: int) -> ResponseDone:
    usage = Usage(
        prompt_tokens=read,
        completion_tokens=written,
        total_tokens=read + written,
        cached_tokens=0,
        reasoning_tokens=reasoning,
    )
    return ResponseDone(response_id=RUN, status="complete", finish_reason=reason, usage=usage)


async def test_a_custom_call_is_a_script_and_one_of_another_tool_a_call() -> None:
    async with wired() as (server, provider):
        for cut in ALL_CUTS:
            server.answers(Answer.sse(recording("openai/script.sse"), cuts=cut))
            assert await collect(provider.stream(ask())) == [
                *streamed(THOUGHT),
                *streamed(SCRIPT, *CODE),
                *streamed(MADE_UP, "print(", "1)"),
                end("tool_calls", 300, 50, 20),
            ], cut.__name__


async def test_a_script_that_nobody_asked_for_is_the_call_of_an_unknown_tool() -> None:
    async with wired() as (server, provider):
        server.answers(Answer.sse(recording("openai/script.sse")))
        payloads = await collect(provider.stream(ask(tools=())))
    call = FunctionCall(id="2", name=SCRIPT_TOOL, arguments="".join(CODE), call_id="call_s1")
    assert payloads[2:8] == streamed(call, *CODE)


async def test_what_breaks_off_says_so_and_has_no_arguments_that_could_be_taken() -> None:
    """A call without arguments would be made with none, and run as soon as it is done."""
    make, clean, ls, nothing = (
        ScriptExecution(id="1", code='await tools.shell({command: "make"});\n', unclosed=True),
        ScriptExecution(
            id="2", code='await tools.shell({command: "make clean"});\n', unclosed=True
        ),
        FunctionCall(id="3", name="list_files", arguments="{", call_id="call_f1"),
        ScriptExecution(id="4", code="", unclosed=True),
    )
    async with wired() as (server, provider):
        server.answers(Answer.sse(recording("openai/script_cut.sse")))
        payloads = await collect(provider.stream(ask()))
    finals = [payload.final_item for payload in payloads if isinstance(payload, ItemDone)]
    assert finals == [make, clean, ls, nothing]
    assert said_of(payloads, "3") == "{"
    assert payloads[-1] == end("length", 300, 16, 0)


def said_of(payloads: list[Payload], item_id: str) -> str:
    deltas = (p for p in payloads if p.type == "item_delta" and p.item_id == item_id)
    return "".join(delta.delta_content for delta in deltas)


async def test_scripts_go_back_as_custom_calls_with_one_output_each() -> None:
    unclosed = ScriptExecution(id="s3", code="await tools.", unclosed=True)
    items = (
        THOUGHT,
        SCRIPT,
        MADE_UP,
        ScriptExecutionOutput(id="o1", script_id="2", result="7", success=True, logs="seen\n"),
        FunctionCallOutput(id="o2", call_id="call_s2", output="no such tool", success=False),
        SCRIPT.model_copy(update={"id": "s2"}),
        unclosed,
        ScriptExecutionOutput(id="o3", script_id="s2", result="7", success=True),
        ScriptExecutionOutput(
            id="o4", script_id="s3", result="null", success=False, error="unclosed_script"
        ),
    )
    async with wired() as (server, provider):
        server.answers(Answer.sse(recording("openai/text.sse")))
        await collect(provider.stream(ask(PROMPT, *items)))
        (request,) = server.requests
    custom = {"type": "custom", "name": "run_script", "description": TOOL.description}
    assert request.json["tools"] == [custom]
    assert request.json["input"][2:] == [
        script("2"),
        {
            "type": "function_call",
            "call_id": "call_s2",
            "name": "python",
            "arguments": '{"INVALID_JSON":"print(1)"}',
        },
        output("2", "7\n\nConsole:\nseen"),
        {"type": "function_call_output", "call_id": "call_s2", "output": "no such tool"},
        script("s2"),
        script("s3", "await tools."),
        output("s2", "7"),
        output("s3", "unclosed_script"),
    ]


def script(call_id: str, code: str = SCRIPT.code) -> dict[str, str]:
    return {"type": "custom_tool_call", "call_id": call_id, "name": "run_script", "input": code}


def output(call_id: str, text: str) -> dict[str, str]:
    return {"type": "custom_tool_call_output", "call_id": call_id, "output": text}


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": ()},
        {"tools": (TOOL.model_copy(update={"free_form": False}),)},
        {"model": "gpt-4.1"},
        {"model": "openai/o3"},
        {"model": "gpt-oss-120b"},
        {"model": "gpt-5-chat-latest"},
    ],
)
def test_without_a_custom_tool_scripts_go_back_as_calls_of_a_function(
    fields: dict[str, Any],
) -> None:
    outcome = ScriptExecutionOutput(id="o1", script_id="2", result="7", success=True)
    body = build(ask(PROMPT, SCRIPT, outcome, **fields), provider_id="openai")
    assert [part["type"] for part in body["input"][1:]] == [
        "function_call",
        "function_call_output",
    ]
    assert {tool["type"] for tool in body.get("tools", ())} <= {"function"}
