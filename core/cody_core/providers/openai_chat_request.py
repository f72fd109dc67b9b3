"""Canonical items as messages of the Chat Completions API.

What the model said in one step (text and calls) is one assistant message there, and the outputs of
its calls follow it at once. Canonical items are finer, and the output of a quick call may stand
before what the same step said after it; so a step is collected until something comes that does not
belong to it.

Servers that show thoughts as ``reasoning_content`` (DeepSeek was the first) want them back from
every step of a turn in which calls were made, in all requests to come, and refuse these otherwise;
those of other turns they do not read. Thoughts by the name of ``reasoning`` nobody wants back, and
some servers refuse them.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from cody_core.providers._openai_calls import wire_arguments, wire_name
from cody_core.providers._openai_draft import THOUGHTS
from cody_core.providers._openai_efforts import ALL, COMMON, effort_for
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
from cody_core.schema.requests import SCRIPT_TOOL, ModelRequest, ToolSpec

Json = dict[str, Any]


def build(
    request: ModelRequest, *, provider_id: str, is_openai: bool, takes_all_efforts: bool = False
) -> Json:
    """Return the body of a streamed request.

    Compatible servers are given the oldest names, and nothing that only OpenAI knows: of levels of
    effort those that are common, unless it is said that all are taken.
    """
    efforts = ALL if is_openai or takes_all_efforts else COMMON
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    optional = {
        "tools": [_tool(tool) for tool in request.tools],
        "reasoning_effort": effort_for(request.model, request.reasoning_effort, efforts),
        "prompt_cache_key": request.cache_key if is_openai else None,
        limit: request.max_output_tokens,
    }
    system = [{"role": "system", "content": request.system}] if request.system else []
    return {
        "model": request.model,
        "messages": [*system, *_Messages(request.items, provider_id).all],
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: value for name, value in optional.items() if value},
    }


def _tool(tool: ToolSpec) -> Json:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


class _Messages:
    """Collects the messages: those that are complete, and what the step under way said so far."""

    def __init__(self, items: Sequence[Item], provider_id: str) -> None:
        self.all: list[Json] = []
        self._provider_id = provider_id
        self._outputs = _outputs(items)
        self._texts: list[str] = []
        self._calls: list[Json] = []
        self._details: list[Json] = []
        self._thoughts: str | None = None
        self._turn: list[tuple[Json, str]] = []
        self._answered = False
        self._step: int | None = None
        for item in items:
            self._take(item)
        self._end_turn()

    def _take(self, item: Item) -> None:
        match item:
            case Message(origin="agent"):
                self._begin_step(item)
                if item.content:
                    self._texts.append(item.content)
            case Message(origin="user"):
                self._end_turn()
                self.all.append({"role": "user", "content": item.content})
            case Message():
                self._end_step()
                self.all.append({"role": "system", "content": item.content})
            case Reasoning():
                if self._begin_step(item).get(THOUGHTS):
                    self._thoughts = (self._thoughts or "") + item.content
            case FunctionCall():
                self._begin_step(item)
                self._call(item.call_id, wire_name(item.name), wire_arguments(item.arguments))
            case ScriptExecution():
                self._begin_step(item)
                self._call(item.id, SCRIPT_TOOL, json.dumps({"code": item.code}))
            case FunctionCallOutput() | ScriptExecutionOutput():
                self._answered = True
            case Cancelled() | ErrorItem():
                pass

    def _begin_step(self, item: Item) -> Json:
        """Begin another step unless the item belongs to this one; keep what must go back.

        Items of which the step is not known belong to this one until its outputs have come.

        Returns:
            What the server itself gave the item along.
        """
        known = item.step is not None and self._step is not None
        if item.step != self._step if known else self._answered:
            self._end_step()
        self._step = item.step
        data = item.provider_data
        own = data.data if data is not None and data.provider_id == self._provider_id else {}
        self._details += own.get("reasoning_details", ())
        if own.get(THOUGHTS):
            self._thoughts = self._thoughts or ""
        return own

    def _call(self, call_id: str, name: str, arguments: str) -> None:
        function = {"name": name, "arguments": arguments}
        self._calls.append({"id": call_id, "type": "function", "function": function})

    def _end_step(self) -> None:
        """Add the assistant message of the step, if it said anything, and one output per call."""
        if self._texts or self._calls:
            message: Json = {"role": "assistant", "content": "\n\n".join(self._texts) or None}
            if self._calls:
                message["tool_calls"] = self._calls
            if self._details:
                message["reasoning_details"] = self._details
            if self._thoughts is not None:
                self._turn.append((message, self._thoughts))
            self.all.append(message)
        for call in self._calls:
            if outputs := self._outputs[call["id"]]:
                output = {"role": "tool", "tool_call_id": call["id"], "content": outputs.popleft()}
                self.all.append(output)
        self._texts, self._calls, self._details = [], [], []
        self._thoughts, self._answered, self._step = None, False, None

    def _end_turn(self) -> None:
        """Give the messages of the turn their thoughts back, if it made any calls."""
        self._end_step()
        if any("tool_calls" in message for message, _ in self._turn):
            for message, thoughts in self._turn:
                message[THOUGHTS] = thoughts
        self._turn = []


def _outputs(items: Sequence[Item]) -> defaultdict[str, deque[str]]:
    """Return the outputs by call, in order: some servers number the calls of each answer anew."""
    outputs: defaultdict[str, deque[str]] = defaultdict(deque)
    for item in items:
        if isinstance(item, FunctionCallOutput):
            outputs[item.call_id].append(item.output)
        elif isinstance(item, ScriptExecutionOutput):
            outputs[item.script_id].append(script_report(item))
    return outputs
