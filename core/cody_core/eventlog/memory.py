"""The event log of one process: lists in memory, readers woken by an event."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from itertools import takewhile

from cody_core.errors import AppendedBefore, RunClosed
from cody_core.eventlog import Beginning
from cody_core.eventlog.entries import Entries
from cody_core.ids import now_ms
from cody_core.schema.events import START, Entry, Event, ResponseStart, offset_key
from cody_core.schema.news import RunEnd, RunNews, run_end
from cody_core.tasks import Signal

BATCH = 1000
"""Entries a reader is given at once, so that a long run cannot hold the event loop."""
NEWS_KEPT = 10_000
"""How much word of runs is kept."""


class _Run:
    """The entries of one run, and who waits for more."""

    __slots__ = ("attempt", "closed", "entries", "once", "readers", "thread_id", "wake")

    def __init__(self) -> None:
        self.thread_id: str | None = None
        self.attempt: str | None = None
        self.once: set[str] = set()
        self.entries = Entries()
        self.closed = False
        self.readers = 0
        self.wake = Signal()

    def append(self, event: Event) -> str:
        key = _next_key(self.entries.last)
        self.closed = self.closed or event.is_terminal
        return self.entries.add(key, event).offset


class _News:
    """Word of all runs, and who waits for more."""

    def __init__(self) -> None:
        self.words: deque[tuple[tuple[int, int], RunNews]] = deque(maxlen=NEWS_KEPT)
        self.wake = Signal()

    @property
    def newest(self) -> tuple[int, int]:
        return self.words[-1][0] if self.words else (0, 0)

    def say(self, run_id: str, thread_id: str, status: RunEnd | None) -> None:
        key = _next_key(self.newest)
        self.words.append((key, RunNews(f"{key[0]}-{key[1]}", run_id, thread_id, status)))
        self.wake.send()

    def after(self, position: tuple[int, int]) -> list[RunNews]:
        newer = takewhile(lambda word: word[0] > position, reversed(self.words))
        return [word for _, word in newer][::-1]


class MemoryEventLog:
    """The embedded default. See ``EventLog`` for what each method promises."""

    trouble: str | None = None

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._news = _News()
        self._closed = False

    async def append(
        self, run_id: str, events: Sequence[Event], *, once: str | None = None
    ) -> Sequence[str]:
        """Append without suspending: cancelling has no effect on it."""
        return self.append_now(run_id, events, once=once)

    def append_now(
        self, run_id: str, events: Sequence[Event], *, once: str | None = None
    ) -> Sequence[str]:
        """Append: there is nothing to wait for."""
        if not events:
            return []
        run = self._runs.get(run_id)
        if run is None or run.thread_id is None:
            run = self._begun(run_id, events[0])
        if run.closed or any(event.is_terminal for event in events[:-1]):
            msg = f"run {run_id!r} has ended: nothing can follow its terminal event"
            raise RunClosed(msg)
        if once is not None:
            if once in run.once:
                msg = f"{once!r} was appended to run {run_id!r} already"
                raise AppendedBefore(msg)
            run.once.add(once)
        offsets = [run.append(event) for event in events]
        run.wake.send()
        self._tell(run_id, run, events)
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
                if batch := run.entries.after(position, BATCH):
                    position = batch[-1].key
                    yield batch
                elif run.closed or not follow:
                    return
                else:
                    await run.wake.wait()
        finally:
            run.readers -= 1
            if not run.entries and not run.readers and self._runs.get(run_id) is run:
                del self._runs[run_id]

    async def begin(self, run_id: str, attempt: str) -> Beginning:
        """Note which attempt was the first, and tell how the run is found."""
        run = self._runs.get(run_id)
        if run is None or not run.entries:
            return "gone"
        if run.closed:
            return "ended"
        if run.attempt is None:
            run.attempt = attempt
        return "first" if run.attempt == attempt else "begun"

    async def exists(self, run_id: str) -> bool:
        """Tell whether the run has any event in the log."""
        run = self._runs.get(run_id)
        return run is not None and bool(run.entries)

    async def expire(self, run_id: str, *, seconds: float) -> None:
        """Forget the run after that time; a reader that is at it reads on to the end."""
        if handle := self._expiries.pop(run_id, None):
            handle.cancel()
        if run := self._runs.get(run_id):
            run.entries.pack()
        loop = asyncio.get_running_loop()
        self._expiries[run_id] = loop.call_later(seconds, self._forget, run_id)

    async def news(self, *, after: str, follow: bool = True) -> AsyncGenerator[Sequence[RunNews]]:
        """Yield batches of word of runs; see ``EventLog.news``."""
        position = offset_key(after)
        while not self._closed:
            if batch := self._news.after(position):
                position = offset_key(batch[-1].offset)
                yield batch
            elif not follow:
                return
            else:
                await self._news.wake.wait()

    async def newest(self) -> str:
        """Return the offset of the newest word of a run."""
        milliseconds, sequence = self._news.newest
        return f"{milliseconds}-{sequence}"

    async def aclose(self) -> None:
        """Forget the timers and end the readers."""
        self._closed = True
        for handle in self._expiries.values():
            handle.cancel()
        self._expiries.clear()
        for run in self._runs.values():
            run.wake.send()
        self._news.wake.send()

    def _begun(self, run_id: str, first: Event) -> _Run:
        """Return the run that an event begins: one of which there is nothing yet, if it is known.

        Raises:
            RunClosed: that event begins no run.
        """
        if not isinstance(first.payload, ResponseStart):
            msg = f"run {run_id!r} is not in the log, or no more, and does not begin with that"
            raise RunClosed(msg)
        return self._runs.setdefault(run_id, _Run())

    def _tell(self, run_id: str, run: _Run, events: Sequence[Event]) -> None:
        """Say that a run begins or has ended, if these events say so."""
        if isinstance(first := events[0].payload, ResponseStart):
            run.thread_id = first.thread_id
            self._news.say(run_id, run.thread_id, None)
        if run.closed and run.thread_id is not None:
            self._news.say(run_id, run.thread_id, run_end(events[-1].payload))

    def _forget(self, run_id: str) -> None:
        self._expiries.pop(run_id, None)
        self._runs.pop(run_id, None)


def _next_key(last: tuple[int, int]) -> tuple[int, int]:
    """Return the key of what comes now, which is greater than the last."""
    now = now_ms()
    return (now, 0) if now > last[0] else (last[0], last[1] + 1)
