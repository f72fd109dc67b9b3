from __future__ import annotations

import pytest
from cody_core.schema.threads import TITLE_LENGTH, title_of
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("hello", "hello"),
        ("  hello \t world  ", "hello world"),
        ("\n \n\r\n first\nsecond", "first"),
        ("", "Untitled"),
        (" \n\t", "Untitled"),
        ("x" * TITLE_LENGTH, "x" * TITLE_LENGTH),
        ("x" * (TITLE_LENGTH + 1), "x" * (TITLE_LENGTH - 1) + "…"),
        ("word " * 20, "word " * 14 + "word…"),
        ("a " + "x" * 200, "a " + "x" * (TITLE_LENGTH - 3) + "…"),
    ],
)
def test_a_title_is_the_first_line_that_says_something_cut_at_a_word(
    prompt: str, title: str
) -> None:
    assert title_of(prompt) == title


@given(st.text(max_size=300))
def test_a_title_is_short_and_of_one_line(prompt: str) -> None:
    title = title_of(prompt)
    assert 0 < len(title) <= TITLE_LENGTH
    assert title == " ".join(title.split())
    assert title == "Untitled" or title.removesuffix("…") in " ".join(prompt.split())
