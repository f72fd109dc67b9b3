"""The reducer: what a delta costs as the answer grows, and what it costs to look at the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from cody_core.reducer import ResponseReducer
from cody_core.schema.events import Event, ItemDelta, ItemStart
from support.shapes import events, started

from benchmarks.table import Table
from benchmarks.timing import best_seconds

SIZES = (1_000, 10_000, 100_000)
RUNS = {1_000: 30, 10_000: 10, 100_000: 4}
EVERY = 100
"""Deltas between two looks at the answer, while it streams: a few frames of a fast model."""
TOKEN = " token"


def tables() -> Iterator[Table]:
    """Measure; see the module."""
    opening = events(started(), ItemStart(item_id="m1", item_type="message"))
    one_event = events(ItemDelta(item_id="m1", delta_content=TOKEN))[0]
    deltas = [one_event.model_copy() for _ in range(max(SIZES))]
    offsets = [f"1763000000000-{number}" for number in range(max(SIZES))]
    yield _linearity(opening, deltas, offsets)
    yield _snapshots(opening, deltas)


def _linearity(opening: list[Event], deltas: list[Event], offsets: list[str]) -> Table:
    table = Table(
        "reducer: ns per delta",
        *("deltas", "apply(event, offset)", "apply(event)", "list.append", "apply / append"),
    )
    costs = [_per_delta(opening, deltas[:size], offsets[:size]) for size in SIZES]
    for size, (at_offset, bare, append) in zip(SIZES, costs, strict=True):
        table.add(f"{size:,}", at_offset, bare, append, at_offset / append)
    growth = [last / first for first, last in zip(costs[0], costs[-1], strict=True)]
    table.add(f"{SIZES[-1]:,} / {SIZES[0]:,}", *growth, "")
    return table


def _per_delta(
    opening: list[Event], deltas: list[Event], offsets: list[str]
) -> tuple[float, float, float]:
    """Return the ns of a delta with its offset, without one, and of appending its text."""
    size, runs = len(deltas), RUNS[len(deltas)]
    strings = [TOKEN] * size
    at_offset = best_seconds(lambda: _apply_at(opening, deltas, offsets), runs=runs)
    bare = best_seconds(lambda: _apply(opening, deltas), runs=runs)
    append = best_seconds(lambda: _append(strings), runs=runs)
    return at_offset / size * 1e9, bare / size * 1e9, append / size * 1e9


def _snapshots(opening: list[Event], deltas: list[Event]) -> Table:
    table = Table(
        "reducer: the answer as a Response (µs)",
        *("deltas", "one, of all text", "str.join of it", f"each, every {EVERY} deltas"),
    )
    for size in SIZES:
        table.add(f"{size:,}", *_looks(opening, deltas[:size]))
    return table


def _looks(opening: list[Event], deltas: list[Event]) -> tuple[float, float, float]:
    """Return the µs of a look after all deltas, of joining them, and of a look now and then."""
    runs, strings = RUNS[len(deltas)], [TOKEN] * len(deltas)
    one = min(_first_look(opening, deltas) for _ in range(runs))
    join = best_seconds(lambda: "".join(strings), runs=runs)
    looking = best_seconds(lambda: _apply_and_look(opening, deltas), runs=runs)
    extra = looking - best_seconds(lambda: _apply(opening, deltas), runs=runs)
    return one * 1e6, join * 1e6, extra / (len(deltas) / EVERY) * 1e6


def _begun(opening: Sequence[Event]) -> ResponseReducer:
    reducer = ResponseReducer()
    for event in opening:
        reducer.apply(event)
    return reducer


def _apply_at(opening: list[Event], deltas: list[Event], offsets: list[str]) -> None:
    apply = _begun(opening).apply
    for event, offset in zip(deltas, offsets, strict=True):
        apply(event, offset)


def _apply(opening: list[Event], deltas: list[Event]) -> ResponseReducer:
    reducer = _begun(opening)
    apply = reducer.apply
    for event in deltas:
        apply(event)
    return reducer


def _append(strings: list[str]) -> None:
    chunks: list[str] = []
    append = chunks.append
    for text in strings:
        append(text)


def _first_look(opening: list[Event], deltas: list[Event]) -> float:
    reducer = _apply(opening, deltas)
    began = time.perf_counter()
    assert reducer.response is not None
    return time.perf_counter() - began


def _apply_and_look(opening: list[Event], deltas: list[Event]) -> None:
    reducer = _begun(opening)
    for number, event in enumerate(deltas, 1):
        reducer.apply(event)
        if not number % EVERY:
            assert reducer.response is not None
