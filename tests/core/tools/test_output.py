from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest
from cody_core.tools.output import Output, ended
from hypothesis import given
from hypothesis import strategies as st

# Bytes that are cut in the middle of characters, are no characters, or end lines.
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.text(max_size=6).map(str.encode),
        st.sampled_from([b"\n", "日本".encode(), "🙂".encode()[:3], "🙂".encode()[3:]]),
    ),
    max_size=12,
)


def filled(pieces: Iterable[bytes], head: int, tail: int) -> tuple[Output, str]:
    output, shown = Output(head, tail), ""
    for piece in pieces:
        output.add(piece)
        shown += output.fresh()
    return output, shown


@given(PIECES, st.integers(1, 12), st.integers(1, 12))
def test_what_was_shown_is_always_the_beginning_of_the_text(
    pieces: list[bytes], head: int, tail: int
) -> None:
    output, shown = filled(pieces, head, tail)
    assert output.text().startswith(shown)
    assert output.fresh() == ""


@given(PIECES, st.integers(1, 12), st.integers(1, 12))
def test_nothing_is_left_out_of_what_fits_and_the_rest_is_counted(
    pieces: list[bytes], head: int, tail: int
) -> None:
    data = b"".join(pieces)
    text = filled(pieces, head, tail)[0].text()
    if len(data) <= head + tail:
        assert text == data.decode(errors="replace")
    else:
        assert " left out …]\n" in text


@given(st.text("ab\n", min_size=13, max_size=60), st.integers(1, 6), st.integers(1, 6))
def test_the_middle_is_left_out_and_counted_exactly(data: str, head: int, tail: int) -> None:
    output, _ = filled([data[:7].encode(), data[7:].encode()], head, tail)
    middle = data[head:-tail]
    gap = f"[… {len(middle)} bytes with {middle.count(chr(10))} line ends left out …]\n"
    assert output.text() == ended(data[:head]) + gap + data[-tail:]


@pytest.mark.parametrize(("head", "tail"), [(4, 4), (5, 5), (6, 6), (7, 7)])
def test_no_character_is_cut_in_two(head: int, tail: int) -> None:
    output, shown = filled([("日" * 20).encode()], head, tail)
    kept = "日" * (head // 3)
    left_out = 60 - 3 * (head // 3) - 3 * (tail // 3)
    assert shown == kept
    gap = f"[… {left_out} bytes with 0 line ends left out …]"
    assert output.text() == f"{kept}\n{gap}\n{'日' * (tail // 3)}"


def test_a_character_in_two_pieces_is_shown_once_it_is_whole() -> None:
    output = Output()
    first, second = "é".encode()[:1], "é".encode()[1:]
    output.add(b"caf" + first)
    assert output.fresh() == "caf"
    output.add(second)
    assert (output.fresh(), output.text()) == ("é", "café")


def test_a_hundred_megabytes_are_kept_in_a_fraction_of_one() -> None:
    piece = b"x" * 65_535 + b"\n"
    output = Output()
    tracemalloc.start()
    try:
        for _ in range(1600):
            output.add(piece)
        text = output.text()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000
    assert "[… 104,824,832 bytes with 1,599 line ends left out …]" in text


def test_what_follows_begins_a_line() -> None:
    assert [ended(text) for text in ("", "a", "a\n")] == ["", "a\n", "a\n"]
