"""What a terminal sends, in whatever pieces it is read."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import constants, events
from textual.message import Message

from cody_tui.driver import Incoming, Paste, TerminalParser

START, END = "\x1b[200~", "\x1b[201~"


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    ends = sorted({cut % (len(text) + 1) for cut in cuts} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def cut(texts: Sequence[str]) -> list[str | Paste]:
    """Return what comes of these reads, keys that stand beside each other run together."""
    incoming, found = Incoming(), list[str | Paste]()
    for text in texts:
        for piece in incoming.cut(text):
            if isinstance(piece, Paste) or not found or isinstance(found[-1], Paste):
                found.append(piece)
            else:
                found[-1] += piece
    return [*found, *([incoming.held] if incoming.held else [])]


def read(text: str) -> list[Message]:
    """Return what a parser makes of a text after which nothing comes."""
    parser = TerminalParser()
    messages: list[Message] = [*parser.feed(text)]
    end = time.monotonic() + 2 * constants.ESCAPE_DELAY
    while time.monotonic() < end:
        messages.extend(parser.tick())
    return messages


def told(text: str) -> list[str]:
    """Return the names of the keys and the pasted texts that a parser makes of a text."""
    return [
        message.text if isinstance(message, events.Paste) else message.key
        for message in read(text)
        if isinstance(message, events.Paste | events.Key)
    ]


@given(st.lists(st.integers(0, 1_000), max_size=8))
def test_a_paste_is_one_however_it_is_read(cuts: list[int]) -> None:
    text = f"a{START}one\ntwo \x1b[A {START} 你好{END}b{START}{END}c"
    assert cut(pieces(text, cuts)) == [
        "a", Paste(f"one\ntwo \x1b[A {START} 你好"), "b", Paste(""), "c",
    ]  # fmt: skip


@given(st.lists(st.integers(0, 1_000), max_size=8))
def test_answers_are_no_keys_however_they_are_read(cuts: list[int]) -> None:
    answers = (
        "\x1b]11;rgb:1111/2222/3333\x1b\\", "\x1b]10;rgb:ffff/ffff/ffff\x07", "\x1b[?62;22c",
        "\x1bP>|term 1.2\x1b\\", "\x1b[>0;10;1c", "\x1b[?31u", "\x1b]52;c;c2VjcmV0\x07",
    )  # fmt: skip
    text = "x".join(["", *answers, "\x1b[A"])
    assert "".join(cut(pieces(text, cuts))) == "x" * 8 + "\x1b[A"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("\x1b", ["escape"]),
        ("\x1b[A", ["up"]),
        ("\x1bc", ["alt+c"]),
        ("\x1b[1;3A", ["alt+up"]),
        ("\x1b[27;2;13~", ["shift+enter"]),
        ("ab\r", ["a", "b", "enter"]),
        (f"{START}\x1b[31m{'y' * 40}\r{END}", [f"\x1b[31m{'y' * 40}\r"]),
        (f"\x1b{START}a{END}", ["a", "escape"]),
    ],
)
def test_keys_are_what_they_were_and_pastes_are_never_keys(text: str, keys: list[str]) -> None:
    assert told(text) == keys


def test_a_letter_with_alt_is_not_typed() -> None:
    (plain,), (alt,) = read("e"), read("\x1be")
    assert isinstance(plain, events.Key)
    assert isinstance(alt, events.Key)
    assert (plain.is_printable, alt.key, alt.is_printable) == (True, "alt+e", False)


def test_what_never_ends_is_no_answer() -> None:
    assert "".join(cut(["\x1b]11;", "a" * 10_000, "b"])).endswith("ab")


def test_a_large_paste_takes_no_time() -> None:
    text = START + "wörds and more\n" * 70_000 + END
    began = time.perf_counter()
    (paste,) = cut([text[at : at + 4096] for at in range(0, len(text), 4096)])
    assert len(paste) > 1_000_000
    assert time.perf_counter() - began < 0.5
