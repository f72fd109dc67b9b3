"""Builds the body of a Messages request: canonical items in, plain JSON out, without I/O.

The API is particular about the shape of a conversation: user and assistant alternate and the user
begins; every ``tool_use`` has its ``tool_result`` at the head of the very next message; thinking
goes back exactly as it came; no text is blank. One thread may hold answers of several providers
and calls that were cut off, so that shape is made here, whatever the items are.

Which thinking parameters a model takes depends on its version: see ``_thinking``. Sources:
https://platform.claude.com/docs/en/about-claude/models/overview and, below ``build-with-claude``
there, ``thinking``, ``effort`` and ``preserved-thinking``.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable

import orjson

from cody_core.schema.base import JsonObject
from cody_core.schema.items import (
    BaseItem,
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
from cody_core.schema.requests import SCRIPT_TOOL, ModelRequest, ReasoningEffort

log = logging.getLogger(__name__)

Version = tuple[int, int]

_EPHEMERAL: JsonObject = {"type": "ephemeral"}
_THINKING = ("thinking", "redacted_thinking")
_GO_ON = "(The answer broke off here. Go on.)"
_CUT_OFF = "The call was cut off: there is no output."
_MAX_TOKENS: tuple[tuple[Version, int], ...] = (
    ((4, 6), 128_000),
    ((4, 5), 64_000),
    ((3, 7), 32_000),
    ((3, 5), 8_192),
    ((0, 0), 4_096),
)
"""What every model from that version on may answer with, newest first.

From 4.5 on the API cuts an answer that outgrows the window, so that asking for the most costs
nothing. Models before it refuse a prompt that leaves too little room: they are asked for less.
"""
_BUDGETS: dict[ReasoningEffort, int] = {
    "minimal": 1_024,
    "low": 4_096,
    "medium": 10_240,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
"""Tokens to think for, where a model counts them and knows no effort."""
_MIN_BUDGET = 1_024
_ROOM_TO_ANSWER = 1_024


def build_request(request: ModelRequest, *, provider_id: str) -> JsonObject:
    """Return the keyword arguments of ``messages.create``, without ``stream``."""
    model = api_model(request.model)
    messages = _messages(request.items, provider_id)
    body: JsonObject = {
        "model": model,
        "max_tokens": request.max_output_tokens or _default_max_tokens(model),
        "messages": messages,
        **_tools(request, messages),
    }
    if request.system and request.system.strip():
        body["system"] = [{"type": "text", "text": request.system, "cache_control": _EPHEMERAL}]
    if messages:
        messages[-1]["content"][-1]["cache_control"] = _EPHEMERAL
    _thinking(body, request)
    return body


def api_model(name: str) -> str:
    """Return the API's own id of a model: ``claude-haiku-4.5`` is ``claude-haiku-4-5`` there."""
    return re.sub(r"(?<=\d)\.(?=\d)", "-", name) if name.startswith("claude-") else name


def _tools(request: ModelRequest, messages: list[JsonObject]) -> JsonObject:
    if request.tools:
        return {
            "tools": [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": {"type": "object", **tool.parameters},
                }
                for tool in request.tools
            ]
        }
    # A conversation that holds calls is refused when it defines no tools.
    called = {
        block["name"]: None
        for message in messages
        for block in message["content"]
        if block["type"] == "tool_use"
    }
    if not called:
        return {}
    gone = {"description": "Not available any more.", "input_schema": {"type": "object"}}
    return {"tools": [{"name": name, **gone} for name in called], "tool_choice": {"type": "none"}}


def _messages(items: Iterable[Item], provider_id: str) -> list[JsonObject]:
    conversation = _Conversation(provider_id)
    for item in items:
        conversation.add(item)
    return conversation.finish()


