"""What servers send as JSON, halves of characters included."""

from __future__ import annotations

import json

import pytest
from cody_core.providers._json import loads
from hypothesis import given
from hypothesis import strategies as st

ANY = st.text(st.characters(codec=None, categories=None), max_size=12)


@given(st.lists(ANY, max_size=4))
def test_every_text_that_can_be_written_is_read_and_can_be_written_again(texts: list[str]) -> None:
    whole = [
        text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for text in texts
    ]
    found = loads(json.dumps(texts))
    assert [text.replace("\ufffd", "?") for text in whole] == [
        text.replace("\ufffd", "?") for text in found
    ]
    assert found == loads(json.dumps(texts).encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "x\ud83dy"}', {"a": "x?y"}),
        (r'["\ude00\ud83d"]', ["??"]),
        (r'["\ud83d\ud83d\ude00"]', ["?\U0001f600"]),
        (r'["\\ud83d\ud83d"]', [r"\ud83d?"]),
        (r'["\uD83D\n"]', ["?\n"]),
    ],
)
def test_half_a_character_is_a_question_mark(text: str, value: object) -> None:
    assert loads(text) == value


@pytest.mark.parametrize(
    "text", ["", "{", r'["\ud83d"', r'["\ud83"]', "[NaN]", b"\xff", b'["\\ud83d\xff"]']
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - orjson's own error, or one of UTF-8
        loads(text)
