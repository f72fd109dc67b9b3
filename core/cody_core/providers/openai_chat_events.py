"""The chunks of a Chat Completions stream as canonical payloads.

The API knows no items, only deltas of one message; items are made of them here. Text of another
kind ends the text before it, calls stay open until the model says why it finished. The servers that
speak this API differ: ids and indices of calls may be missing, calls may come whole, reasoning goes
by two names, and not all of them end with ``[DONE]``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from cody_core.ids import new_id
from cody_core.providers._openai_draft import THOUGHTS, Draft, opaque
from cody_core.providers._openai_errors import Endpoint
from cody_core.schema.events import Payload, ResponseDone
from cody_core.schema.response import Usage

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


@dataclass
class _Call:
    """A call under way, and what its server calls it, if anything."""

    draft: Draft
    index: int | None
    wire_id: str | None


class ChatTranslator:
    """Translates one answer."""

    def __init__(self, endpoint: Endpoint, response_id: str) -> None:
        self._endpoint = endpoint
        self._response_id = response_id
        self._text: Draft | None = None
        self._calls: list[_Call] = []
        self._details: list[Json] = []
        self._usage: Usage | None = None
        self._reason: str | None = None
        self._began = self._called = self._refused = False
        self._shows_thoughts = self._is_marked = False

    def feed(self, event: Json) -> list[Payload]:
        """Return the payloads that one chunk makes.

        Raises:
            ProviderError: the chunk says that the answer failed.
        """
        if error := event.get("error"):
            raise self._endpoint.error(error)
        if usage := event.get("usage"):
            self._usage = _usage(usage)
        choices = event.get("choices") or ()
        return [payload for choice in choices[:1] for payload in self._choice(choice)]

    def end(self, *, marked: bool) -> list[Payload]:
        """Return the end of the response. A finish reason or the mark make the answer complete.

        Raises:
            ProviderStreamBroken: there was neither, or nothing at all.
        """
        if self._reason is None and not (marked and self._began):
            raise self._endpoint.broken("it ended before its finish reason")
        payloads = self._close_all()
        if self._details:
            # They came after the last item; they go back with an item of their own.
            draft = Draft("reasoning")
            payloads += [draft.start(), *self._done(draft)]
        done = ResponseDone(
            response_id=self._response_id,
            status="complete",
            usage=self._usage,
            finish_reason=self._finish_reason(),
        )
        return [*payloads, done]

    def _choice(self, choice: Json) -> list[Payload]:
        delta = choice.get("delta") or choice.get("message") or {}
        self._add_details(delta.get("reasoning_details") or [])
        # It counts without any text, too: the server then wants none back, but wants it said.
        self._shows_thoughts |= isinstance(delta.get(THOUGHTS), str)
        payloads = self._say("reasoning", delta.get(THOUGHTS) or delta.get("reasoning"))
        payloads += self._say("message", delta.get("content"))
        if refusal := delta.get("refusal"):
            self._refused = True
            payloads += self._say("message", refusal)
        for entry in delta.get("tool_calls") or ():
            payloads += self._call(entry)
        if legacy := delta.get("function_call"):
            payloads += self._call({"index": 0, "function": legacy})
        if reason := choice.get("finish_reason"):
            payloads += self._finish(reason)
        return payloads

    def _say(self, kind: Literal["message", "reasoning"], text: object) -> list[Payload]:
        if not isinstance(text, str) or not text:
            return []
        payloads: list[Payload] = []
        if self._text is None or self._text.kind != kind:
            payloads += self._close_text()
            self._text = Draft(kind)
            self._began = True
            payloads.append(self._text.start())
        return [*payloads, self._text.add(text)]

    def _call(self, entry: Json) -> list[Payload]:
        function = entry.get("function") or {}
        payloads: list[Payload] = []
        call = self._find(entry)
        if call is None:
            wire_id = entry.get("id") or None
            draft = Draft("function_call", function.get("name") or "")
            draft.call_id = wire_id or f"call_{new_id()}"
            call = _Call(draft, entry.get("index"), wire_id)
            payloads += [*self._close_text(), draft.start()]
            self._calls.append(call)
            self._began = self._called = True
        call.draft.name = call.draft.name or function.get("name") or ""
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        return [*payloads, call.draft.add(arguments)] if arguments else payloads

    def _find(self, entry: Json) -> _Call | None:
        """Return the call that an entry continues; ``None`` if it begins one.

        The index decides, but an id that differs from the one before begins a call whatever the
        index says: some servers give all calls the same. Without either, a name begins a call.
        """
        index, wire_id = entry.get("index"), entry.get("id")
        name = (entry.get("function") or {}).get("name")
        for call in reversed(self._calls):
            if wire_id and call.wire_id:
                if wire_id == call.wire_id and index in (None, call.index):
                    return call
            elif index is None:
                return None if wire_id or name else call
            elif index == call.index:
                return call
        return None

    def _finish(self, reason: str) -> list[Payload]:
        if reason == "error":
            raise self._endpoint.broken("the server gave 'error' as its finish reason")
        self._reason = self._reason or reason
        return self._close_all()

    def _finish_reason(self) -> str:
        reason = _REASONS.get(self._reason or "stop")
        if reason is None:
            logger.debug("took finish reason %r for 'stop'", self._reason)
        if reason in ("length", "content_filter"):
            return reason
        # Some servers finish with "stop" although there are calls, and the reverse.
        return "refusal" if self._refused else "tool_calls" if self._called else "stop"

    def _close_text(self) -> list[Payload]:
        draft, self._text = self._text, None
        return self._done(draft) if draft else []

    def _close_all(self) -> list[Payload]:
        payloads = self._close_text()
        calls, self._calls = self._calls, []
        return payloads + [payload for call in calls for payload in self._done(call.draft)]

    def _done(self, draft: Draft) -> list[Payload]:
        """Close an item; it takes along what has come by now to be sent back."""
        details, self._details = self._details, []
        data: Json = {"reasoning_details": details} if details else {}
        if self._shows_thoughts and (draft.kind == "reasoning" or not self._is_marked):
            self._is_marked = data[THOUGHTS] = True
        whole = _REASONS.get(self._reason or "stop") in ("stop", "tool_calls")
        return draft.end(opaque(self._endpoint.name, data), cut_off=not whole)

    def _add_details(self, details: list[Json]) -> None:
        """Join the fragments of OpenRouter's reasoning blocks; it wants the blocks back whole."""
        for detail in details:
            last = self._details[-1] if self._details else {}
            names = ("type", "index")
            same = all(last.get(name) == detail.get(name) for name in names)
            if not (same and detail.get("type") in ("reasoning.text", "reasoning.summary")):
                self._details.append(dict(detail))
                continue
            for name, value in detail.items():
                if name in ("text", "summary"):
                    last[name] = (last.get(name) or "") + (value or "")
                elif value is not None:
                    last[name] = value


def _usage(usage: Json) -> Usage:
    read, written = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    inputs = usage.get("prompt_tokens_details") or {}
    outputs = usage.get("completion_tokens_details") or {}
    return Usage(
        prompt_tokens=read,
        completion_tokens=written,
        total_tokens=usage.get("total_tokens") or read + written,
        cached_tokens=inputs.get("cached_tokens"),
        cache_write_tokens=inputs.get("cache_write_tokens"),
        reasoning_tokens=outputs.get("reasoning_tokens"),
    )
