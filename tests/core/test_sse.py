from __future__ import annotations

from itertools import pairwise

import pytest
from cody_core.sse import KEEP_ALIVE, Decoder, ServerSentEvent, encode
from hypothesis import given
from hypothesis import strategies as st

STREAM = (
    '\ufeffevent: one\r\ndata: {"a": "\u2028é🙂"}\r\nid: 1-0\r\n\r\n: note\n\ndata: x\rdata:  y\r\r'
    "id: 2-0\nevent: three\ndata: z\n\ndata: never finished"
).encode()
EVENTS = [
    ServerSentEvent('{"a": "\u2028é🙂"}', "one", "1-0"),
    ServerSentEvent("x\n y", "message", "1-0"),
    ServerSentEvent("z", "three", "2-0"),
]


def decode(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def test_a_whole_stream() -> None:
    assert decode(STREAM) == EVENTS


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_cut_into_pieces(size: int) -> None:
    assert decode(*(STREAM[at : at + size] for at in range(0, len(STREAM), size))) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_cut_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert decode(*(STREAM[a:b] for a, b in pairwise(edges))) == EVENTS


def test_what_is_encoded_is_decoded() -> None:
    frame = encode(b'{"n": 1}', event="item_delta", id="5-1")
    assert decode(KEEP_ALIVE + frame) == [ServerSentEvent('{"n": 1}', "item_delta", "5-1")]


def test_an_id_with_a_null_is_ignored() -> None:
    assert decode(b"id: a\0b\ndata: x\n\n") == [ServerSentEvent("x")]
