"""The event log of one process: lists in memory, readers woken by an event."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence

from cody_core.errors import AppendedBefore, RunClosed
from cody_core.ids import now_ms
from cody_core.schema.events import START, Entry, Event, offset_key

BATCH = 1000
"""Entries a reader is given at once, so that a long run cannot hold the event loop."""


class _Run:
    """The entries of one run, their offsets as sort keys, and who waits for more."""

    __slots__ = ("closed", "entries", "keys", "once", "readers", "wake")

    def __init__(self) -> None:
        self.once: set[str] = set()
        self.entries: list[Entry] = []
        self.keys: list[tuple[int, int]] = []
        self.closed = False
        self.readers = 0
        self.wake = asyncio.Event()

    def append(self, event: Event) -> str:
        last_ms, last_seq = self.keys[-1] if self.keys else (0, 0)
        ms = now_ms()
        key = (ms, 0) if ms > last_ms else (last_ms, last_seq + 1)
        offset = f"{key[0]}-{key[1]}"
        self.keys.append(key)
        self.entries.append(Entry(offset, event=event))
        self.closed = self.closed or event.is_terminal
        return offset

    def notify(self) -> None:
        wake, self.wake = self.wake, asyncio.Event()
        wake.set()


class MemoryEventLog:
    """The embedded default. See ``EventLog`` for what each method promises."""

    trouble: str | None = None

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    async def append(
        self, run_id: str, events: Sequence[Event], *, once: str | None = None
    ) -> Sequence[str]:
        """Append without suspending: cancelling has no effect on it."""
        run = self._runs.setdefault(run_id, _Run())
        if run.closed or any(event.is_terminal for event in events[:-1]):
            msg = f"run {run_id!r} has ended: nothing can follow its terminal event"
            raise RunClosed(msg)
        if once is not None:
            if once in run.once:
                msg = f"{once!r} was appended to run {run_id!r} already"
                raise AppendedBefore(msg)
            run.once.add(once)
        offsets = [run.append(event) for event in events]
        run.notify()
        return offsets

    async def read(
        self, run_id: str, *, after: str = START, follow: bool = True
    ) -> AsyncGenerator[Sequence[Entry]]:
        """Yield batches from the lists; see ``EventLog.read``."""
        position = offset_key(after)
        run = self._runs.setdefault(run_id, _Run())
        run.readers += 1
        try:
            while not self._closed:
                start = bisect_right(run.keys, position)
                if batch := run.entries[start : start + BATCH]:
                    position = run.keys[start + len(batch) - 1]
                    yield batch
                elif run.closed or not follow:
                    return
                else:
                    await run.wake.wait()
        finally:
            run.readers -= 1
            if not run.entries and not run.readers and self._runs.get(run_id) is run:
                del self._runs[run_id]

    async def exists(self, run_id: str) -> bool:
        """Tell whether the run has any event in the log."""
        run = self._runs.get(run_id)
        return run is not None and bool(run.entries)

    async def expire(self, run_id: str, *, seconds: float) -> None:
        """Forget the run after that time; a reader that is at it reads on to the end."""
        if handle := self._expiries.pop(run_id, None):
            handle.cancel()
        loop = asyncio.get_running_loop()
        self._expiries[run_id] = loop.call_later(seconds, self._forget, run_id)

    async def aclose(self) -> None:
        """Forget the timers and end the readers."""
        self._closed = True
        for handle in self._expiries.values():
            handle.cancel()
        self._expiries.clear()
        for run in self._runs.values():
            run.notify()

    def _forget(self, run_id: str) -> None:
        self._expiries.pop(run_id, None)
        self._runs.pop(run_id, None)
