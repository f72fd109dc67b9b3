from __future__ import annotations

import re
import time
import uuid

import pytest
from cody_core.ids import is_uuid, new_id, now_ms, traceparent
from cody_core.schema.base import Uuid
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

UUID: TypeAdapter[str] = TypeAdapter(Uuid)


def test_ids_made_in_a_row_sort_in_that_row() -> None:
    ids = [new_id() for _ in range(5000)]
    assert ids == sorted(set(ids))


def test_an_id_is_a_version_7_uuid_of_now() -> None:
    before = now_ms()
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= now_ms()
    assert UUID.validate_python(str(made)) == str(made)


def test_now_is_the_wall_clock_in_milliseconds() -> None:
    assert abs(now_ms() - time.time() * 1000) < 10_000


@given(st.uuids().map(str))
def test_a_uuid_of_any_version_and_case_is_one(text: str) -> None:
    assert is_uuid(text)
    assert is_uuid(text.upper())
    assert UUID.validate_python(text.upper()) == text.upper()


@pytest.mark.parametrize(
    "change",
    [
        str.strip,
        lambda text: f"{{{text}}}",
        lambda text: f"urn:uuid:{text}",
        lambda text: text.replace("-", ""),
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:-1],
        lambda text: text[:-1] + "g",
        lambda text: text[:-1] + "\uff11",
    ],
)
def test_only_the_canonical_form_is_a_uuid(change: object) -> None:
    assert callable(change)
    text = change(new_id())
    try:
        accepted = UUID.validate_python(text) == text
    except ValidationError:
        accepted = False
    assert is_uuid(text) == accepted == (change is str.strip)


def test_a_trace_has_the_id_of_its_run_and_a_span_of_its_own() -> None:
    run_id = new_id()
    one, two = traceparent(run_id), traceparent(run_id)
    pattern = rf"00-{run_id.replace('-', '')}-[0-9a-f]{{16}}-01"
    assert re.fullmatch(pattern, one)
    assert re.fullmatch(pattern, two)
    assert one != two


def test_a_trace_of_what_is_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="badly formed"):
        traceparent("run")
