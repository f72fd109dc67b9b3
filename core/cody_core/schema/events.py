"""Events: what flows. An envelope around a payload; both carry the ``type`` of the payload.

The names are those of Cody's v2 wire format. ``approval_requested`` and ``approval_resolved`` are
additions, as are the optional fields of ``item_start``, which let an output item say whose output
it is while it streams.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from cody_core.ids import new_id, now_ms
from cody_core.schema.base import Milliseconds, NonEmpty, Omittable, Shape, Uuid
from cody_core.schema.items import Item, ItemType, Origin
from cody_core.schema.response import ErrorInfo, Usage


class TraceContext(Shape):
    """W3C trace context of a run."""

    traceparent: NonEmpty
    tracestate: Omittable[str] = None


class ResponseStart(Shape):
    """The run exists. ``status`` is given only for a run that still waits for its turn."""

    type: Literal["response_start"] = "response_start"
    response_id: Uuid
    turn_id: Uuid
    thread_id: Uuid
    agent_id: Omittable[str] = None
    model_id: NonEmpty
    provider_id: NonEmpty
    created_at: Milliseconds
    input_items: tuple[Item, ...] = ()
    status: Omittable[Literal["queued"]] = None


class ItemStart(Shape):
    """An item opens. What is known of it so far comes along, the rest as deltas."""

    type: Literal["item_start"] = "item_start"
    item_id: NonEmpty
    item_type: ItemType
    initial_content: Omittable[str] = None
    name: Omittable[str] = None
    arguments: Omittable[str] = None
    code: Omittable[str] = None
    call_id: Omittable[str] = None
    script_id: Omittable[str] = None
    origin: Omittable[Origin] = None
    correlation_id: Omittable[str] = None


class ItemDelta(Shape):
    """More text of an open item: its content, arguments, code or output."""

    type: Literal["item_delta"] = "item_delta"
    item_id: NonEmpty
    delta_content: str


class ItemDone(Shape):
    """An item is complete; ``final_item`` replaces whatever was streamed."""

    type: Literal["item_done"] = "item_done"
    item_id: NonEmpty
    final_item: Item


class ItemError(Shape):
    """An open item failed; it becomes an ``error`` item that keeps what was streamed."""

    type: Literal["item_error"] = "item_error"
    item_id: NonEmpty
    error: ErrorInfo


class ItemCancelled(Shape):
    """An open item was cancelled; it becomes a ``cancelled`` item that keeps what was streamed."""

    type: Literal["item_cancelled"] = "item_cancelled"
    item_id: NonEmpty
    reason: Omittable[str] = None


class ScriptExecutionStart(Shape):
    """The sandbox begins to run the script of that item."""

    type: Literal["script_execution_start"] = "script_execution_start"
    item_id: NonEmpty
    code: str


class ScriptExecutionDone(Shape):
    """The script ended; ``result`` is JSON text."""

    type: Literal["script_execution_done"] = "script_execution_done"
    item_id: NonEmpty
    result: str
    success: bool


class ScriptExecutionError(Shape):
    """The script could not be run to its end."""

    type: Literal["script_execution_error"] = "script_execution_error"
    item_id: NonEmpty
    error: ErrorInfo


class UsageUpdate(Shape):
    """Tokens used so far by the whole response; replaces the update before it."""

    type: Literal["usage_update"] = "usage_update"
    response_id: Uuid
    usage: Usage


class ResponseDone(Shape):
    """The run ended, by itself or by its user. Terminal."""

    type: Literal["response_done"] = "response_done"
    response_id: Uuid
    status: Literal["complete", "aborted"]
    usage: Omittable[Usage] = None
    finish_reason: str | None = None


class ResponseError(Shape):
    """The run failed. Terminal."""

    type: Literal["response_error"] = "response_error"
    response_id: Uuid
    error: ErrorInfo


class TurnAbortedByUser(Shape):
    """Somebody asked for the end of the turn. The run's terminal event follows."""

    type: Literal["turn_aborted_by_user"] = "turn_aborted_by_user"
    turn_id: Uuid
    reason: str


class Heartbeat(Shape):
    """Nothing happened, and the writer is alive."""

    type: Literal["heartbeat"] = "heartbeat"


class ApprovalRequested(Shape):
    """A call waits for somebody's consent.

    Attributes:
        preview: What it would do: a command, a diff.
        covers: What else consent for longer than this call would allow, in words.
    """

    type: Literal["approval_requested"] = "approval_requested"
    approval_id: NonEmpty
    item_id: NonEmpty
    call_id: NonEmpty
    tool: NonEmpty
    kind: Literal["read", "write", "execute"]
    summary: str
    preview: Omittable[str] = None
    covers: Omittable[str] = None


Decision: TypeAlias = Literal["approve", "approve_for_session", "approve_always", "deny"]


class ApprovalResolved(Shape):
    """Somebody answered; ``by`` says who or what."""

    type: Literal["approval_resolved"] = "approval_resolved"
    approval_id: NonEmpty
    decision: Decision
    by: NonEmpty
    reason: Omittable[str] = None


Terminal: TypeAlias = ResponseDone | ResponseError
Payload: TypeAlias = Annotated[
    ResponseStart
    | ItemStart
    | ItemDelta
    | ItemDone
    | ItemError
    | ItemCancelled
    | ScriptExecutionStart
    | ScriptExecutionDone
    | ScriptExecutionError
    | UsageUpdate
    | ResponseDone
    | ResponseError
    | TurnAbortedByUser
    | Heartbeat
    | ApprovalRequested
    | ApprovalResolved,
    Field(discriminator="type"),
]


