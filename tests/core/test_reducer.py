from __future__ import annotations

import pytest
from cody_core.reducer import SEQUENCE_ERROR, ResponseReducer, replay
from cody_core.schema.events import (
    Event,
    Heartbeat,
    ItemCancelled,
    ItemDelta,
    ItemDone,
    ItemError,
    ItemStart,
    Payload,
    ResponseDone,
    ResponseError,
    UsageUpdate,
)
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Message,
    text_of,
)
from cody_core.schema.response import ErrorInfo, Response, Usage
from hypothesis import given
from support.shapes import RUN, events, responses, started

DONE = ResponseDone(response_id=RUN, status="complete", finish_reason="stop")


def reduce(*payloads: Payload) -> ResponseReducer:
    reducer = ResponseReducer()
    for event in events(*payloads):
        reducer.apply(event)
    return reducer


def result(reducer: ResponseReducer) -> Response:
    assert reducer.response is not None
    return reducer.response


def message(item_id: str, text: str) -> tuple[Payload, ...]:
    return (
        ItemStart(item_id=item_id, item_type="message"),
        *(ItemDelta(item_id=item_id, delta_content=character) for character in text),
        ItemDone(item_id=item_id, final_item=Message(id=item_id, content=text)),
    )


@given(responses())
def test_a_replayed_response_reduces_to_itself(response: Response) -> None:
    reducer = ResponseReducer()
    for event in replay(response):
        reducer.apply(Event.from_json(event.to_json()))
    assert reducer.response == response
    assert reducer.open_items == ()


@given(responses())
def test_a_response_survives_json(response: Response) -> None:
    assert Response.model_validate_json(response.model_dump_json()) == response


def test_a_whole_run() -> None:
    usage = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    done = ResponseDone(response_id=RUN, status="complete", usage=usage, finish_reason="stop")
    reducer = reduce(started(), *message("a", "hi"), done)
    response = result(reducer)
    assert (response.status, response.finish_reason, response.usage) == ("complete", "stop", usage)
    assert response.output_items == (Message(id="a", content="hi"),)
    assert [item.content for item in response.input_items if isinstance(item, Message)] == ["hello"]
    assert reducer.is_terminal


def test_an_open_item_shows_what_has_come_of_it() -> None:
    start = ItemStart(item_id="c", item_type="function_call", name="ls", call_id="call_1")
    reducer = reduce(started(), start, ItemDelta(item_id="c", delta_content='{"a'))
    call = FunctionCall(id="c", name="ls", call_id="call_1", arguments='{"a')
    assert result(reducer).output_items == (call,)
    assert result(reducer).status == "in_progress"
    assert reducer.open_items == ("c",)


def test_live_output_of_a_tool_streams_as_deltas() -> None:
    start = ItemStart(item_id="o", item_type="function_call_output", call_id="c1", origin="system")
    reducer = reduce(started(), start, *(ItemDelta(item_id="o", delta_content=c) for c in "abc"))
    output = FunctionCallOutput(id="o", call_id="c1", output="abc", success=True)
    assert result(reducer).output_items == (output,)


def test_items_may_overlap_and_keep_the_order_of_their_starts() -> None:
    first, second = message("a", "one"), message("b", "two")
    mixed = [first[0], second[0], *second[1:], *first[1:]]
    response = result(reduce(started(), *mixed, DONE))
    assert [text_of(item) for item in response.output_items] == ["one", "two"]


def test_a_cancelled_item_keeps_what_was_streamed() -> None:
    reducer = reduce(
        started(),
        ItemStart(item_id="a", item_type="message"),
        ItemDelta(item_id="a", delta_content="so far"),
        ItemCancelled(item_id="a", reason="by user"),
        ResponseDone(response_id=RUN, status="aborted", finish_reason="aborted"),
    )
    partial = Message(id="a", content="so far")
    assert result(reducer).output_items == (Cancelled(id="a", reason="by user", partial=partial),)
    assert result(reducer).status == "aborted"


