"""Building requests to Chat Completions servers, without one being sent."""

from __future__ import annotations

from typing import Any

import pytest
from cody_core.providers.openai_chat import create
from cody_core.providers.openai_chat_request import build
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ProviderData,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.requests import ModelRequest, ToolSpec
from cody_core.settings import ProviderSettings
from wire.openai_checks import check_chat
from wire.server import Request

PROMPT = Message(id="u1", origin="user", content="Hi")


def ask(*items: Item, **fields: Any) -> ModelRequest:
    run = "00000000-0000-4000-8000-000000000001"
    return ModelRequest(response_id=run, model="m", items=items or (PROMPT,), **fields)


def messages(*items: Item) -> list[Any]:
    """Return the messages, having shown them to the API's own rules."""
    body = build(ask(*items), provider_id="local", is_openai=False)
    request = Request("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, body)
    assert check_chat(request) is None
    return list(body["messages"])


def called(call_id: str, arguments: str = "{}", step: int | None = None) -> FunctionCall:
    return FunctionCall(
        id=f"i{call_id}", name="stat", arguments=arguments, call_id=call_id, step=step
    )


def output(call_id: str, text: str) -> FunctionCallOutput:
    return FunctionCallOutput(id=f"o{call_id}", call_id=call_id, output=text, success=True)


def answer(content: str | None, *call_ids: str) -> dict[str, Any]:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": "stat", "arguments": "{}"}}
        for call_id in call_ids
    ]
    message: dict[str, Any] = {"role": "assistant", "content": content}
    return {**message, "tool_calls": calls} if calls else message


def tool(call_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


USER = {"role": "user", "content": "Hi"}


def test_steps_of_a_conversation_become_one_message_each() -> None:
    assert messages(
        PROMPT,
        Reasoning(id="r1", content="Hm"),
        Message(id="m1", content="Looking."),
        called("a"),
        called("b", ""),
        output("b", "2"),
        output("a", "1"),
        Message(id="m2", content="Again."),
        called("c"),
        output("c", "3"),
        Message(id="m3", content="Done."),
        PROMPT,
    ) == [
        USER,
        answer("Looking.", "a", "b"),
        tool("a", "1"),
        tool("b", "2"),
        answer("Again.", "c"),
        tool("c", "3"),
        answer("Done."),
        USER,
    ]


def test_outputs_between_the_calls_of_a_step_still_follow_their_calls_at_once() -> None:
    items = (called("a"), called("b"), output("a", "1"), called("c"), output("b", "2"))
    assert messages(PROMPT, *items, output("c", "3")) == [
        USER,
        answer(None, "a", "b"),
        tool("a", "1"),
        tool("b", "2"),
        answer(None, "c"),
        tool("c", "3"),
    ]


def test_a_call_that_was_cut_off_does_not_close_the_thread() -> None:
    cut = called("c1", '{"path": "a')
    sent = messages(PROMPT, cut.model_copy(update={"name": "fs.stat"}), output("c1", "invalid"))
    function = sent[1]["tool_calls"][0]["function"]
    assert function == {"name": "fs_stat", "arguments": '{"INVALID_JSON":"{\\"path\\": \\"a"}'}


def test_what_is_known_to_be_of_one_step_stays_together() -> None:
    items = (called("a", step=0), output("a", "1"), called("b", step=0), output("b", "2"))
    later = (called("c", step=1), output("c", "3"), Message(id="m", content="Done.", step=2))
    assert messages(PROMPT, *items, *later, PROMPT, called("d", step=2), output("d", "4")) == [
        USER,
        answer(None, "a", "b"),
        tool("a", "1"),
        tool("b", "2"),
        answer(None, "c"),
        tool("c", "3"),
        answer("Done."),
        USER,
        answer(None, "d"),
        tool("d", "4"),
    ]


def test_calls_that_a_server_numbers_anew_keep_their_own_outputs() -> None:
    items = (called("call_0"), output("call_0", "first"), called("call_0"))
    assert messages(PROMPT, *items, output("call_0", "second")) == [
        USER,
        answer(None, "call_0"),
        tool("call_0", "first"),
        answer(None, "call_0"),
        tool("call_0", "second"),
    ]


def test_scripts_go_out_as_calls_and_unresolved_items_not_at_all() -> None:
    script = {"name": "run_script", "arguments": '{"code": "oops"}'}
    assert messages(
        Message(id="s0", origin="system", content="Be kind."),
        PROMPT,
        Cancelled(id="c1"),
        ErrorItem(id="e1", code="x", message="y"),
        Message(id="m0", content=""),
        ScriptExecution(id="s1", code="oops"),
        ScriptExecutionOutput(id="o1", script_id="s1", result="null", success=False, error="E"),
    ) == [
        {"role": "system", "content": "Be kind."},
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "s1", "type": "function", "function": script}],
        },
        tool("s1", "E"),
    ]


