"""Writes the events of one run without making whoever produces them wait for every round trip."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cody_core.eventlog import EventLog
from cody_core.schema.events import START, Event
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

LIMIT = 1000
"""Events that may wait to be written before ``put`` waits too."""
FLUSH_SECONDS = 5.0
"""How long leaving the block by a cancellation waits for the last events to be written."""


class LogWriter:
    """Appends in order; what is put while an append is under way shares the next one.

    An append that fails makes every later ``put`` and ``flush`` raise what it raised.
    """

    def __init__(self, log: EventLog, run_id: str) -> None:
        self._log = log
        self._run_id = run_id
        self._waiting: list[Event] = []
        self._arrived = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._error: Exception | None = None
        self._last_offset = START

    @classmethod
    @asynccontextmanager
    async def open(cls, log: EventLog, run_id: str) -> AsyncIterator[LogWriter]:
        """Write while the block runs, and what was put before it is left.

        Left by an error, it still waits for as long as the log itself does for its server; left by
        a cancellation, for a moment only.

        Raises:
            CodyError: what the log raised when it did not take the last events.
        """
        writer = cls(log, run_id)
        async with task_group() as tasks:
            drain = tasks.create_task(writer._drain())
            try:
                yield writer
                await writer.flush()
            except Exception:
                await writer._written.wait()
                raise
            finally:
                await writer._finish()
                drain.cancel()

    async def put(self, event: Event) -> None:
        """Take an event to be written; waits only when far too many are waiting already."""
        if self._error is not None:
            raise self._error
        if self._written.is_set() and self._append_now(event):
            return
        self._waiting.append(event)
        self._written.clear()
        self._arrived.set()
        if len(self._waiting) >= LIMIT:
            await self.flush()

    async def flush(self) -> str:
        """Wait until everything is in the log, and return the offset of the last event."""
        await self._written.wait()
        if self._error is not None:
            raise self._error
        return self._last_offset

    def _append_now(self, event: Event) -> bool:
        """Append an event that nothing waits before, where the log takes it without waiting."""
        try:
            offsets = self._log.append_now(self._run_id, [event])
        except Exception as error:  # noqa: BLE001 - raised to whoever puts or flushes next
            self._error = error
            return True
        if offsets is None:
            return False
        self._last_offset = offsets[-1]
        return True

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._written.wait()
        except TimeoutError:
            logger.warning("gave up writing the last events of run %s", self._run_id)

    async def _drain(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            events, self._waiting = self._waiting, []
            if not await self._append(events):
                return
            if not self._waiting:
                self._written.set()

    async def _append(self, events: Sequence[Event]) -> bool:
        try:
            offsets = await self._log.append(self._run_id, events)
        except Exception as error:  # noqa: BLE001 - raised to whoever puts or flushes next
            self._error = error
            self._waiting = []
            self._written.set()
            return False
        self._last_offset = offsets[-1]
        return True
