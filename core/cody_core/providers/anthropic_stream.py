"""Translates the events of a Messages stream into canonical payloads, one at a time, without I/O.

A message is a list of content blocks; each is opened, grows by deltas and is closed, and becomes
one item. https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import logging
from typing import Protocol

import orjson

from cody_core.ids import new_id
from cody_core.schema.base import JsonObject
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload, ResponseDone
from cody_core.schema.items import FunctionCall, Message, ProviderData, Reasoning
from cody_core.schema.response import Usage

log = logging.getLogger(__name__)

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    # Only tools that run at the provider pause a turn, and none are offered: there is nothing to
    # go on with.
    "pause_turn": "stop",
}


class Translator:
    """Turns one stream's events into payloads.

    Attributes:
        done: ``message_stop`` was there, and ``response_done`` was its payload.
    """

    def __init__(self, response_id: str, *, provider_id: str) -> None:
        self.done = False
        self._response_id = response_id
        self._provider_id = provider_id
        self._blocks: dict[int, _Block] = {}
        self._bare: list[_ToolUse] = []
        """Calls that ended without arguments. One that was cut off looks the same as one that needs
        none, until it is known what comes after it."""
        self._usage: JsonObject = {}
        self._stop_reason: str | None = None

    def feed(self, event: JsonObject) -> list[Payload]:
        """Take the next event and return what it says; what is not known is ignored.

        Raises:
            KeyError, TypeError, ValueError: a known event is not of its documented shape.
        """
        match event.get("type"):
            case "content_block_delta":
                block = self._blocks.get(event["index"])
                return block.delta(event["delta"]) if block else []
            case "content_block_start":
                return [*self._close_bare(), *self._open(event["index"], event["content_block"])]
            case "content_block_stop":
                return self._close(event["index"])
            case "message_start":
                self._count(event["message"].get("usage"))
            case "message_delta":
                self._stop_reason = event["delta"].get("stop_reason") or self._stop_reason
                self._count(event.get("usage"))
                return self._close_all()
            case "message_stop":
                return [*self._close_all(), self._end()]
            case "ping":
                pass
            case other:
                log.debug("event of type %r is ignored", other)
        return []

    def _open(self, index: int, content: JsonObject) -> list[Payload]:
        match content.get("type"):
            case "text":
                block: _Block = _Text(content.get("text") or "")
            case "thinking":
                block = _Thinking(content, self._provider_id)
            case "redacted_thinking":
                block = _RedactedThinking(content, self._provider_id)
            case "tool_use":
                block = _ToolUse(content)
            case other:
                log.debug("content block of type %r is ignored", other)
                return []
        self._blocks[index] = block
        return block.open()

    def _close(self, index: int) -> list[Payload]:
        block = self._blocks.pop(index, None)
        if isinstance(block, _ToolUse) and block.is_bare:
            self._bare.append(block)
            return []
        return block.close() if block else []

    def _close_bare(self, *, cut_off: bool = False) -> list[Payload]:
        calls, self._bare = self._bare, []
        return [payload for call in calls for payload in call.close(cut_off=cut_off)]

    def _close_all(self) -> list[Payload]:
        reason = FINISH_REASONS.get(self._stop_reason or "end_turn")
        cut_off = reason not in ("stop", "tool_calls")
        blocks, self._blocks = self._blocks, {}
        payloads = self._close_bare(cut_off=cut_off)
        for block in blocks.values():
            payloads += block.close(cut_off=cut_off)
        return payloads

    def _count(self, usage: JsonObject | None) -> None:
        """Take over counts: those of ``message_delta`` are totals, and leave out what stands."""
        for key, value in (usage or {}).items():
            if value is not None:
                self._usage[key] = value

    def _end(self) -> ResponseDone:
        self.done = True
        reason = FINISH_REASONS.get(self._stop_reason or "")
        if reason is None:
            log.debug("stop reason %r is taken for 'stop'", self._stop_reason)
        return ResponseDone(
            response_id=self._response_id,
            status="complete",
            usage=_usage(self._usage),
            finish_reason=reason or "stop",
        )


def _usage(counts: JsonObject) -> Usage:
    cached = counts.get("cache_read_input_tokens")
    written = counts.get("cache_creation_input_tokens")
    prompt = counts.get("input_tokens", 0) + (cached or 0) + (written or 0)
    completion = counts.get("output_tokens", 0)
    details = counts.get("output_tokens_details") or {}
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=details.get("thinking_tokens"),
    )


class _Block(Protocol):
    """A content block on its way to be an item."""

    def open(self) -> list[Payload]: ...

    def delta(self, delta: JsonObject) -> list[Payload]: ...

    def close(self, *, cut_off: bool = False) -> list[Payload]: ...


class _Text:
    """A message; it begins with its first character, for a block may stay empty."""

    def __init__(self, text: str) -> None:
        self._id = new_id()
        self._first = text
        self._parts: list[str] = []

    def open(self) -> list[Payload]:
        return self._add(self._first)

    def delta(self, delta: JsonObject) -> list[Payload]:
        # Citations come as deltas too.
        return self._add(delta["text"]) if delta["type"] == "text_delta" else []

    def close(self, *, cut_off: bool = False) -> list[Payload]:
        if not self._parts:
            return []
        message = Message(id=self._id, content="".join(self._parts))
        return [ItemDone(item_id=self._id, final_item=message)]

    def _add(self, text: str) -> list[Payload]:
        if not text:
            return []
        start = [] if self._parts else [ItemStart(item_id=self._id, item_type="message")]
        self._parts.append(text)
        return [*start, ItemDelta(item_id=self._id, delta_content=text)]


class _Thinking:
    """Reasoning; the signature that comes at its end must be sent back with it."""

    def __init__(self, content: JsonObject, provider_id: str) -> None:
        self._id = new_id()
        self._provider_id = provider_id
        self._first: str = content.get("thinking") or ""
        self._signature: str = content.get("signature") or ""
        self._parts: list[str] = []

    def open(self) -> list[Payload]:
        return [ItemStart(item_id=self._id, item_type="reasoning"), *self._add(self._first)]

    def delta(self, delta: JsonObject) -> list[Payload]:
        if delta["type"] == "signature_delta":
            self._signature += delta["signature"]
        elif delta["type"] == "thinking_delta":
            return self._add(delta["thinking"])
        return []

    def close(self, *, cut_off: bool = False) -> list[Payload]:
        own = None
        if self._signature:
            data = {"signature": self._signature}
            own = ProviderData(provider_id=self._provider_id, data=data)
        item = Reasoning(id=self._id, content="".join(self._parts), provider_data=own)
        return [ItemDone(item_id=self._id, final_item=item)]

    def _add(self, text: str) -> list[Payload]:
        if not text:
            return []
        self._parts.append(text)
        return [ItemDelta(item_id=self._id, delta_content=text)]


class _RedactedThinking:
    """Reasoning that nobody may read; it only goes back."""

    def __init__(self, content: JsonObject, provider_id: str) -> None:
        self._id = new_id()
        data = {"redacted_thinking": content["data"]}
        self._own = ProviderData(provider_id=provider_id, data=data)

    def open(self) -> list[Payload]:
        return [ItemStart(item_id=self._id, item_type="reasoning")]

    def delta(self, delta: JsonObject) -> list[Payload]:
        return []

    def close(self, *, cut_off: bool = False) -> list[Payload]:
        item = Reasoning(id=self._id, content="", provider_data=self._own)
        return [ItemDone(item_id=self._id, final_item=item)]


class _ToolUse:
    """A function call; its arguments come as JSON text, or whole at the start."""

    def __init__(self, content: JsonObject) -> None:
        self._id = new_id()
        self._name: str = content["name"]
        self._call_id: str = content["id"]
        self._input: JsonObject = content.get("input") or {}
        self._parts: list[str] = []

    @property
    def is_bare(self) -> bool:
        """Whether no arguments have come, in pieces or whole."""
        return self._is_silent and not self._input

    @property
    def _is_silent(self) -> bool:
        return not "".join(self._parts).strip()

    def open(self) -> list[Payload]:
        start = ItemStart(
            item_id=self._id, item_type="function_call", name=self._name, call_id=self._call_id
        )
        return [start]

    def delta(self, delta: JsonObject) -> list[Payload]:
        return self._add(delta["partial_json"]) if delta["type"] == "input_json_delta" else []

    def close(self, *, cut_off: bool = False) -> list[Payload]:
        # The first half of an object is no arguments: who makes calls refuses it.
        unsaid = "{" if cut_off and self.is_bare else orjson.dumps(self._input).decode()
        whole = self._add(unsaid) if self._is_silent else []
        call = FunctionCall(
            id=self._id,
            name=self._name,
            arguments="".join(self._parts),
            call_id=self._call_id,
        )
        return [*whole, ItemDone(item_id=self._id, final_item=call)]

    def _add(self, text: str) -> list[Payload]:
        if not text:
            return []
        self._parts.append(text)
        return [ItemDelta(item_id=self._id, delta_content=text)]