class _Conversation:
    """Items in, messages out: merged by side, calls and outputs paired."""

    def __init__(self, provider_id: str) -> None:
        self._provider_id = provider_id
        self._messages: list[JsonObject] = []
        self._open: dict[str, tuple[str, int]] = {}
        """Calls without output: their id on the wire, and the index of their message."""
        self._used: set[str] = set()
        self._step: tuple[int | None, int] = (None, 0)
        """The step that spoke last, and the index of its message."""

    def add(self, item: Item) -> None:
        match item:
            case Message():
                self._say(item)
            case Reasoning():
                self._think(item)
            case FunctionCall():
                self._call(item, item.call_id, item.name, _input(item.arguments))
            case FunctionCallOutput():
                self._answer(item.call_id, item.output, is_error=not item.success)
            case ScriptExecution():
                self._call(item, f"script_{item.id}", SCRIPT_TOOL, {"code": item.code})
            case ScriptExecutionOutput():
                text = script_report(item)
                self._answer(f"script_{item.script_id}", text, is_error=not item.success)
            case Cancelled() | ErrorItem():
                log.debug("item %s of type %s is not sent", item.id, item.type)

    def finish(self) -> list[JsonObject]:
        for call_id in list(self._open):
            self._answer(call_id, _CUT_OFF, is_error=True)
        whole, self._messages = self._messages, []
        for message in whole:
            content = message["content"]
            # The API takes no assistant message that ends in thinking: an answer that was cut off.
            while message["role"] == "assistant" and content and content[-1]["type"] in _THINKING:
                content.pop()
            for block in content:
                self._put(message["role"], block)
        if self._messages and self._messages[-1]["role"] == "assistant":
            # An answer that broke off is asked for again, and newer models do not take its text up.
            self._put("user", {"type": "text", "text": _GO_ON})
        return self._messages

    def _say(self, item: Message) -> None:
        if not item.content.strip():
            return
        if item.origin == "agent":
            self._speak(item, {"type": "text", "text": item.content})
        elif item.origin == "system":
            # Only the newest models take a system message in the middle of a conversation.
            text = f"<system_message>\n{item.content}\n</system_message>"
            self._put("user", {"type": "text", "text": text})
        else:
            self._put("user", {"type": "text", "text": item.content})

    def _think(self, item: Reasoning) -> None:
        own = item.provider_data
        if own is None or own.provider_id != self._provider_id:
            return
        if data := own.data.get("redacted_thinking"):
            self._speak(item, {"type": "redacted_thinking", "data": data})
        elif signature := own.data.get("signature"):
            block = {"type": "thinking", "thinking": item.content, "signature": signature}
            self._speak(item, block)

    def _call(self, item: BaseItem, call_id: str, name: str, arguments: JsonObject) -> None:
        if call_id in self._open:
            self._answer(call_id, _CUT_OFF, is_error=True)
        wire_id = self._wire_id(call_id)
        block = {
            "type": "tool_use",
            "id": wire_id,
            "name": re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:128] or "_",
            "input": arguments,
        }
        self._open[call_id] = (wire_id, self._speak(item, block))

    def _answer(self, call_id: str, output: str, *, is_error: bool) -> None:
        wire_id, index = self._open.pop(call_id, ("", -1))
        if not wire_id:
            log.debug("the output of call %s is not sent: its call is not there", call_id)
            return
        text = output if output.strip() else "(no output)"
        block: JsonObject = {"type": "tool_result", "tool_use_id": wire_id, "content": text}
        if is_error:
            block["is_error"] = True
        if index + 1 == len(self._messages):
            self._put("user", block)
            return
        content = self._messages[index + 1]["content"]
        content.insert(sum(other["type"] == "tool_result" for other in content), block)

    def _speak(self, item: BaseItem, block: JsonObject) -> int:
        """Let the model say something; return the index of the message it is in."""
        step, index = self._step
        # The output of a quick call may stand before what the same step said after it.
        if item.step is not None and item.step == step and self._only_results_after(index):
            self._messages[index]["content"].append(block)
        else:
            index = self._put("assistant", block)
            self._step = (item.step, index)
        return index

    def _put(self, role: str, block: JsonObject) -> int:
        """Append to the last message, or to a new one; return its index."""
        if not self._messages and role == "assistant":
            self._put("user", {"type": "text", "text": "(The beginning is not shown.)"})
        if self._messages and self._messages[-1]["role"] == role:
            self._messages[-1]["content"].append(block)
        else:
            self._messages.append({"role": role, "content": [block]})
        return len(self._messages) - 1

    def _only_results_after(self, index: int) -> bool:
        after = self._messages[index + 1 :]
        return len(after) <= 1 and all(
            block["type"] == "tool_result" for message in after for block in message["content"]
        )

    def _wire_id(self, call_id: str) -> str:
        """Return an id the API accepts, the same whenever the conversation is sent.

        Other providers use other characters, and some count their calls anew in every answer.
        """
        fits = re.fullmatch(r"[a-zA-Z0-9_-]+", call_id)
        base = call_id if fits else f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:24]}"
        wire_id, count = base, 1
        while wire_id in self._used:
            count += 1
            wire_id = f"{base}_{count}"
        self._used.add(wire_id)
        return wire_id


