from __future__ import annotations

import json
from typing import Any

import pytest
from cody_core.ids import is_uuid, new_id, now_ms
from cody_core.schema.events import (
    Entry,
    Event,
    Heartbeat,
    ItemDelta,
    ItemDone,
    ItemStart,
    ResponseDone,
    ResponseError,
    offset_key,
)
from cody_core.schema.items import FunctionCall, Message
from cody_core.schema.response import ErrorInfo
from pydantic import ValidationError
from support.shapes import RUN, event_factory, events, response, started

DELTA = ItemDelta(item_id="a", delta_content="hi")
DONE = ResponseDone(response_id=RUN, status="complete")


def wire(payload: Any = DELTA) -> dict[str, Any]:
    """Return an event as it is on the wire."""
    data: dict[str, Any] = json.loads(events(payload)[0].to_json())
    return data


def read(data: object) -> Event:
    return Event.from_json(json.dumps(data).encode())


def test_an_envelope_wraps_its_payload_and_repeats_its_type() -> None:
    before = now_ms()
    data = wire()
    assert is_uuid(data["event_id"])
    assert before <= data["timestamp"] <= now_ms()
    assert data == {
        "event_id": data["event_id"],
        "timestamp": data["timestamp"],
        "trace_context": {"traceparent": data["trace_context"]["traceparent"]},
        "run_id": RUN,
        "type": "item_delta",
        "payload": {"type": "item_delta", "item_id": "a", "delta_content": "hi"},
    }


def test_an_envelope_of_another_type_than_its_payload_is_refused() -> None:
    with pytest.raises(ValueError, match="'item_done' is not its payload's type 'item_delta'"):
        read(wire() | {"type": "item_done"})


def test_unknown_fields_are_ignored_and_not_written() -> None:
    data = wire(ItemDone(item_id="a", final_item=Message(id="a", content="hi")))
    newer = data | {"new": 1, "payload": data["payload"] | {"new": 1}}
    newer["payload"]["final_item"] = data["payload"]["final_item"] | {"new": {"deep": 1}}
    assert json.loads(read(newer).to_json()) == data


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "5"},
        {"timestamp": 5.5},
        {"timestamp": -1},
        {"timestamp": True},
        {"event_id": "x"},
        {"run_id": new_id() + "\n"},
        {"type": ""},
        {"trace_context": {}},
        {"payload": {"type": "item_delta", "item_id": "a", "delta_content": 5}},
        {"payload": {"type": "item_delta", "item_id": "", "delta_content": "x"}},
        {"payload": {"type": "item_delta", "item_id": "a"}},
        {"type": "new", "payload": {"type": "new"}},
        {"payload": None},
    ],
)
def test_what_is_not_of_its_type_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read(wire() | change)


def test_optional_fields_without_a_value_are_off_the_wire() -> None:
    start = ItemStart(item_id="a", item_type="message")
    assert wire(start)["payload"] == {"type": "item_start", "item_id": "a", "item_type": "message"}
    call = FunctionCall(id="a", name="ls", arguments="", call_id="c")
    assert wire(ItemDone(item_id="a", final_item=call))["payload"]["final_item"] == {
        "id": "a",
        "origin": "agent",
        "type": "function_call",
        "name": "ls",
        "arguments": "",
        "call_id": "c",
    }


def test_finish_reason_and_error_are_always_on_the_wire() -> None:
    assert wire(DONE)["payload"] == {
        "type": "response_done",
        "response_id": RUN,
        "status": "complete",
        "finish_reason": None,
    }
    shown = json.loads(response().model_dump_json())
    assert (shown["finish_reason"], shown["error"]) == (None, None)
    assert "usage" not in shown
    assert "agent_id" not in shown


def test_an_event_is_what_its_bytes_say() -> None:
    for event in events(started(), DELTA, DONE, Heartbeat()):
        assert Event.from_json(event.to_json()) == event


def test_an_event_can_be_made_for_another_time() -> None:
    assert event_factory()(DELTA, timestamp=7).timestamp == 7


def test_an_entry_is_inflated_and_serialised_at_most_once() -> None:
    event = events(DELTA)[0]
    stored = Entry("1-0", data=event.to_json())
    assert stored.event == event
    assert stored.event is stored.event
    live = Entry("1-0", event=event)
    assert live.event is event
    assert live.data == event.to_json()
    assert live.data is live.data


def test_stored_bytes_are_forwarded_untouched() -> None:
    data = json.dumps(wire() | {"new": 1}, indent=1).encode()
    entry = Entry("1-0", data=data)
    assert entry.payload == DELTA
    assert entry.data is data
    assert repr(entry) == f"Entry('1-0', {data!r})"


def test_an_entry_that_cannot_be_read_has_no_payload_and_is_no_end() -> None:
    for data in (b"{", b"\xff", json.dumps({"type": "response_done"}).encode()):
        entry = Entry("1-0", data=data)
        assert entry.payload is None
        assert not entry.is_terminal
        with pytest.raises(ValueError, match="valid"):
            assert entry.event


def test_the_end_of_a_run_is_told_from_text_that_looks_like_it() -> None:
    failed = ResponseError(response_id=RUN, error=ErrorInfo(code="oops", message=""))
    trap = ItemDelta(item_id="response_done", delta_content='"response_error"')
    for payload, terminal in ((DONE, True), (failed, True), (trap, False), (DELTA, False)):
        event = events(payload)[0]
        assert event.is_terminal == terminal
        assert Entry("1-0", event=event).is_terminal == terminal
        assert Entry("1-0", data=event.to_json()).is_terminal == terminal


def test_offsets_are_ordered_by_number() -> None:
    offsets = ["10-0", "9-10", "9-2", "0-0"]
    assert sorted(offsets, key=offset_key) == ["0-0", "9-2", "9-10", "10-0"]


@pytest.mark.parametrize("offset", ["", "1", "1-", "-1", "a-b", "1-2-3", "1-2 ", "+1-2", "$"])
def test_what_is_no_offset_is_refused(offset: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        offset_key(offset)
