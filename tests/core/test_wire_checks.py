"""The checks of the test server: they must refuse what OpenAI refuses, or they prove nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire.openai_checks import check_chat, check_responses
from wire.server import Answer, Request

HEADERS = {"authorization": "Bearer k"}
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
SAID = {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "1"}
THOUGHT = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "g"}


def responses(*items: Any, **fields: Any) -> Answer | None:
    body = {"model": "m", "stream": True, "store": False, "input": list(items), **fields}
    return check_responses(Request("POST", "/v1/responses", HEADERS, body))


def chat(*messages: Any, **fields: Any) -> Answer | None:
    body = {"model": "m", "stream": True, "messages": list(messages), **fields}
    return check_chat(Request("POST", "/v1/chat/completions", HEADERS, body))


def said(answer: Answer | None) -> str:
    assert answer is not None
    assert answer.status == 400
    return str(json.loads(answer.body)["error"]["message"])


def test_a_sound_conversation_is_let_through() -> None:
    assert responses(USER, THOUGHT, CALL, OUTPUT, SAID, USER) is None
    assert responses(CALL, {**CALL, "call_id": "d"}, {**OUTPUT, "call_id": "d"}, OUTPUT) is None


RUN = {"type": "custom_tool_call", "call_id": "c", "name": "run", "input": "1"}
RAN = {"type": "custom_tool_call_output", "call_id": "c", "output": "1"}
CUSTOM = [{"type": "custom", "name": "run"}]


def test_calls_of_custom_tools_are_let_through() -> None:
    assert responses(USER, THOUGHT, {**RUN, "id": "ctc_1"}, RAN, SAID, tools=CUSTOM) is None
    assert responses(RUN, CALL, OUTPUT, RAN, tools=CUSTOM) is None


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([RUN], "No tool output found for custom tool call c."),
        ([RAN], "No tool call found for custom tool call output with call_id c."),
        ([RUN, RAN, RAN], "No tool call found for custom tool call output"),
        ([RUN, OUTPUT], "No tool call found for function call output"),
        ([CALL, RAN], "No tool call found for custom tool call output"),
        ([{**RUN, "name": "other"}, RAN], "Custom tool 'other' of 'input[0]' is not in 'tools'."),
        ([{**CALL, "name": "run"}, OUTPUT], "Tool 'run' of 'input[0]' is no function."),
        ([{**RUN, "id": "fc_1"}, RAN], "Invalid 'input[0].id': 'fc_1'."),
        ([{**RUN, "arguments": "1"}, RAN], "Unknown parameter: 'input[0].arguments'."),
        ([{**RUN, "call_id": "c" * 65}], "Invalid 'input[0].call_id': string too long."),
    ],
)
def test_unsound_calls_of_custom_tools_are_refused(items: list[Any], words: str) -> None:
    assert words in said(responses(*items, tools=CUSTOM))


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([CALL], "No tool output found for function call c."),
        ([OUTPUT], "No tool call found for function call output with call_id c."),
        ([OUTPUT, CALL], "No tool call found"),
        ([CALL, OUTPUT, OUTPUT], "No tool call found"),
        ([THOUGHT, USER], "without its required following item"),
        ([USER, THOUGHT], "without its required following item"),
        ([{**THOUGHT, "encrypted_content": None}, SAID], "not found"),
        ([{**USER, "role": "assistant"}], "Invalid value: 'input_text'."),
        ([{**SAID, "role": "user"}], "Invalid value: 'output_text'."),
        ([{**CALL, "success": True}, OUTPUT], "Unknown parameter: 'input[0].success'."),
        ([{"type": "function_call", "call_id": "c"}], "Missing required parameter"),
        ([{"type": "script"}], "Invalid value: 'script'."),
    ],
)
def test_an_unsound_conversation_is_refused_by_the_responses_check(
    items: list[Any], words: str
) -> None:
    assert words in said(responses(*items))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": []}, "Unknown parameter: 'messages'."),
        ({"stream": False}, "stream"),
        ({"max_output_tokens": "9"}, "expected an integer"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].name"),
        ({"tools": [{"type": "custom"}]}, "tools[0].name"),
        ({"tools": [{"type": "custom", "name": "a", "parameters": {}}]}, "tools[0].parameters"),
        ({"tools": [{"type": "script", "name": "a"}]}, "Invalid value: 'script'."),
        ({"tools": [*CUSTOM, *CUSTOM]}, "Duplicate tool name: 'run'."),
    ],
)
def test_wrong_parameters_are_refused_by_the_responses_check(
    fields: dict[str, Any], words: str
) -> None:
    assert words in said(responses(USER, **fields))


ASKED = {"role": "user", "content": "Hi"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}, {"id": "b"}]}
TOOL_A = {"role": "tool", "tool_call_id": "a", "content": "1"}
TOOL_B = {"role": "tool", "tool_call_id": "b", "content": ""}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([ASKED, CALLED, TOOL_A], "did not have response messages: b"),
        ([ASKED, CALLED, TOOL_A, ASKED, TOOL_B], "did not have response messages: b"),
        ([ASKED, TOOL_A], "must be a response to a preceeding message"),
        ([CALLED, TOOL_A, TOOL_B, TOOL_B], "must be a response to a preceeding message"),
        ([{"role": "agent", "content": "Hi"}], "Invalid value: 'agent'."),
        ([{"role": "assistant", "content": None}], "expected a string, got null"),
    ],
)
def test_an_unsound_conversation_is_refused_by_the_chat_check(
    messages: list[Any], words: str
) -> None:
    assert words in said(chat(*messages))
    assert chat(ASKED, CALLED, TOOL_B, TOOL_A, ASKED) is None


def test_requests_without_a_key_or_to_nowhere_are_refused() -> None:
    nameless = check_responses(Request("GET", "/v1/models", {}, None))
    nowhere = check_chat(Request("POST", "/v1/responses", HEADERS, {}))
    assert (nameless and nameless.status, nowhere and nowhere.status) == (401, 404)
    assert check_chat(Request("GET", "/v1/models", HEADERS, None)) is None