class Event(Shape):
    """The envelope. The outer ``type`` always equals the payload's."""

    event_id: Uuid
    timestamp: Milliseconds
    trace_context: TraceContext
    run_id: Uuid
    type: NonEmpty
    payload: Payload

    def model_post_init(self, context: Any, /) -> None:
        """Refuse an envelope whose type is not its payload's.

        Raises:
            ValueError: it is another one.
        """
        if self.type != self.payload.type:
            msg = f"envelope type {self.type!r} is not its payload's type {self.payload.type!r}"
            raise ValueError(msg)

    @property
    def is_terminal(self) -> bool:
        """Tell whether the run ends here."""
        return isinstance(self.payload, ResponseDone | ResponseError)

    def to_json(self) -> bytes:
        """Return the bytes that are stored and forwarded."""
        return self.__pydantic_serializer__.to_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> Event:
        """Read an event back.

        Raises:
            ValueError: ``data`` is not an event of this schema.
        """
        return cls.model_validate_json(data)


_DELTA_FIELDS = set(ItemDelta.model_fields)
_EVENT_FIELDS = set(Event.model_fields)
_RUN_ID: TypeAdapter[str] = TypeAdapter(Uuid)


class EventFactory:
    """Makes the envelopes of one run: ids, timestamps and trace context in one place."""

    def __init__(self, run_id: str, trace: TraceContext) -> None:
        """Build it.

        Raises:
            ValueError: ``run_id`` is not a UUID.
        """
        self.run_id = _RUN_ID.validate_python(run_id)
        self.trace = trace

    def __call__(self, payload: Payload, *, timestamp: int | None = None) -> Event:
        """Wrap a payload; ``timestamp`` is in milliseconds and defaults to now."""
        event = Event.__new__(Event)
        # All of it is valid already: to look again takes as long as all the rest.
        _fill(
            event,
            {
                "event_id": new_id(),
                "timestamp": now_ms() if timestamp is None else timestamp,
                "trace_context": self.trace,
                "run_id": self.run_id,
                "type": payload.type,
                "payload": payload,
            },
            _EVENT_FIELDS,
        )
        if isinstance(payload, ItemDelta):
            object.__setattr__(payload, "__pydantic_fields_set__", _DELTA_FIELDS)
        return event


def _fill(shape: Shape, values: dict[str, Any], fields: set[str]) -> None:
    """Give a shape its values.

    Shapes of a kind have one set of the fields that are set, which are all of them. Pydantic makes
    one for each, and those are half of the memory that a run of deltas takes.
    """
    object.__setattr__(shape, "__dict__", values)
    object.__setattr__(shape, "__pydantic_fields_set__", fields)
    object.__setattr__(shape, "__pydantic_extra__", None)
    object.__setattr__(shape, "__pydantic_private__", None)


_MAY_END = re.compile(rb'"response_(done|error)"')
START = "0-0"
"""The offset before the first event of every run."""


def offset_key(offset: str) -> tuple[int, int]:
    """Return what offsets are ordered by: milliseconds, then a sequence number.

    Raises:
        ValueError: ``offset`` is not of the form ``ms-seq``.
    """
    ms, _, sequence = offset.partition("-")
    if not (ms.isdecimal() and sequence.isdecimal() and offset.isascii()):
        msg = f"offset {offset!r} is not of the form 'milliseconds-sequence'"
        raise ValueError(msg)
    return int(ms), int(sequence)


class Entry:
    """An event at its offset in the log, inflated or serialised only when somebody asks for it."""

    __slots__ = ("_data", "_event", "_key", "frame", "offset")

    def __init__(
        self,
        offset: str,
        *,
        event: Event | None = None,
        data: bytes | None = None,
        key: tuple[int, int] | None = None,
    ) -> None:
        self.offset = offset
        self._event = event
        self._data = data
        self._key = key
        self.frame: bytes | None = None
        """What an API has made of it, to be sent as it is to all who listen."""

    @property
    def key(self) -> tuple[int, int]:
        """What the offset is ordered by; worked out at most once.

        Raises:
            ValueError: it is no offset.
        """
        if self._key is None:
            self._key = offset_key(self.offset)
        return self._key

    @property
    def event(self) -> Event:
        """The event; parsed from the stored bytes at most once.

        Raises:
            ValueError: the stored bytes are not an event of this schema.
        """
        if self._event is None:
            self._event = Event.from_json(self.data)
        return self._event

    @property
    def data(self) -> bytes:
        """The event as stored: JSON in UTF-8; serialised at most once."""
        if self._data is None:
            self._data = self.event.to_json()
        return self._data

    def deflate(self) -> None:
        """Keep nothing but the stored bytes, until somebody asks for more."""
        self._data = self.data
        self._event = self.frame = None

    @property
    def payload(self) -> Payload | None:
        """The event's payload, or ``None`` for an event that this program cannot read."""
        try:
            return self.event.payload
        except ValueError:
            return None

    @property
    def is_terminal(self) -> bool:
        """Tell whether the run ends here, without inflating what cannot be an end."""
        if self._event is None and not _MAY_END.search(self.data):
            return False
        return isinstance(self.payload, ResponseDone | ResponseError)

    def __repr__(self) -> str:
        return f"Entry({self.offset!r}, {self.data!r})"
