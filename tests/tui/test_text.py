from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_tui.text import one_line, printable, unmistakable


def test_escape_sequences_become_visible() -> None:
    assert printable("\x1b]0;mine\x07 \x1b[2J") == "␛]0;mine␇ ␛[2J"


def test_c1_controls_and_delete_become_visible() -> None:
    assert printable("a\x9b31m\x7f\x85") == "a<9B>31m␡<85>"


def test_newlines_and_tabs_stay_and_crlf_is_a_newline() -> None:
    assert printable("a\r\nb\tc\rd\n") == "a\nb\tc␍d\n"


def test_lone_surrogates_are_replaced() -> None:
    assert printable("a\ud83d b") == "a\ufffd b"


def test_scripts_of_all_kinds_are_left_alone() -> None:
    text = "שלום مرحبا 你好 e\u0301 👩\u200d👩\u200d👧 🇩🇪 naïve"
    assert printable(text) == text


@given(st.text())
def test_nothing_printable_lets_through_is_a_control_character(text: str) -> None:
    shown = printable(text)
    assert {unicodedata.category(c) for c in shown if c not in "\n\t"}.isdisjoint({"Cc", "Cs"})
    assert printable(shown) == shown


def test_one_line_runs_white_space_together_and_cuts() -> None:
    assert one_line(" a\n b\tc ", 10) == "a b c"
    assert one_line("x" * 100, 10) == "x" * 9 + "…"
    assert one_line("a\x1bb", 10) == "a␛b"


@pytest.mark.parametrize(
    "unseen",
    [
        *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u180e\u200b\u200c\u200d\u200e\u202e\u2066",
        *"\u2060\u206f\u2800\u3164\ufe00\ufe0f\ufeff\uffa0\ufffb",
        *"\U0001d173\U000e0000\U000e0041\U000e007f\U000e0100\U000e01ef",
    ],
)
def test_what_cannot_be_seen_in_a_command_is_shown(unseen: str) -> None:
    assert unmistakable(f"rm {unseen}x{unseen}.txt") == "rm <{0:04X}>x<{0:04X}>.txt".format(
        ord(unseen)
    )


def test_what_is_hidden_behind_an_emoji_is_shown() -> None:
    assert (
        unmistakable("⚠\ufe0f\ufe01\U000e0141 👩\u200d\u200d")
        == "⚠\ufe0f<FE01><E0141> 👩\u200d<200D>"
    )


def test_what_ordinary_text_is_made_of_is_left_alone_in_a_command() -> None:
    text = "echo שלום 葛\U000e0100 می\u200cشود ❤\ufe0f\u200d🔥 👩🏽\u200d💻 1\ufe0f\u20e3 🇩🇪 naïve"
    assert unmistakable(text) == text
