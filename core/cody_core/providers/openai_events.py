"""The events of the Responses API as canonical payloads.

Events are dispatched on their ``type`` and belong to items by ``output_index``: item ids change
from event to event behind some proxies. Events and items of types we did not ask for are skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cody_core.ids import new_id
from cody_core.providers._openai_draft import Draft, opaque
from cody_core.providers._openai_errors import Endpoint
from cody_core.schema.events import Payload, ResponseDone
from cody_core.schema.items import ProviderData
from cody_core.schema.requests import SCRIPT_TOOL
from cody_core.schema.response import Usage

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_OPAQUE = {
    "message": ("id", "phase"),
    "reasoning": ("id", "summary", "encrypted_content", "content"),
    "function_call": ("id",),
}
"""What the API wants back with an item of each of its types, apart from what we know of it."""


@dataclass
class _Open:
    """An item under way, and the part of its reasoning that the last text belonged to."""

    draft: Draft
    part: tuple[str, Any] | None = None


class ResponsesTranslator:
    """Translates one answer; with ``scripts``, the request offers the tool that takes them."""

    def __init__(self, endpoint: Endpoint, response_id: str, *, scripts: bool) -> None:
        self._endpoint = endpoint
        self._response_id = response_id
        self._scripts = scripts
        self._open: dict[Any, _Open] = {}
        self._called = False
        self._refused = False
        self._feeders: dict[str, Callable[[Json], list[Payload]]] = {
            "response.output_item.added": self._added,
            "response.output_item.done": self._done,
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._refusal,
            "response.reasoning_summary_text.delta": self._summary,
            "response.reasoning_text.delta": self._reasoning,
            "response.function_call_arguments.delta": self._text,
            "response.custom_tool_call_input.delta": self._text,
            "response.completed": self._completed,
            "response.incomplete": self._incomplete,
            "response.failed": self._failed,
            "error": self._error,
        }

    def feed(self, event: Json) -> list[Payload]:
        """Return the payloads that one event makes.

        Raises:
            ProviderError: the event says that the answer failed.
        """
        kind = event.get("type")
        feeder = self._feeders.get(kind) if isinstance(kind, str) else None
        if feeder is None:
            logger.debug("skipped event of type %r", kind)
            return []
        return feeder(event)

    def end(self, *, marked: bool) -> list[Payload]:
        """Refuse to end here: a complete answer has said so in an event, marked or not.

        Raises:
            ProviderStreamBroken: always.
        """
        raise self._endpoint.broken("it ended before its last event")

    def _added(self, event: Json) -> list[Payload]:
        item = event.get("item") or {}
        draft = self._draft(item)
        if draft is None:
            logger.debug("skipped item of type %r", item.get("type"))
            return []
        self._called |= draft.kind in ("function_call", "script_execution")
        self._open[event.get("output_index")] = _Open(draft)
        return [draft.start()]

    def _draft(self, item: Json) -> Draft | None:
        match item.get("type"):
            case "message" | "reasoning" as kind:
                return Draft(kind)
            case "custom_tool_call" if self._scripts and item.get("name") == SCRIPT_TOOL:
                return Draft("script_execution")
            case "function_call" | "custom_tool_call":
                # Of free form there is only the tool for scripts: any other is made up, and its
                # call is to be told so like every call of a tool that is not there.
                call_id = item.get("call_id") or item.get("id") or f"call_{new_id()}"
                return Draft("function_call", item.get("name") or "", call_id)
            case _:
                return None

    def _done(self, event: Json) -> list[Payload]:
        index, item = event.get("output_index"), event.get("item") or {}
        payloads = [] if index in self._open else self._added(event)
        if index not in self._open:
            return payloads
        draft = self._open.pop(index).draft
        self._refused |= any(part.get("type") == "refusal" for part in item.get("content") or ())
        # Deltas are a courtesy; the finished item is what counts.
        full, streamed = _full_text(item), draft.text
        if full.startswith(streamed) and full != streamed:
            payloads.append(draft.add(full[len(streamed) :]))
        cut_off = item.get("status") == "incomplete"
        return [*payloads, *draft.end(self._opaque(item), cut_off=cut_off)]

    def _text(self, event: Json) -> list[Payload]:
        opened, delta = self._open.get(event.get("output_index")), event.get("delta")
        return [opened.draft.add(delta)] if opened and delta else []

    def _refusal(self, event: Json) -> list[Payload]:
        self._refused = True
        return self._text(event)

    def _summary(self, event: Json) -> list[Payload]:
        return self._part(event, ("summary", event.get("summary_index")))

    def _reasoning(self, event: Json) -> list[Payload]:
        return self._part(event, ("content", event.get("content_index")))

    def _part(self, event: Json, part: tuple[str, Any]) -> list[Payload]:
        """Add text of one part of the reasoning; a blank line comes between two parts."""
        opened, delta = self._open.get(event.get("output_index")), event.get("delta")
        if not opened or not delta:
            return []
        begins = opened.part not in (None, part)
        opened.part = part
        return [opened.draft.add(f"\n\n{delta}" if begins else delta)]

    def _completed(self, event: Json) -> list[Payload]:
        reason = "tool_calls" if self._called else "stop"
        return self._finish(event, "refusal" if self._refused else reason)

    def _incomplete(self, event: Json) -> list[Payload]:
        details = (event.get("response") or {}).get("incomplete_details") or {}
        filtered = details.get("reason") == "content_filter"
        return self._finish(event, "content_filter" if filtered else "length")

    def _finish(self, event: Json, reason: str) -> list[Payload]:
        """Close what the API left open, then the response."""
        cut_off = reason in ("length", "content_filter")
        drafts = [opened.draft for opened in self._open.values()]
        payloads = [payload for draft in drafts for payload in draft.end(None, cut_off=cut_off)]
        self._open.clear()
        usage = _usage((event.get("response") or {}).get("usage"))
        done = ResponseDone(
            response_id=self._response_id, status="complete", usage=usage, finish_reason=reason
        )
        return [*payloads, done]

    def _failed(self, event: Json) -> list[Payload]:
        raise self._endpoint.error((event.get("response") or {}).get("error"))

    def _error(self, event: Json) -> list[Payload]:
        # The documented event is flat; the API also sends its HTTP error object inside one.
        raise self._endpoint.error(event.get("error") or event)

    def _opaque(self, item: Json) -> ProviderData | None:
        """Keep what the API wants back with the item."""
        names = _OPAQUE.get(item.get("type", ""), ())
        data = {name: item[name] for name in names if item.get(name) is not None}
        return opaque(self._endpoint.name, data)


def _full_text(item: Json) -> str:
    """Return the text of a finished item as its deltas should have said it."""
    parts = item.get("content") or []
    if item.get("type") == "function_call":
        return item.get("arguments") or ""
    if item.get("type") == "custom_tool_call":
        return item.get("input") or ""
    if item.get("type") == "message":
        return "".join(part.get("text") or part.get("refusal") or "" for part in parts)
    texts = (part.get("text") for part in [*(item.get("summary") or []), *parts])
    return "\n\n".join(text for text in texts if text)


def _usage(usage: Json | None) -> Usage | None:
    if not usage:
        return None
    read, written = usage.get("input_tokens") or 0, usage.get("output_tokens") or 0
    inputs = usage.get("input_tokens_details") or {}
    outputs = usage.get("output_tokens_details") or {}
    return Usage(
        prompt_tokens=read,
        completion_tokens=written,
        total_tokens=usage.get("total_tokens") or read + written,
        cached_tokens=inputs.get("cached_tokens"),
        cache_write_tokens=inputs.get("cache_write_tokens"),
        reasoning_tokens=outputs.get("reasoning_tokens"),
    )