def _input(arguments: str) -> JsonObject:
    """Return arguments as the object the API wants, wrapped where the model wrote none."""
    try:
        value = orjson.loads(arguments) if arguments.strip() else {}
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def _version(model: str) -> Version | None:
    """Read the version off an id: ``claude-opus-4-1-20250805`` is 4.1, ``claude-3-7-sonnet`` 3.7.

    ``None`` for a model that is not Claude or does not say.
    """
    match = re.match(r"claude-(?:[a-z]+-)?(\d{1,2})(?:-(\d{1,2}))?(?!\d)", model)
    return (int(match[1]), int(match[2] or 0)) if match else None


def _default_max_tokens(model: str) -> int:
    version = _version(model)
    if version is None:
        return 32_000 if model.startswith("claude-") else 8_192
    return next(tokens for since, tokens in _MAX_TOKENS if version >= since)


def _thinking(body: JsonObject, request: ModelRequest) -> None:
    """Say how much to think, in the words the model knows.

    From 4.6 on a model is told an effort, and from 5 on it thinks unless told not to; before, it
    is given a budget, and before 3.7 none thinks at all.
    """
    version = _version(body["model"])
    if version is not None and version >= (4, 6):
        body.update(_adaptive(body["model"], version, _effort(request)))
    elif version is None or version >= (3, 7):
        _budgeted(body, request)


def _effort(request: ModelRequest) -> ReasoningEffort | None:
    if request.reasoning_effort is not None or request.thinking_budget is None:
        return request.reasoning_effort
    if request.thinking_budget <= 0:
        return "none"
    fitting = [effort for effort, most in _BUDGETS.items() if request.thinking_budget >= most]
    return fitting[-1] if fitting else "minimal"


def _adaptive(model: str, version: Version, effort: ReasoningEffort | None) -> JsonObject:
    if effort == "none":
        if version < (5, 0):
            return {}
        if not _always_thinks(model, version):
            between = model.startswith("claude-sonnet") and version >= (5, 5)
            return {"thinking": {"type": "between_tools" if between else "disabled"}}
        effort = "low"
    if effort is None and version < (5, 0):
        return {}
    # Newer models do not show their thinking unless asked to.
    said: JsonObject = {"thinking": {"type": "adaptive", "display": "summarized"}}
    if version >= (5, 1):
        # A thread that was pruned or got other tools is worth more than the thinking it loses.
        said["thinking"]["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
        said["extra_headers"] = {"anthropic-beta": "thinking-binding-controls-2026-08-01"}
    if effort is not None:
        lacking = {"minimal": "low"} if version >= (4, 7) else {"minimal": "low", "xhigh": "high"}
        said["output_config"] = {"effort": lacking.get(effort, effort)}
    return said


def _always_thinks(model: str, version: Version) -> bool:
    if model.startswith("claude-opus"):
        return version >= (5, 5)
    return model.startswith(("claude-fable", "claude-mythos"))


def _budgeted(body: JsonObject, request: ModelRequest) -> None:
    effort = request.reasoning_effort or "none"
    wanted = request.thinking_budget
    if wanted is None:
        wanted = _BUDGETS.get(effort, 0)
    if (
        wanted <= 0
        or request.reasoning_effort == "none"
        or _loop_began_without_thinking(body["messages"])
    ):
        return
    limit: int = body["max_tokens"]
    most = max(limit, _default_max_tokens(body["model"]))
    budget = max(_MIN_BUDGET, min(wanted, most - _ROOM_TO_ANSWER))
    if budget >= limit:
        body["max_tokens"] = max(budget + 1, min(budget + limit, most))
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _loop_began_without_thinking(messages: list[JsonObject]) -> bool:
    """Tell whether the calls that are being answered were made without thinking.

    The API refuses to switch it on between a call and its output.
    """
    first: JsonObject | None = None
    for message in reversed(messages):
        if message["role"] == "assistant":
            first = message
        elif not any(block["type"] == "tool_result" for block in message["content"]):
            break
    return first is not None and first["content"][0]["type"] not in _THINKING
