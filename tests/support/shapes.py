"""Hypothesis strategies for canonical shapes, and short ways to make single ones."""

from __future__ import annotations

from typing import get_args

from cody_core.ids import new_id, now_ms, traceparent
from cody_core.schema.events import Event, EventFactory, Payload, ResponseStart, TraceContext
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Partial,
    ProviderData,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.response import ErrorInfo, Response, Status, Usage
from hypothesis import strategies as st

RUN = "01a20436-6d15-7a47-a899-4652f6f47cf4"
TURN = "01a20436-6d15-7d30-a218-8fa6a5798ea6"
THREAD = "01a20436-6d15-73ae-a0df-3650e2e4e342"


def event_factory(run_id: str = RUN) -> EventFactory:
    return EventFactory(run_id, TraceContext(traceparent=traceparent(run_id)))


def started(run_id: str = RUN, thread_id: str = THREAD, prompt: str = "hello") -> ResponseStart:
    return ResponseStart(
        response_id=run_id,
        turn_id=TURN,
        thread_id=thread_id,
        model_id="tour",
        provider_id="demo",
        created_at=now_ms(),
        input_items=(Message(id=new_id(), content=prompt, origin="user"),),
    )


def events(*payloads: Payload, run_id: str = RUN) -> list[Event]:
    event = event_factory(run_id)
    return [event(payload) for payload in payloads]


def response(run_id: str = RUN, **fields: object) -> Response:
    values = {
        "id": run_id,
        "turn_id": TURN,
        "thread_id": THREAD,
        "model_id": "tour",
        "provider_id": "demo",
        "created_at": 1,
        "updated_at": 2,
        "status": "complete",
    }
    return Response.model_validate({**values, **fields})


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ids = st.uuids().map(str)
milliseconds = st.integers(0, 2**53)
json_objects = st.dictionaries(
    text, st.none() | st.booleans() | st.integers(-9, 9) | text, max_size=3
)
origins = st.sampled_from(["user", "agent", "system"])
_data = st.builds(ProviderData, provider_id=st.just("p"), data=json_objects)
common = {
    "id": ids,
    "origin": origins,
    "correlation_id": st.none() | ids,
    "provider_data": st.none()
    | st.builds(ProviderData, provider_id=st.just("p"), data=json_objects),
}
partials: st.SearchStrategy[Partial] = st.one_of(
    st.builds(Message, content=text, **common),
    st.builds(Reasoning, content=text, **common),
    st.builds(FunctionCall, name=text, arguments=text, call_id=ids, **common),
    st.builds(FunctionCallOutput, call_id=ids, output=text, success=st.booleans(), **common),
    st.builds(ScriptExecution, code=text, **common),
    st.builds(
        ScriptExecutionOutput,
        script_id=ids,
        result=text,
        success=st.booleans(),
        error=st.none() | text,
        **common,
    ),
)
items: st.SearchStrategy[Item] = partials | st.one_of(
    st.builds(Cancelled, reason=st.none() | text, partial=st.none() | partials, **common),
    st.builds(
        ErrorItem,
        code=st.just("oops"),
        message=text,
        details=st.none() | json_objects,
        partial=st.none() | partials,
        **common,
    ),
)
_tokens = st.integers(0, 10**9)
usages = st.builds(
    Usage,
    prompt_tokens=_tokens,
    completion_tokens=_tokens,
    total_tokens=_tokens,
    cached_tokens=st.none() | _tokens,
    reasoning_tokens=st.none() | _tokens,
)


@st.composite
def responses(draw: st.DrawFn) -> Response:
    """Any response a run can have: errors only with the status ``error``, nothing while queued."""
    status: Status = draw(st.sampled_from(get_args(Status)))
    outputs = st.lists(items, max_size=6, unique_by=lambda item: item.id)
    errors = st.builds(ErrorInfo, code=st.just("oops"), message=text)
    return Response(
        id=draw(ids),
        turn_id=draw(ids),
        thread_id=draw(ids),
        agent_id=draw(st.none() | st.just("coder")),
        model_id="m",
        provider_id="p",
        created_at=draw(milliseconds),
        updated_at=draw(milliseconds),
        status=status,
        input_items=tuple(draw(st.lists(items, max_size=2))),
        output_items=() if status == "queued" else tuple(draw(outputs)),
        usage=draw(st.none() | usages),
        finish_reason=draw(st.none() | text) if status in ("complete", "aborted") else None,
        error=draw(errors) if status == "error" else None,
    )
