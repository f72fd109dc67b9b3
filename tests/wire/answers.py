"""Answers of models as the three APIs stream them, made of the steps of a scripted provider.

For conversations in which it matters what a model says next; how one API words every event is what
the recordings hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from cody_core.ids import new_id
from cody_core.providers.scripted import Call, Say, Script, Think
from cody_core.schema.requests import SCRIPT_TOOL

from wire.anthropic_checks import sign
from wire.server import Answer

Json = dict[str, Any]
Said: TypeAlias = Think | Say | Call | Script
Speak: TypeAlias = Callable[..., Answer]
"""Takes what a model says in one answer and returns it in the words of an API."""


def seal(thinking: str) -> str:
    """Return the encrypted content of a thought, as OpenAI's would be opaque."""
    return f"sealed:{sign(thinking)}"


def responses(*steps: Said, cut_off: bool = False) -> Answer:
    """Return an answer of the Responses API; one that is cut off leaves its last item open."""
    events: list[Json] = []
    for index, step in enumerate(steps):
        before, deltas, after = _item(step)
        place = {"output_index": index, "item_id": before["id"]}
        events.append({"type": "response.output_item.added", **place, "item": before})
        events += [{"type": kind, **place, "delta": text} for kind, text in deltas]
        events.append({"type": "response.output_item.done", **place, "item": after})
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    if cut_off:
        details = {"reason": "max_output_tokens"}
        end = {"usage": usage, "incomplete_details": details}
        return _sse([*events[:-1], {"type": "response.incomplete", "response": end}])
    return _sse([*events, {"type": "response.completed", "response": {"usage": usage}}])


def _item(step: Said) -> tuple[Json, list[tuple[str, str]], Json]:
    """Return an item as it begins, its deltas, and the item as it ends."""
    match step:
        case Think(text=text):
            item = {"type": "reasoning", "id": f"rs_{new_id()}", "summary": []}
            summary = [{"type": "summary_text", "text": text}]
            whole = {**item, "summary": summary, "encrypted_content": seal(text)}
            return item, _halves("response.reasoning_summary_text.delta", text), whole
        case Say(text=text):
            item = {"type": "message", "id": f"msg_{new_id()}", "role": "assistant", "content": []}
            content = [{"type": "output_text", "text": text, "annotations": []}]
            return item, _halves("response.output_text.delta", text), {**item, "content": content}
        case Script(code=code):
            call: Json = {"call_id": f"call_{new_id()}", "name": SCRIPT_TOOL, "input": ""}
            item = {"type": "custom_tool_call", "id": f"ctc_{new_id()}", **call}
            deltas = _halves("response.custom_tool_call_input.delta", code)
            return item, deltas, {**item, "input": code, "status": "completed"}
        case Call():
            call = {"call_id": f"call_{new_id()}", "name": step.name, "arguments": ""}
            item = {"type": "function_call", "id": f"fc_{new_id()}", **call}
            deltas = _halves("response.function_call_arguments.delta", _arguments(step))
            return item, deltas, {**item, "arguments": _arguments(step), "status": "completed"}


def messages(*steps: Said, cut_off: bool = False) -> Answer:
    """Return an answer of the Messages API, which ends what it cuts off like anything else."""
    start: Json = {"usage": {"input_tokens": 10, "output_tokens": 1}}
    events: list[Json] = [{"type": "message_start", "message": start}]
    for index, step in enumerate(steps):
        block, deltas = _block(step)
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
    reason = "tool_use" if any(map(_is_call, steps)) else "end_turn"
    reason = "max_tokens" if cut_off else reason
    delta = {"stop_reason": reason, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}})
    return _sse([*events, {"type": "message_stop"}])


def _block(step: Said) -> tuple[Json, list[Json]]:
    match step:
        case Think(text=text):
            deltas = [
                {"type": kind, "thinking": half} for kind, half in _halves("thinking_delta", text)
            ]
            signature = {"type": "signature_delta", "signature": sign(text)}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signature]
        case Say(text=text):
            deltas = [{"type": kind, "text": half} for kind, half in _halves("text_delta", text)]
            return {"type": "text", "text": ""}, deltas
        case Script() | Call():
            name = SCRIPT_TOOL if isinstance(step, Script) else step.name
            halves = _halves("input_json_delta", _arguments(step))
            deltas = [{"type": kind, "partial_json": half} for kind, half in halves]
            return {
                "type": "tool_use",
                "id": f"toolu_{new_id()}",
                "name": name,
                "input": {},
            }, deltas


def chat(*steps: Said, cut_off: bool = False) -> Answer:
    """Return an answer of the Chat Completions API, in which nothing is open or closed."""
    deltas: list[Json] = []
    for index, step in enumerate(steps):
        match step:
            case Think(text=text):
                deltas += [{"reasoning_content": half} for _, half in _halves("", text)]
            case Say(text=text):
                deltas += [{"content": half} for _, half in _halves("", text)]
            case Script() | Call():
                name = SCRIPT_TOOL if isinstance(step, Script) else step.name
                call = {"id": f"call_{new_id()}", "function": {"name": name, "arguments": ""}}
                deltas.append({"tool_calls": [{"index": index, **call}]})
                deltas += [
                    {"tool_calls": [{"index": index, "function": {"arguments": half}}]}
                    for _, half in _halves("", _arguments(step))
                ]
    reason = "tool_calls" if any(map(_is_call, steps)) else "stop"
    reason = "length" if cut_off else reason
    chunks: list[Json] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end = {"index": 0, "delta": {}, "finish_reason": reason}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return _sse([*chunks, {"choices": [end]}, {"choices": [], "usage": usage}])


def _is_call(step: Said) -> bool:
    return isinstance(step, Call | Script)


def _arguments(step: Call | Script) -> str:
    if isinstance(step, Script):
        return json.dumps({"code": step.code})
    return step.arguments if isinstance(step.arguments, str) else json.dumps(step.arguments)


def _halves(kind: str, text: str) -> list[tuple[str, str]]:
    middle = (len(text) + 1) // 2
    return [(kind, half) for half in (text[:middle], text[middle:]) if half]


def _sse(events: list[Json]) -> Answer:
    return Answer.sse("".join(_lines(events)).encode())


def _lines(events: list[Json]) -> Iterator[str]:
    for event in events:
        named = f"event: {event['type']}\n" if "type" in event else ""
        yield f"{named}data: {json.dumps(event)}\n\n"
