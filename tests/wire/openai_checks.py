"""What OpenAI's APIs refuse, in their own words: checks for a ``WireServer``.

They cover what an adapter can get wrong in a conversation of many steps: calls without outputs,
reasoning without what it led to, roles and parts that do not fit, parameters that do not exist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from wire.server import Answer, Request

Json = dict[str, Any]
Complaints = Iterator[tuple[str, str | None]]
"""Messages and codes of what is wrong, the first first."""

_PARTS = {
    "user": {"input_text", "input_image", "input_file"},
    "developer": {"input_text"},
    "system": {"input_text"},
    "assistant": {"output_text", "refusal"},
}
_PREFIXES = {"function_call": "fc_", "custom_tool_call": "ctc_"}
_ROLES = ("system", "assistant", "user", "function", "tool", "developer")


def check_responses(request: Request) -> Answer | None:
    """Refuse what the Responses API refuses."""
    return _check(request, "/responses", _responses_complaints)


def check_chat(request: Request) -> Answer | None:
    """Refuse what the Chat Completions API refuses."""
    return _check(request, "/chat/completions", _chat_complaints)


def _check(request: Request, path: str, complaints: Callable[[Json], Complaints]) -> Answer | None:
    if not request.headers.get("authorization", "").startswith("Bearer "):
        return _error(401, "Missing bearer or basic authentication in header", None)
    if request.method == "GET" and request.path.endswith("/models"):
        return None
    if request.method != "POST" or not request.path.endswith(path):
        return _error(404, f"Invalid URL ({request.method} {request.path})", None)
    complaint = next(complaints(request.json or {}), None)
    return _error(400, *complaint) if complaint else None


def _error(status: int, message: str, code: str | None) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Answer.error(status, {"error": error})


def _parameters(body: Json, required: tuple[str, ...], known: set[str]) -> Complaints:
    for name in required:
        if name not in body:
            yield f"Missing required parameter: '{name}'.", "missing_required_parameter"
    for name in body:
        if name not in known:
            yield f"Unknown parameter: '{name}'.", "unknown_parameter"
    if body.get("stream") is not True:
        yield "These tests stream.", None
    for name in ("max_output_tokens", "max_tokens", "max_completion_tokens"):
        if name in body and not isinstance(body[name], int):
            yield f"Invalid type for '{name}': expected an integer.", "invalid_type"


def _responses_complaints(body: Json) -> Complaints:
    known = {*ResponseCreateParamsBase.__annotations__, "stream"}
    yield from _parameters(body, ("model", "input", "stream"), known)
    items: list[Json] = body["input"]
    for at, item in enumerate(items):
        yield from _item_complaints(at, item, body)
    yield from _pairing_complaints(items)
    yield from _reasoning_complaints(items)
    tools: list[Json] = body.get("tools", [])
    for at, tool in enumerate(tools):
        yield from _tool_complaints(at, tool)
    yield from _kind_complaints(items, tools)


def _tool_complaints(at: int, tool: Json) -> Complaints:
    wanted = {
        "function": {"type", "name", "parameters", "strict"},
        "custom": {"type", "name"},
    }
    allowed = {"function": {"description"}, "custom": {"description", "format"}}
    kind = tool.get("type", "")
    if kind not in wanted:
        yield f"Invalid value: '{kind}'.", "invalid_value"
        return
    for name in sorted(wanted[kind] - set(tool)):
        yield f"Missing required parameter: 'tools[{at}].{name}'.", "missing_required_parameter"
    for name in sorted(set(tool) - wanted[kind] - allowed[kind]):
        yield f"Unknown parameter: 'tools[{at}].{name}'.", "unknown_parameter"


def _kind_complaints(items: list[Json], tools: list[Json]) -> Complaints:
    """Calls of a custom tool are of one that is declared as such, and a name is declared once."""
    custom = {tool["name"] for tool in tools if tool["type"] == "custom"}
    for name, count in Counter(tool["name"] for tool in tools).items():
        if count > 1:
            yield f"Duplicate tool name: '{name}'.", "invalid_value"
    for at, item in enumerate(items):
        if item.get("type") == "custom_tool_call" and item["name"] not in custom:
            yield f"Custom tool '{item['name']}' of 'input[{at}]' is not in 'tools'.", None
        if item.get("type") == "function_call" and item["name"] in custom:
            yield f"Tool '{item['name']}' of 'input[{at}]' is no function.", None


def _item_complaints(at: int, item: Json, body: Json) -> Complaints:
    wanted = {
        "message": {"role", "content"},
        "function_call": {"type", "call_id", "name", "arguments"},
        "function_call_output": {"type", "call_id", "output"},
        "custom_tool_call": {"type", "call_id", "name", "input"},
        "custom_tool_call_output": {"type", "call_id", "output"},
        "reasoning": {"type", "summary"},
    }
    allowed = {
        "message": {"type", "id", "status", "phase"},
        "function_call": {"id", "status"},
        "function_call_output": {"id", "status"},
        "custom_tool_call": {"id"},
        "custom_tool_call_output": {"id"},
        "reasoning": {"id", "status", "encrypted_content", "content"},
    }
    kind = item.get("type", "message")
    if kind not in wanted:
        yield f"Invalid value: '{kind}'.", "invalid_value"
        return
    for name in sorted(wanted[kind] - set(item)):
        yield f"Missing required parameter: 'input[{at}].{name}'.", "missing_required_parameter"
    for name in sorted(set(item) - wanted[kind] - allowed[kind]):
        yield f"Unknown parameter: 'input[{at}].{name}'.", "unknown_parameter"
    if len(item.get("call_id", "")) > 64:
        yield f"Invalid 'input[{at}].call_id': string too long.", "string_above_max_length"
    if "id" in item and not item["id"].startswith(_PREFIXES.get(kind, "")):
        yield f"Invalid 'input[{at}].id': '{item['id']}'.", "invalid_value"
    if kind == "message":
        for part in item["content"]:
            if part["type"] not in _PARTS[item["role"]]:
                yield f"Invalid value: '{part['type']}'.", "invalid_value"
    if kind == "reasoning" and not body.get("store", True) and not item.get("encrypted_content"):
        yield (
            f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is"
            " set to false. Try again with `store` set to true, or remove this item from your"
            " input.",
            None,
        )


def _pairing_complaints(items: list[Json]) -> Complaints:
    """Every call has exactly one output, of its own kind, which comes after it."""
    words = {"function_call": "function call", "custom_tool_call": "custom tool call"}
    calls: Counter[tuple[str, str]] = Counter()
    for item in items:
        kind = item.get("type", "").removesuffix("_output")
        if kind not in words:
            continue
        call_id = item["call_id"]
        if item["type"] == kind:
            calls[kind, call_id] += 1
            continue
        if calls[kind, call_id] != 1:
            yield f"No tool call found for {words[kind]} output with call_id {call_id}.", None
        calls[kind, call_id] -= 1
    for (kind, call_id), open_calls in calls.items():
        if open_calls:
            yield f"No tool output found for {words[kind]} {call_id}.", None


def _reasoning_complaints(items: list[Json]) -> Complaints:
    """Reasoning is followed by more of it or by what it led to."""
    for item, following in pairwise([*items, {}]):
        led_on = (
            following.get("type") in ("reasoning", "function_call", "custom_tool_call")
            or following.get("role") == "assistant"
        )
        if item.get("type") == "reasoning" and not led_on:
            yield (
                f"Item '{item.get('id')}' of type 'reasoning' was provided without its required"
                " following item.",
                None,
            )


def _chat_complaints(body: Json) -> Complaints:
    known = {*CompletionCreateParamsBase.__annotations__, "stream"}
    yield from _parameters(body, ("model", "messages", "stream"), known)
    for message in body["messages"]:
        if message["role"] not in _ROLES:
            yield f"Invalid value: '{message['role']}'.", "invalid_value"
        if message.get("content") is None and not message.get("tool_calls"):
            yield "Invalid value for 'content': expected a string, got null.", None
    yield from _sequence_complaints(body["messages"])


def _sequence_complaints(messages: list[Json]) -> Complaints:
    """Outputs follow the message with their calls at once, one for each."""
    waiting: list[str] = []
    for message in [*messages, {"role": "end"}]:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                yield (
                    "Invalid parameter: messages with role 'tool' must be a response to a"
                    " preceeding message with 'tool_calls'.",
                    None,
                )
            else:
                waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield (
                "An assistant message with 'tool_calls' must be followed by tool messages"
                " responding to each 'tool_call_id'. The following tool_call_ids did not have"
                f" response messages: {', '.join(waiting)}",
                None,
            )
        waiting = [call["id"] for call in message.get("tool_calls", ())]