def test_a_script_that_was_repeated_or_broke_off_has_one_output_each_time() -> None:
    def ran(script_id: str, **outcome: Any) -> Item:
        return ScriptExecutionOutput(id=f"o{script_id}", script_id=script_id, **outcome)

    items = (
        ScriptExecution(id="s1", code="1", step=0),
        ran("s1", result="1", success=True, logs="seen\n"),
        ScriptExecution(id="s2", code="1", step=0),
        ScriptExecution(id="s3", code="1", step=0, unclosed=True),
        ran("s2", result="1", success=True),
        ran("s3", result="null", success=False, error="unclosed_script"),
    )
    script = {"name": "run_script", "arguments": '{"code": "1"}'}
    calls = [
        {"id": script_id, "type": "function", "function": script}
        for script_id in ("s1", "s2", "s3")
    ]
    assert messages(PROMPT, *items) == [
        USER,
        {"role": "assistant", "content": None, "tool_calls": calls},
        tool("s1", "1\n\nConsole:\nseen"),
        tool("s2", "1"),
        tool("s3", "unclosed_script"),
    ]


def test_reasoning_goes_back_only_as_blocks_and_only_to_where_it_came_from() -> None:
    block = {"type": "reasoning.text", "text": "Hm"}
    data = {"reasoning_details": [block]}
    own, foreign = (
        Reasoning(
            id="r1", content="Hm", provider_data=ProviderData(provider_id=provider, data=data)
        )
        for provider in ("local", "other")
    )
    said = Message(id="m1", content="So.")
    assert messages(PROMPT, own, said)[1] == {**answer("So."), "reasoning_details": [block]}
    assert messages(PROMPT, foreign, said)[1] == answer("So.")
    assert messages(PROMPT, own, PROMPT, said) == [USER, USER, answer("So.")]


def test_thoughts_go_back_to_where_they_came_from_if_their_turn_made_calls() -> None:
    own, foreign = (
        Reasoning(
            id="r1",
            content="Hm",
            provider_data=ProviderData(provider_id=provider, data={"reasoning_content": True}),
        )
        for provider in ("local", "other")
    )
    said = Message(id="m1", content="So.")
    step: list[Item] = [called("a"), output("a", "1")]
    calling = {**answer(None, "a"), "reasoning_content": "Hm"}
    assert messages(PROMPT, own, *step) == [USER, calling, tool("a", "1")]
    assert messages(PROMPT, own, *step, PROMPT, own, said) == [
        *(USER, calling, tool("a", "1")),
        *(USER, answer("So.")),
    ]
    assert messages(PROMPT, foreign, *step) == [USER, answer(None, "a"), tool("a", "1")]


def test_only_openai_itself_is_sent_its_newest_parameters() -> None:
    spec = ToolSpec(name="stat", description="Look.", parameters={"type": "object"})
    request = ask(
        system="Be brief.",
        tools=(spec,),
        reasoning_effort="low",
        max_output_tokens=9,
        cache_key="thread",
    )
    common = {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, USER],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "stat",
                    "description": "Look.",
                    "parameters": {"type": "object"},
                },
            }
        ],
        "reasoning_effort": "low",
    }
    assert build(request, provider_id="p", is_openai=False) == {**common, "max_tokens": 9}
    assert build(request, provider_id="p", is_openai=True) == {
        **common,
        "max_completion_tokens": 9,
        "prompt_cache_key": "thread",
    }


@pytest.mark.parametrize(
    ("model", "effort", "elsewhere", "by_those_who_take_all"),
    [
        ("m", "minimal", "low", "minimal"),
        ("m", "xhigh", "high", "xhigh"),
        ("m", "max", "high", "max"),
        ("m", "none", "none", "none"),
        ("openai/gpt-5.1-codex", "none", "low", "low"),
    ],
)
def test_an_effort_that_is_not_known_is_the_nearest_that_is(
    model: str, effort: Any, elsewhere: str, by_those_who_take_all: str
) -> None:
    request = ask(reasoning_effort=effort).model_copy(update={"model": model})
    others = build(request, provider_id="p", is_openai=False)
    router = build(request, provider_id="p", is_openai=False, takes_all_efforts=True)
    openai = build(request, provider_id="p", is_openai=True)
    assert others["reasoning_effort"] == elsewhere
    assert router["reasoning_effort"] == openai["reasoning_effort"] == by_those_who_take_all


async def test_openrouter_is_known_by_its_address() -> None:
    for address, expected in (("https://openrouter.ai/api/v1", True), ("https://x.y", False)):
        provider = create(ProviderSettings(base_url=address), name="p")
        assert provider.endpoint.is_openrouter is expected
        await provider.aclose()


async def test_openai_is_known_by_its_address() -> None:
    addresses = {
        None: True,
        "https://eu.api.openai.com/v1": True,
        "https://openrouter.ai/api/v1": False,
        "https://api.openai.com.example.org/v1": False,
    }
    for address, expected in addresses.items():
        provider = create(ProviderSettings(base_url=address), name="p")
        assert provider.endpoint.is_openai is expected, address
        await provider.aclose()
