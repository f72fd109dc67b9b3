"""Events to response, and back.

The reducer is the only place that knows what an event does to a response. It is cheap per delta:
text is collected in pieces and joined when somebody looks, and a snapshot rebuilds only the items
that changed.

What does not fit the sequence (a delta of an item that is not open, a second start) is no
exception: it makes the response an error with the code ``STREAM_SEQUENCE_ERROR``, as data, and what
else comes is still applied. After the terminal event nothing is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from cody_core.ids import traceparent
from cody_core.schema.events import (
    ApprovalRequested,
    ApprovalResolved,
    Entry,
    Event,
    EventFactory,
    Heartbeat,
    ItemCancelled,
    ItemDelta,
    ItemDone,
    ItemError,
    ItemStart,
    Payload,
    ResponseDone,
    ResponseError,
    ResponseStart,
    ScriptExecutionDone,
    ScriptExecutionError,
    ScriptExecutionStart,
    TraceContext,
    TurnAbortedByUser,
    UsageUpdate,
    offset_key,
)
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Partial,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
    text_of,
)
from cody_core.schema.response import ErrorInfo, Response, Status, Usage

logger = logging.getLogger(__name__)

SEQUENCE_ERROR = "STREAM_SEQUENCE_ERROR"


class _Slot:
    """One output item: open, with its text in pieces, or closed, with its final form."""

    __slots__ = ("chunks", "final", "snapshot", "start")

    def __init__(self, start: ItemStart) -> None:
        self.start = start
        first = start.initial_content or start.arguments or start.code
        self.chunks = [first] if first else []
        self.final: Item | None = None
        self.snapshot: Item | None = None

    def text(self) -> str:
        if len(self.chunks) > 1:
            self.chunks = ["".join(self.chunks)]
        return self.chunks[0] if self.chunks else ""

    def close(self, item: Item) -> None:
        self.final = item
        self.snapshot = None
        self.chunks = []

    def item(self) -> Item:
        if self.final is not None:
            return self.final
        if self.snapshot is None:
            self.snapshot = _streaming(self.start, self.text())
        return self.snapshot

    def partial(self) -> Partial | None:
        """What was streamed, or nothing if that was nothing."""
        item = self.item()
        if isinstance(item, Cancelled | ErrorItem) or not (self.chunks or self.start.name):
            return None
        return item


def _streaming(start: ItemStart, text: str) -> Item:
    """Build an item that is still open. What its end will tell is assumed to go well."""
    common = {"id": start.item_id, "correlation_id": start.correlation_id}
    if start.origin is not None:
        common["origin"] = start.origin
    match start.item_type:
        case "message":
            return Message.model_validate({**common, "content": text})
        case "reasoning":
            return Reasoning.model_validate({**common, "content": text})
        case "function_call":
            call = {"name": start.name or "", "call_id": start.call_id or start.item_id}
            return FunctionCall.model_validate({**common, **call, "arguments": text})
        case "function_call_output":
            output = {"call_id": start.call_id or start.item_id, "output": text, "success": True}
            return FunctionCallOutput.model_validate({**common, **output})
        case "script_execution":
            return ScriptExecution.model_validate({**common, "code": text})
        case "script_execution_output":
            result = {"script_id": start.script_id or start.item_id, "result": "null"}
            said = {"logs": text or None, "success": True}
            return ScriptExecutionOutput.model_validate({**common, **result, **said})
        case "cancelled":
            return Cancelled.model_validate({**common, "reason": text or None})
        case "error":
            return ErrorItem.model_validate({**common, "code": "error", "message": text})


class ResponseReducer:
    """Reduces the events of one run to its response."""

    def __init__(self) -> None:
        self.last_offset: str | None = None
        """The offset of the newest event applied."""
        self._last_key = (-1, -1)
        self._start: ResponseStart | None = None
        self._updated_at = 0
        self._status: Status = "in_progress"
        self._ended = False
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._error: ErrorInfo | None = None
        self._slots: list[_Slot] = []
        self._index: dict[str, int] = {}
        self._open: dict[str, None] = {}
        self._changed: set[int] = set()
        self._response: Response | None = None
        self._approvals: dict[str, ApprovalRequested] = {}

    def apply(self, event: Event, offset: str | None = None) -> None:
        """Take the next event. One at or before the last offset, or after the end, changes nothing.

        Raises:
            ValueError: ``offset`` is not an offset.
        """
        if offset is None or self._is_newer(offset, offset_key(offset)):
            self._take(event)

    def _is_newer(self, offset: str, key: tuple[int, int]) -> bool:
        if key <= self._last_key:
            return False
        self._last_key, self.last_offset = key, offset
        return True

    def _take(self, event: Event) -> None:
        if self._ended:
            return
        self._response = None
        self._updated_at = max(self._updated_at, event.timestamp)
        payload = event.payload
        if isinstance(payload, ItemDelta):
            self._delta(payload)
        elif self._start is None and not isinstance(payload, ResponseStart | Heartbeat):
            self._violation(payload, f"{payload.type} came before response_start")
            self._ended = event.is_terminal
        else:
            self._apply(payload)

    def feed(self, entries: Iterable[Entry]) -> None:
        """Apply entries of the log; one that is not an event of this schema is logged and skipped.

        A newer program may write events that this one does not know.
        """
        for entry in entries:
            try:
                event = entry.event
            except ValueError:
                logger.warning("skipped an unreadable event at %s", entry.offset)
                continue
            if self._is_newer(entry.offset, entry.key):
                self._take(event)

    @property
    def thread_id(self) -> str | None:
        """The thread of the run, ``None`` before its start."""
        return None if self._start is None else self._start.thread_id

    @property
    def response(self) -> Response | None:
        """The response so far, ``None`` before its start. Open items show what has come of them."""
        if self._response is None and self._start is not None:
            self._response = self._snapshot(self._start)
        return self._response

    @property
    def is_terminal(self) -> bool:
        """Tell whether the run's terminal event has been applied."""
        return self._ended

    @property
    def open_items(self) -> tuple[str, ...]:
        """The ids of the items that are still streaming, in the order they were started."""
        return tuple(self._open)

    @property
    def approvals(self) -> tuple[ApprovalRequested, ...]:
        """The questions that nobody has answered yet, oldest first."""
        return () if self._ended else tuple(self._approvals.values())

    def take_changes(self) -> frozenset[int]:
        """Return the indexes of the output items that changed since this was last called."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def _snapshot(self, start: ResponseStart) -> Response:
        return Response(
            id=start.response_id,
            turn_id=start.turn_id,
            thread_id=start.thread_id,
            agent_id=start.agent_id,
            model_id=start.model_id,
            provider_id=start.provider_id,
            created_at=start.created_at,
            updated_at=self._updated_at,
            status=self._status if self._error is None else "error",
            input_items=start.input_items,
            output_items=tuple(slot.item() for slot in self._slots),
            usage=self._usage,
            finish_reason=self._finish_reason if self._error is None else None,
            error=self._error,
        )

    def _delta(self, payload: ItemDelta) -> None:
        if payload.item_id not in self._open:
            self._violation(payload, f"item_delta for item {payload.item_id!r}, which is not open")
            return
        index = self._index[payload.item_id]
        slot = self._slots[index]
        slot.chunks.append(payload.delta_content)
        slot.snapshot = None
        self._changed.add(index)

    def _apply(self, payload: Payload) -> None:
        match payload:
            case ResponseStart():
                self._begin(payload)
            case ItemStart():
                self._open_item(payload)
            case ItemDone() | ItemError() | ItemCancelled():
                self._close_item(payload)
            case UsageUpdate():
                self._usage = payload.usage
            case ResponseDone():
                self._ended = True
                self._status, self._finish_reason = payload.status, payload.finish_reason
                self._usage = payload.usage or self._usage
            case ResponseError():
                self._ended = True
                self._error = self._error or payload.error
            case ItemDelta():
                self._delta(payload)
            case ApprovalRequested():
                self._approvals[payload.approval_id] = payload
            case ApprovalResolved():
                self._approvals.pop(payload.approval_id, None)
            case (
                ScriptExecutionStart()
                | ScriptExecutionDone()
                | ScriptExecutionError()
                | TurnAbortedByUser()
                | Heartbeat()
            ):
                pass  # milestones: what they lead to arrives as items or as the terminal event

    def _begin(self, payload: ResponseStart) -> None:
        if self._start is not None:
            self._violation(payload, "response_start came twice")
            return
        self._start = payload
        self._status = payload.status or "in_progress"

    def _open_item(self, payload: ItemStart) -> None:
        if payload.item_id in self._index:
            self._violation(payload, f"item_start for item {payload.item_id!r} came twice")
            return
        self._status = "in_progress"
        self._index[payload.item_id] = len(self._slots)
        self._changed.add(len(self._slots))
        self._slots.append(_Slot(payload))
        self._open[payload.item_id] = None

    def _close_item(self, payload: ItemDone | ItemError | ItemCancelled) -> None:
        if payload.item_id not in self._open:
            what = f"{payload.type} for item {payload.item_id!r}, which is not open"
            self._violation(payload, what)
            return
        index = self._index[payload.item_id]
        slot = self._slots[index]
        match payload:
            case ItemDone(final_item=item) if item.id != payload.item_id:
                what = f"item_done for item {payload.item_id!r} carries item {item.id!r}"
                self._violation(payload, what)
                return
            case ItemDone(final_item=item):
                slot.close(item)
            case ItemError(error=error):
                slot.close(_failed(slot, error))
            case ItemCancelled(reason=reason):
                slot.close(_cancelled(slot, reason))
        del self._open[payload.item_id]
        self._changed.add(index)

    def _violation(self, payload: Payload, what: str) -> None:
        if self._error is None:
            details = {"event_type": payload.type}
            self._error = ErrorInfo(code=SEQUENCE_ERROR, message=what, details=details)


def _failed(slot: _Slot, error: ErrorInfo) -> ErrorItem:
    now = slot.item()
    return ErrorItem(
        id=now.id,
        origin=now.origin,
        correlation_id=now.correlation_id,
        code=error.code,
        message=error.message,
        details=error.details,
        partial=slot.partial(),
    )


def _cancelled(slot: _Slot, reason: str | None) -> Cancelled:
    now = slot.item()
    return Cancelled(
        id=now.id,
        origin=now.origin,
        correlation_id=now.correlation_id,
        reason=reason,
        partial=slot.partial(),
    )


def replay(response: Response) -> Iterator[Event]:
    """Yield events that reduce to an equal response: one start, delta and end per item.

    A response that has not ended is replayed without a terminal event. Ids of the events are new.
    """
    event = EventFactory(response.id, TraceContext(traceparent=traceparent(response.id)))
    for payload in _payloads(response):
        yield event(payload, timestamp=response.updated_at)


def _payloads(response: Response) -> Iterator[Payload]:
    yield ResponseStart(
        response_id=response.id,
        turn_id=response.turn_id,
        thread_id=response.thread_id,
        agent_id=response.agent_id,
        model_id=response.model_id,
        provider_id=response.provider_id,
        created_at=response.created_at,
        input_items=response.input_items,
        status="queued" if response.status == "queued" else None,
    )
    for item in response.output_items:
        yield _start_of(item)
        if text := text_of(item):
            yield ItemDelta(item_id=item.id, delta_content=text)
        yield ItemDone(item_id=item.id, final_item=item)
    if response.usage is not None:
        yield UsageUpdate(response_id=response.id, usage=response.usage)
    match response.status:
        case "complete" | "aborted" as status:
            yield ResponseDone(
                response_id=response.id,
                status=status,
                usage=response.usage,
                finish_reason=response.finish_reason,
            )
        case "error":
            error = response.error or ErrorInfo(code="error", message="the run failed")
            yield ResponseError(response_id=response.id, error=error)
        case "queued" | "in_progress":
            pass


def _start_of(item: Item) -> ItemStart:
    shown = item
    if isinstance(item, Cancelled | ErrorItem) and item.partial is not None:
        shown = item.partial
    return ItemStart(
        item_id=item.id,
        item_type=shown.type,
        origin=item.origin,
        correlation_id=item.correlation_id,
        name=shown.name if isinstance(shown, FunctionCall) else None,
        call_id=shown.call_id if isinstance(shown, FunctionCall | FunctionCallOutput) else None,
        script_id=shown.script_id if isinstance(shown, ScriptExecutionOutput) else None,
    )