def test_a_failed_item_keeps_what_was_streamed() -> None:
    reducer = reduce(
        started(),
        ItemStart(item_id="a", item_type="message"),
        ItemDelta(item_id="a", delta_content="so far"),
        ItemError(item_id="a", error=ErrorInfo(code="broken", message="cut")),
    )
    expected = ErrorItem(
        id="a", code="broken", message="cut", partial=Message(id="a", content="so far")
    )
    assert result(reducer).output_items == (expected,)


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param([ItemDelta(item_id="x", delta_content="a")], id="delta of an unknown item"),
        pytest.param(
            [*message("x", "a"), ItemDelta(item_id="x", delta_content="b")],
            id="delta after its end",
        ),
        pytest.param([*message("x", "a"), message("x", "a")[0]], id="second start of an item"),
        pytest.param(
            [ItemDone(item_id="x", final_item=Message(id="x", content=""))], id="end of an unknown"
        ),
        pytest.param(
            [message("x", "")[0], ItemDone(item_id="x", final_item=Message(id="y", content=""))],
            id="end with another item",
        ),
        pytest.param([ItemCancelled(item_id="x")], id="cancel of an unknown item"),
        pytest.param([started()], id="second response_start"),
    ],
)
def test_what_does_not_fit_is_an_error_as_data(payloads: list[Payload]) -> None:
    response = result(reduce(started(), *payloads, *message("later", "kept"), DONE))
    assert response.status == "error"
    assert response.error is not None
    assert response.error.code == SEQUENCE_ERROR
    assert response.output_items[-1] == Message(id="later", content="kept")


def test_an_event_before_the_start_is_an_error_once_there_is_a_response() -> None:
    reducer = reduce(*message("a", "x"))
    assert reducer.response is None
    reducer.apply(events(started())[0])
    assert result(reducer).error is not None


def test_a_heartbeat_may_come_any_time() -> None:
    assert result(reduce(Heartbeat(), started(), Heartbeat(), DONE)).error is None


def test_what_comes_after_the_end_changes_nothing() -> None:
    reducer = reduce(started(), *message("a", "x"), DONE)
    before = reducer.response
    error = ErrorInfo(code="late", message="late")
    for event in events(*message("b", "y"), ResponseError(response_id=RUN, error=error)):
        reducer.apply(event)
    assert reducer.response == before


def test_a_replay_from_zero_changes_nothing() -> None:
    run = events(started(), *message("a", "xyz"), UsageUpdate(response_id=RUN, usage=Usage()))
    reducer = ResponseReducer()
    for _ in range(2):
        for number, event in enumerate(run):
            reducer.apply(event, f"5-{number}")
    assert result(reducer).error is None
    assert text_of(result(reducer).output_items[0]) == "xyz"
    assert reducer.last_offset == f"5-{len(run) - 1}"


def test_offsets_are_compared_as_numbers() -> None:
    reducer = ResponseReducer()
    start, *rest = events(started(), *message("a", "x"))
    reducer.apply(start, "9-9")
    for number, event in enumerate(rest, 10):
        reducer.apply(event, f"9-{number}")
    assert result(reducer).output_items == (Message(id="a", content="x"),)


def test_changes_name_the_items_that_changed_since_they_were_taken() -> None:
    reducer = reduce(started(), *message("a", "x"), message("b", "")[0])
    assert reducer.take_changes() == {0, 1}
    assert reducer.take_changes() == frozenset()
    for event in events(ItemDelta(item_id="b", delta_content="y")):
        reducer.apply(event)
    assert reducer.take_changes() == {1}


def test_a_snapshot_rebuilds_only_what_changed() -> None:
    reducer = reduce(started(), *message("a", "x"), *message("b", "y")[:2])
    before = result(reducer)
    assert result(reducer) is before
    reducer.apply(events(ItemDelta(item_id="b", delta_content="z"))[0])
    after = result(reducer)
    assert after.output_items[0] is before.output_items[0]
    assert text_of(after.output_items[1]) == "yz"
    assert text_of(before.output_items[1]) == "y"
