from __future__ import annotations

from typing import Any

import pytest
from cody_core.errors import InvalidRequest
from cody_core.schema.models import ModelInfo, ModelList
from cody_core.schema.prices import Price
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.threads import (
    Thread,
    ThreadChanges,
    ThreadDetail,
    ThreadPage,
    ThreadRequest,
)
from cody_core.schema.wire import (
    CancelBody,
    NewThreadBody,
    SubmitBody,
    ThreadBody,
    ThreadChangesBody,
    ThreadDetailBody,
    ThreadPageBody,
    body_of,
    body_with,
    iso_of,
    milliseconds_of,
    shape_of,
)
from cody_core.schema.wire_info import ModelsBody
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.shapes import RUN, THREAD, responses, text

LAST = 253_402_300_799_999
"""The last millisecond of the year 9999."""

times = st.integers(0, LAST)
threads = st.builds(
    Thread,
    id=st.just(THREAD),
    title=text,
    summary=st.none() | text,
    tags=st.lists(st.text("ab", min_size=1, max_size=3), max_size=3, unique=True).map(tuple),
    agent_role=st.none() | text,
    model_id=st.none() | text,
    provider_id=st.none() | text,
    created_at=times,
    updated_at=times,
    state=st.sampled_from([None, "running", "asking", "failed", "stopped"]),
)


@given(times)
def test_times_come_back_to_the_millisecond(moment: int) -> None:
    assert milliseconds_of(iso_of(moment)) == moment


def test_a_time_reads_as_people_write_it() -> None:
    assert iso_of(1_700_000_000_120) == "2023-11-14T22:13:20.120Z"
    assert milliseconds_of("2023-11-14T23:13:20.1209+01:00") == 1_700_000_000_120
    assert iso_of(LAST + 1) == iso_of(LAST)


@settings(max_examples=30)
@given(threads, responses(), st.none() | text)
def test_threads_come_back_as_they_were(thread: Thread, run: Any, cursor: str | None) -> None:
    body = ThreadBody.of(thread, "chat")
    detail = ThreadDetailBody(thread=body, runs=(run,))
    read = ThreadDetailBody.model_validate_json(detail.model_dump_json())
    assert read.detail() == ThreadDetail(thread=thread, runs=(run,))
    page = ThreadPageBody(threads=(body,), next_cursor=cursor)
    back = ThreadPageBody.model_validate_json(page.model_dump_json()).page()
    assert back == ThreadPage(threads=(thread,), next_cursor=cursor)


def test_a_thread_has_all_its_fields_on_the_wire() -> None:
    thread = Thread(id=THREAD, title="t", model_id="m", created_at=0, updated_at=1)
    assert ThreadBody.of(thread, "responses").model_dump(mode="json") == {
        "threadId": THREAD,
        "title": "t",
        "summary": None,
        "tags": [],
        "agentRole": None,
        "modelProviderId": None,
        "modelProviderApi": "responses",
        "model": "m",
        "createdAt": "1970-01-01T00:00:00.000Z",
        "updatedAt": "1970-01-01T00:00:00.001Z",
        "state": None,
    }


def test_a_request_says_on_the_wire_what_it_says_and_no_more() -> None:
    request = SubmitRequest(prompt="p", run_id=RUN, reasoning_effort="low", max_output_tokens=1)
    body = body_of(SubmitBody, request)
    sent = {"prompt": "p", "runId": RUN, "reasoningEffort": "low", "maxOutputTokens": 1}
    assert body.model_dump(mode="json", exclude_unset=True) == sent
    assert shape_of(SubmitRequest, SubmitBody.model_validate(sent)) == request


def test_changes_keep_what_was_left_out_apart_and_nothing_else_can_be_changed() -> None:
    body = ThreadChangesBody.model_validate({"tags": ["a"], "agentRole": "r"})
    changes = shape_of(ThreadChanges, body)
    assert changes == ThreadChanges(tags=("a",), agent_role="r")
    assert changes.model_fields_set == {"tags", "agent_role"}
    for wrong in ("threadId", "agent_role", "createdAt"):
        with pytest.raises(ValidationError, match=wrong):
            ThreadChangesBody.model_validate({wrong: "x"})


def test_what_no_body_may_say_is_refused_with_the_name_of_its_field() -> None:
    with pytest.raises(InvalidRequest, match="model: "):
        body_of(SubmitBody, SubmitRequest(prompt="p", model="m" * 201))
    with pytest.raises(InvalidRequest, match="nothing to change"):
        body_of(ThreadChangesBody, ThreadChanges())
    with pytest.raises(InvalidRequest, match="reason: "):
        body_with(CancelBody, reason="")


def test_a_thread_to_be_made_comes_back_as_it_was() -> None:
    request = ThreadRequest(thread_id=THREAD, tags=("a", "b"), model="m", provider_id="p")
    body = body_of(NewThreadBody, request)
    sent = {"threadId": THREAD, "tags": ["a", "b"], "model": "m", "modelProviderId": "p"}
    assert body.model_dump(mode="json", exclude_unset=True) == sent
    assert shape_of(ThreadRequest, NewThreadBody.model_validate(sent)) == request


def test_models_come_back_with_their_prices() -> None:
    price = Price(prompt=1, completion=2, cache_write=3, as_of="2026-01-01")
    listed = ModelList(
        models=(ModelInfo(id="m", provider_id="p", price=price),), unreachable=("q",)
    )
    body = body_of(ModelsBody, listed)
    assert '"cacheWrite":3.0' in body.model_dump_json()
    assert shape_of(ModelList, ModelsBody.model_validate_json(body.model_dump_json())) == listed
