"""Canonical items as input of the Responses API.

Nothing is stored at OpenAI, so every request carries the whole conversation, reasoning included: as
the encrypted content that came with it, which only its own provider can read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.requests import ModelRequest, ReasoningEffort, ToolSpec

_REASONING_MODEL = re.compile(r"(?:.*/)?(?:gpt-(?:[5-9]|[1-9]\d)(?!-chat)|o[1-9])")
_EFFORT_OF_BUDGET: tuple[tuple[int, ReasoningEffort], ...] = ((4096, "low"), (16384, "medium"))
"""Tokens up to which an effort is the nearest. Only low, medium and high exist for every model."""

Json = dict[str, Any]


def build(request: ModelRequest, *, provider_id: str) -> Json:
    """Return the body of a streamed request."""
    reasoning = _reasoning(request)
    optional = {
        "instructions": request.system,
        "reasoning": reasoning,
        "include": ["reasoning.encrypted_content"] if reasoning else None,
        "tools": [_tool(tool) for tool in request.tools],
        "parallel_tool_calls": True if request.tools else None,
        "prompt_cache_key": request.cache_key,
        "max_output_tokens": request.max_output_tokens,
    }
    return {
        "model": request.model,
        "input": _input(request.items, provider_id),
        "stream": True,
        "store": False,
        **{name: value for name, value in optional.items() if value},
    }


def _reasoning(request: ModelRequest) -> Json | None:
    """Ask for a summary wherever the model reasons; how hard, only where that was said."""
    effort, reasons = request.reasoning_effort, bool(_REASONING_MODEL.match(request.model))
    if effort is None and reasons and request.thinking_budget is not None:
        budget = request.thinking_budget
        effort = next((name for most, name in _EFFORT_OF_BUDGET if budget <= most), "high")
    if effort is None:
        return {"summary": "auto"} if reasons else None
    return {"effort": effort, "summary": "auto"}


def _tool(tool: ToolSpec) -> Json:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,
    }


def _input(items: Sequence[Item], provider_id: str) -> list[Json]:
    """Map the items, less the reasoning that nothing follows: the API refuses that."""
    mapped = [part for item in items for part in _map(item, provider_id)]
    kept: list[Json] = []
    for part in reversed(mapped):
        if part["type"] == "reasoning" and not (kept and _is_output(kept[-1])):
            continue
        kept.append(part)
    return kept[::-1]


def _is_output(part: Json) -> bool:
    """Tell whether the model wrote this part."""
    return part["type"] in ("reasoning", "function_call") or part.get("role") == "assistant"


def _map(item: Item, provider_id: str) -> Iterator[Json]:
    opaque = item.provider_data
    own = opaque.data if opaque is not None and opaque.provider_id == provider_id else {}
    match item:
        case Message(origin="agent"):
            if item.content:
                yield _answer(item.content, own)
        case Message():
            role = "user" if item.origin == "user" else "developer"
            content = [{"type": "input_text", "text": item.content}]
            yield {"type": "message", "role": role, "content": content}
        case Reasoning():
            # Without its content the id would name something that the API did not store.
            if own.get("encrypted_content") or own.get("content"):
                yield {"summary": [], **own, "type": "reasoning"}
        case FunctionCall():
            yield {**own, **_call(item.call_id, item.name, item.arguments or "{}")}
        case FunctionCallOutput():
            yield _output(item.call_id, item.output)
        case ScriptExecution():
            yield _call(item.id, "run_script", json.dumps({"code": item.code}))
        case ScriptExecutionOutput():
            text = f"{item.error}\n{item.result}" if item.error else item.result
            yield _output(item.script_id, text)
        case Cancelled() | ErrorItem():
            pass


def _answer(text: str, own: Json) -> Json:
    return {
        **own,
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
        # Only an output message has an id, and it must say that it is complete.
        **({"status": "completed"} if "id" in own else {}),
    }


def _call(call_id: str, name: str, arguments: str) -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def _output(call_id: str, text: str) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": text}
