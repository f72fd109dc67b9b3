"""Canonical items as input of the Responses API.

Nothing is stored at OpenAI, so every request carries the whole conversation, reasoning included: as
the encrypted content that came with it, which only its own provider can read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from cody_core.providers._openai_calls import wire_arguments, wire_name
from cody_core.providers._openai_efforts import effort_for
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
    script_report,
)
from cody_core.schema.requests import SCRIPT_TOOL, ModelRequest, ReasoningEffort, ToolSpec

_REASONING_MODEL = re.compile(r"(?:.*/)?(?:gpt-(?:[5-9]|[1-9]\d)(?!-chat)|o[1-9])")
_PLAIN_MODEL = re.compile(r"(?:.*/)?(?:gpt-[34]|gpt-5-chat|chatgpt-)")
"""Models that do not reason: the API refuses them an effort, and what other models thought."""
_FREE_FORM_MODEL = re.compile(r"(?:.*/)?gpt-(?:[5-9]|[1-9]\d)(?!-chat)")
"""Models that know tools of free form. All others are given functions, which every server takes."""
_EFFORT_OF_BUDGET: tuple[tuple[int, ReasoningEffort], ...] = ((4096, "low"), (16384, "medium"))
"""Tokens up to which an effort is the nearest. Only low, medium and high exist for every model."""

Json = dict[str, Any]


def build(request: ModelRequest, *, provider_id: str) -> Json:
    """Return the body of a streamed request."""
    plain = _PLAIN_MODEL.match(request.model) is not None
    reasoning = None if plain else _reasoning(request)
    items = [item for item in request.items if not (plain and isinstance(item, Reasoning))]
    optional = {
        "instructions": request.system,
        "reasoning": reasoning,
        "include": ["reasoning.encrypted_content"] if reasoning else None,
        "tools": [_tool(tool, free_form=_is_free_form(tool, request)) for tool in request.tools],
        "parallel_tool_calls": True if request.tools else None,
        "prompt_cache_key": request.cache_key,
        "max_output_tokens": request.max_output_tokens,
    }
    return {
        "model": request.model,
        "input": _input(items, provider_id, scripts=offers_scripts(request)),
        "stream": True,
        "store": False,
        **{name: value for name, value in optional.items() if value},
    }


def offers_scripts(request: ModelRequest) -> bool:
    """Tell whether the model is offered a tool of free form for its scripts.

    Its earlier scripts go out as calls of the kind of tool that it has now.
    """
    return any(tool.name == SCRIPT_TOOL and _is_free_form(tool, request) for tool in request.tools)


def _is_free_form(tool: ToolSpec, request: ModelRequest) -> bool:
    return tool.free_form and _FREE_FORM_MODEL.match(request.model) is not None


def _reasoning(request: ModelRequest) -> Json | None:
    """Ask for a summary wherever the model reasons; how hard, only where that was said."""
    effort, reasons = request.reasoning_effort, bool(_REASONING_MODEL.match(request.model))
    if effort is None and reasons and request.thinking_budget is not None:
        budget = request.thinking_budget
        effort = next((name for most, name in _EFFORT_OF_BUDGET if budget <= most), "high")
    effort = effort_for(request.model, effort)
    if effort is None:
        return {"summary": "auto"} if reasons else None
    return {"effort": effort, "summary": "auto"}


def _tool(tool: ToolSpec, *, free_form: bool) -> Json:
    if free_form:
        return {"type": "custom", "name": tool.name, "description": tool.description}
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,
    }


def _input(items: Sequence[Item], provider_id: str, *, scripts: bool) -> list[Json]:
    """Map the items, less the reasoning that nothing follows: the API refuses that."""
    mapped = [part for item in items for part in _map(item, provider_id, scripts)]
    kept: list[Json] = []
    for part in reversed(mapped):
        if part["type"] == "reasoning" and not (kept and _is_output(kept[-1])):
            continue
        kept.append(part)
    return kept[::-1]


def _is_output(part: Json) -> bool:
    """Tell whether the model wrote this part."""
    kinds = ("reasoning", "function_call", "custom_tool_call")
    return part["type"] in kinds or part.get("role") == "assistant"


def _map(item: Item, provider_id: str, scripts: bool) -> Iterator[Json]:
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
            yield {
                **own,
                **_call(item.call_id, wire_name(item.name), wire_arguments(item.arguments)),
            }
        case FunctionCallOutput():
            yield _output(item.call_id, item.output)
        case ScriptExecution():
            yield (
                _script(item.id, item.code)
                if scripts
                else _call(item.id, SCRIPT_TOOL, json.dumps({"code": item.code}))
            )
        case ScriptExecutionOutput():
            kind = "custom_tool_call" if scripts else "function_call"
            yield _output(item.script_id, script_report(item), of=kind)
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


def _script(call_id: str, code: str) -> Json:
    return {"type": "custom_tool_call", "call_id": call_id, "name": SCRIPT_TOOL, "input": code}


def _output(call_id: str, text: str, *, of: str = "function_call") -> Json:
    return {"type": f"{of}_output", "call_id": call_id, "output": text}
