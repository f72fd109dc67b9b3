"""Following a run: events in, at most one snapshot per frame out.

Every batch the client has is reduced at once; a snapshot is shown when the last one is a frame
old. Showing that takes long makes the frames longer, so that a slow machine shows fewer, newer
snapshots, never a queue of old ones, and most of its time is still for keys.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final

from cody_core.client import Client
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import Entry, ItemCancelled, ItemDone, ItemError, ItemStart
from cody_core.schema.response import Response

from cody_tui.messages import Snapshot, Span

FRAME: Final = 1 / 30
"""Seconds between two snapshots, where showing one is quick."""
LONGEST_FRAME: Final = 1 / 10
"""Seconds after which the next is shown also where it is not."""
IDLE: Final = 16.0
"""How much longer than showing one took nothing is shown afterwards, up to that; what the terminal
is sent of it takes as long again."""
LEAST_IDLE: Final = 2.0
"""The same, where even ten snapshots a second are too many."""


class _Reader:
    """Reduces entries and remembers when items began and ended."""

    def __init__(self) -> None:
        self.reducer = ResponseReducer()
        self._spans: dict[str, Span] = {}

    def take(self, entry: Entry) -> None:
        event = entry.event
        match event.payload:
            case ItemStart(item_id=item_id):
                self._spans.setdefault(item_id, Span(event.timestamp))
            case (
                ItemDone(item_id=item_id)
                | ItemError(item_id=item_id)
                | ItemCancelled(item_id=item_id)
            ):
                if (span := self._spans.get(item_id)) is not None:
                    self._spans[item_id] = Span(span.start, event.timestamp)
            case _:
                pass
        self.reducer.apply(event, entry.offset)

    def snapshot(self) -> Snapshot | None:
        response = self.reducer.response
        if response is None:
            return None
        reducer = self.reducer
        open_items = frozenset(reducer.open_items)
        return Snapshot(response, open_items, dict(self._spans), reducer.approvals)


class _Painter:
    """Shows what there is to show, once per frame."""

    def __init__(self, reader: _Reader, show: Callable[[Snapshot], None], frame: float) -> None:
        self._reader = reader
        self._show = show
        self._frame = frame
        self._due = 0.0
        self._scheduled: asyncio.TimerHandle | None = None

    def news(self) -> None:
        if self._scheduled is None:
            loop = asyncio.get_running_loop()
            self._scheduled = loop.call_at(max(loop.time(), self._due), self.paint)

    def paint(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        snapshot = self._reader.snapshot()
        if snapshot is None:
            return
        began = time.perf_counter()
        self._show(snapshot)
        pause = _pause(time.perf_counter() - began)
        self._due = asyncio.get_running_loop().time() + max(self._frame, pause)


def _pause(took: float) -> float:
    """Return how long nothing is shown after a snapshot that took so long to show."""
    return max(min(IDLE * took, LONGEST_FRAME), LEAST_IDLE * took)


async def follow(
    client: Client, run_id: str, show: Callable[[Snapshot], None], *, frame: float = FRAME
) -> Response | None:
    """Call ``show`` with what has come of a run, at most once per frame, up to its end.

    A frame takes ``frame`` seconds. The last snapshot is always shown, also when the client fails
    on the way. Returns the response as far as it came, or ``None`` if there was not even a
    beginning.

    Raises:
        CodyError: whatever the client raised.
    """
    reader = _Reader()
    painter = _Painter(reader, show, frame)
    batches = client.follow(run_id)
    try:
        async for batch in batches:
            for entry in batch:
                reader.take(entry)
            painter.news()
    finally:
        painter.paint()
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()
    return reader.reducer.response
