"""Building requests to the Responses API, without one being sent."""

from __future__ import annotations

from typing import Any

import pytest
from cody_core.providers.openai_request import build
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    Item,
    Message,
    ProviderData,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.requests import ModelRequest

PROMPT = Message(id="u1", origin="user", content="Hi")
SECRET = {"id": "rs_01", "summary": [], "encrypted_content": "gAAA"}
THOUGHT = Reasoning(
    id="r1", content="", provider_data=ProviderData(provider_id="openai", data=SECRET)
)


def ask(*items: Item, **fields: Any) -> ModelRequest:
    model = fields.pop("model", "gpt-5.1")
    run = "00000000-0000-4000-8000-000000000001"
    return ModelRequest(response_id=run, model=model, items=items or (PROMPT,), **fields)


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("gpt-5.1-codex-mini", {}, {"summary": "auto"}),
        ("o3", {"thinking_budget": 0}, {"effort": "low", "summary": "auto"}),
        ("gpt-6-sol", {"thinking_budget": 10_000}, {"effort": "medium", "summary": "auto"}),
        ("openai/gpt-5", {"thinking_budget": 64_000}, {"effort": "high", "summary": "auto"}),
        (
            "gpt-5",
            {"thinking_budget": 64_000, "reasoning_effort": "none"},
            {"effort": "minimal", "summary": "auto"},
        ),
        ("gpt-5.1", {"reasoning_effort": "minimal"}, {"effort": "low", "summary": "auto"}),
        (
            "gpt-5-mini-2025-08-07",
            {"reasoning_effort": "max"},
            {"effort": "high", "summary": "auto"},
        ),
        ("openai/gpt-5-pro", {"thinking_budget": 1}, {"effort": "high", "summary": "auto"}),
        ("gpt-5.1-codex-max", {"reasoning_effort": "max"}, {"effort": "xhigh", "summary": "auto"}),
        ("gpt-6-sol", {"reasoning_effort": "max"}, {"effort": "max", "summary": "auto"}),
        ("gpt-oss", {"reasoning_effort": "low"}, {"effort": "low", "summary": "auto"}),
        ("gpt-5-chat-latest", {"thinking_budget": 64_000}, None),
        ("gpt-4o", {}, None),
    ],
)
def test_reasoning_is_asked_of_models_that_do_it(
    model: str, fields: dict[str, Any], expected: Any
) -> None:
    body = build(ask(model=model, **fields), provider_id="openai")
    assert body.get("reasoning") == expected
    assert ("include" in body) is (expected is not None)


@pytest.mark.parametrize("model", ["gpt-4.1", "openai/gpt-4o", "chatgpt-4o-latest", "gpt-5-chat"])
def test_a_model_that_does_not_reason_is_sent_nothing_of_it(model: str) -> None:
    items = (PROMPT, THOUGHT, Message(id="m1", content="Four."), PROMPT)
    body = build(ask(*items, model=model, reasoning_effort="high"), provider_id="openai")
    assert [part["type"] for part in body["input"]] == ["message"] * 3
    assert not {"reasoning", "include"} & set(body)


@pytest.mark.parametrize(
    ("name", "arguments", "sent"),
    [
        ("stat", '{"path":  "a"}', ("stat", '{"path":  "a"}')),
        ("fs.read file", " ", ("fs_read_file", "{}")),
        ("", "[1]", ("_", '{"INVALID_JSON":"[1]"}')),
        ("x" * 70, '{"a', ("x" * 64, '{"INVALID_JSON":"{\\"a"}')),
    ],
)
def test_a_call_that_no_api_takes_back_is_made_to_fit(
    name: str, arguments: str, sent: tuple[str, str]
) -> None:
    call = FunctionCall(id="f1", name=name, arguments=arguments, call_id="c1")
    part = build(ask(PROMPT, call), provider_id="openai")["input"][1]
    assert (part["name"], part["arguments"]) == sent


def test_what_another_provider_gave_along_is_not_sent() -> None:
    foreign = ProviderData(provider_id="anthropic", data={"signature": "s", "id": "x"})
    answer = Message(id="m1", content="Four.", provider_data=foreign)
    thought = Reasoning(id="r1", content="Two and two", provider_data=foreign)
    assert build(ask(PROMPT, thought, answer), provider_id="openai")["input"][1:] == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Four.", "annotations": []}],
        }
    ]


def test_an_answer_goes_back_with_its_id_and_phase() -> None:
    names = {"id": "msg_02", "phase": "final_answer"}
    opaque = ProviderData(provider_id="openai", data=names)
    answer = Message(id="m1", content="Four.", provider_data=opaque)
    assert build(ask(PROMPT, THOUGHT, answer), provider_id="openai")["input"][1:] == [
        {"type": "reasoning", **SECRET},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_02",
            "phase": "final_answer",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Four.", "annotations": []}],
        },
    ]


def test_reasoning_that_the_api_did_not_store_is_not_referred_to() -> None:
    opaque = ProviderData(provider_id="openai", data={"id": "rs_02", "summary": []})
    thought = Reasoning(id="r1", content="Hm", provider_data=opaque)
    sent = build(ask(PROMPT, thought, Message(id="m1", content="Four.")), provider_id="openai")
    assert [part["type"] for part in sent["input"]] == ["message", "message"]


def test_reasoning_that_led_to_nothing_is_left_out() -> None:
    empty = Message(id="m1", content="")
    items = (PROMPT, THOUGHT, THOUGHT, empty, PROMPT, THOUGHT)
    sent = build(ask(*items), provider_id="openai")["input"]
    assert [part["type"] for part in sent] == ["message", "message"]


def test_scripts_go_out_as_calls_and_unresolved_items_not_at_all() -> None:
    items: tuple[Item, ...] = (
        ScriptExecution(id="s1", code="return 1"),
        ScriptExecutionOutput(id="o1", script_id="s1", result="1", success=True),
        ScriptExecution(id="s2", code="oops"),
        ScriptExecutionOutput(
            id="o2", script_id="s2", result="null", success=False, error="ReferenceError"
        ),
        Cancelled(id="c1"),
        ErrorItem(id="e1", code="x", message="y"),
    )
    assert build(ask(*items), provider_id="openai")["input"] == [
        {
            "type": "function_call",
            "call_id": "s1",
            "name": "run_script",
            "arguments": '{"code": "return 1"}',
        },
        {"type": "function_call_output", "call_id": "s1", "output": "1"},
        {
            "type": "function_call",
            "call_id": "s2",
            "name": "run_script",
            "arguments": '{"code": "oops"}',
        },
        {"type": "function_call_output", "call_id": "s2", "output": "ReferenceError"},
    ]
