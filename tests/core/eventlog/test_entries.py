"""Entries that are packed read like those that are not."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from cody_core.eventlog.entries import FRESH, PAGE, Entries
from cody_core.ids import new_id
from cody_core.schema.events import Event, EventFactory, ItemDelta, TraceContext

EVENT = EventFactory(new_id(), TraceContext(traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
ITEM = new_id()


def filled(count: int) -> tuple[Entries, list[tuple[str, bytes]]]:
    """Return entries, and their offsets and bytes as they were added."""
    entries = Entries()
    added = [
        entries.add(
            (1_000 + n // 3, n % 3), EVENT(ItemDelta(item_id=ITEM, delta_content=f"né\n{n}"))
        )
        for n in range(count)
    ]
    return entries, [(entry.offset, entry.data) for entry in added]


def read(entries: Entries, after: tuple[int, int], most: int) -> list[tuple[str, bytes]]:
    """Read to the end, in batches."""
    found: list[tuple[str, bytes]] = []
    while batch := entries.after(after, most):
        assert len(batch) <= most
        found.extend((entry.offset, entry.data) for entry in batch)
        milliseconds, _, sequence = batch[-1].offset.partition("-")
        after = int(milliseconds), int(sequence)
    return found


@pytest.mark.parametrize("count", [0, 1, PAGE, 2 * PAGE, 2 * PAGE + 1, 5 * PAGE + 7])
@pytest.mark.parametrize("most", [7, PAGE - 1, 10_000])
@pytest.mark.parametrize("packed", [False, True])
def test_every_entry_is_read_in_its_order(count: int, most: int, packed: bool) -> None:
    entries, added = filled(count)
    if packed:
        entries.pack()
    assert read(entries, (0, 0), most) == added
    assert bool(entries) == bool(count)


def test_reading_begins_behind_any_offset_there_is_or_not() -> None:
    entries, added = filled(3 * PAGE)
    for n in (0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 5, 3 * PAGE - 1):
        assert read(entries, (1_000 + n // 3, n % 3), PAGE) == added[n + 1 :]
        assert read(entries, (1_000 + n // 3, 99), PAGE) == added[n - n % 3 + 3 :]


def test_what_is_added_after_packing_follows_what_is_packed() -> None:
    entries, added = filled(PAGE)
    entries.pack()
    entry = entries.add((9_999, 0), EVENT(ItemDelta(item_id=ITEM, delta_content="more")))
    assert entries.last == (9_999, 0)
    assert read(entries, (0, 0), 100) == [*added, (entry.offset, entry.data)]


def test_packed_events_take_a_tenth_of_the_memory() -> None:
    tracemalloc.start()
    try:
        entries, _ = filled(0)
        before = tracemalloc.get_traced_memory()[0]
        for n in range(4 * PAGE):
            entries.add((n, 0), EVENT(ItemDelta(item_id=ITEM, delta_content=f"some text {n} ")))
        mixed = tracemalloc.get_traced_memory()[0] - before
        entries.pack()
        packed = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert packed * 5 < mixed


def test_what_has_been_read_is_kept_as_bytes_and_read_again_as_it_was() -> None:
    entries, last = Entries(), (0, 0)
    for n in range(PAGE):
        entries.add((1_000, n), EVENT(ItemDelta(item_id=ITEM, delta_content=f"{n}")))
        (entry,) = entries.after(last, 10)
        last = entry.key
    alive = [found for found in gc.get_objects() if isinstance(found, Event)]
    assert len([event for event in alive if event.run_id == EVENT.run_id]) <= FRESH + 2
    again = entries.after((0, 0), PAGE)
    assert [entry.event.payload for entry in again] == [
        ItemDelta(item_id=ITEM, delta_content=f"{n}") for n in range(PAGE)
    ]
