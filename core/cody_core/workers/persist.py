"""The persistence worker: it follows the log of a run, reduces it, and saves what has come.

It saves when an item is complete, at most every ``interval`` while text streams, and at the end.
Reading and saving are two tasks: a slow store makes saves rarer, never the reading slower, and of a
run only its newest state waits. What the store refuses for the moment is tried again; what it still
refuses when the process has to stop goes to the outbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from cody_core.errors import EventLogError, StoreCorrupt, StoreUnavailable
from cody_core.eventlog import EventLog
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import (
    START,
    Entry,
    ItemCancelled,
    ItemDone,
    ItemError,
    ResponseDone,
    ResponseError,
    ResponseStart,
)
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadPage
from cody_core.stores import RunWrite, Store
from cody_core.tasks import task_group
from cody_core.workers.outbox import Outbox

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
_BOUNDARIES = (ResponseStart, ItemDone, ItemError, ItemCancelled, ResponseDone, ResponseError)


class Persister:
    """Saves runs. One for all runs of a process."""

    def __init__(
        self,
        log: EventLog,
        store: Store,
        outbox: Outbox,
        *,
        owner: str,
        log_ttl: float,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        """Build a persister.

        Args:
            log: What is read.
            store: Where to save.
            outbox: Where to leave what could not be saved.
            owner: This process, as the store knows it.
            log_ttl: Seconds the log keeps a run after it is terminal and stored.
            interval: The most seconds between two saves while text streams.
        """
        self._log = log
        self._store = store
        self._outbox = outbox
        self._owner = owner
        self._log_ttl = log_ttl
        self._interval = interval
        self._runs: dict[str, _Saver] = {}

    @property
    def trouble(self) -> str | None:
        """Why something is not stored yet that should be, if so."""
        return next((saver.trouble for saver in self._runs.values() if saver.trouble), None)

    def unsaved(self, thread_id: str) -> Sequence[Response]:
        """Return the runs of a thread whose newest state is not in the store yet."""
        responses = (saver.reducer.response for saver in self._runs.values())
        return [found for found in responses if found and found.thread_id == thread_id]

    def marked(self, page: ThreadPage) -> ThreadPage:
        """Say of the threads that one of these runs waits for an answer in that it does."""
        asking = {
            response.thread_id
            for saver in self._runs.values()
            if saver.reducer.approvals and (response := saver.reducer.response)
        }
        if asking.isdisjoint(thread.id for thread in page.threads):
            return page
        threads = (
            thread.model_copy(update={"state": "asking"}) if thread.id in asking else thread
            for thread in page.threads
        )
        return page.model_copy(update={"threads": tuple(threads)})

    async def run(self, run_id: str, new_thread: Thread | None = None) -> None:
        """Save a run until its end is stored. Cancelled, it leaves the newest state to the outbox.

        ``new_thread`` is the run's thread, if that is still to be stored.
        """
        saver = _Saver(self._store, self._owner, self._interval, new_thread)
        self._runs[run_id] = saver
        try:
            async with task_group() as tasks:
                saving = tasks.create_task(saver.save_until_done())
                await self._read(run_id, saver)
                saver.finish()
                await saving
            if saver.reducer.is_terminal and saver.unsaved_write() is None:
                await self._log.expire(run_id, seconds=self._log_ttl)
        except EventLogError as error:
            logger.warning("run %s is stored, and stays in the log: %s", run_id, error)
        finally:
            del self._runs[run_id]
            if (left := saver.unsaved_write()) is not None:
                self._leave(left)

    def _leave(self, write: RunWrite) -> None:
        try:
            self._outbox.put(write)
        except OSError as error:
            logger.error("run %s is not stored, and cannot be kept: %s", write.response.id, error)

    async def _read(self, run_id: str, saver: _Saver) -> None:
        try:
            async with aclosing(self._log.read(run_id, after=START)) as batches:
                async for batch in batches:
                    saver.take(batch)
        except EventLogError as error:
            logger.error("run %s cannot be read to its end: %s", run_id, error)


class _Saver:
    """The newest state of one run, and its way to the store."""

    def __init__(
        self, store: Store, owner: str, interval: float, new_thread: Thread | None
    ) -> None:
        self.reducer = ResponseReducer()
        self.trouble: str | None = None
        self._new_thread = new_thread
        self._store = store
        self._owner = owner
        self._interval = interval
        self._dirty = asyncio.Event()
        self._urgent = asyncio.Event()
        self._finished = False
        self._changed: frozenset[int] = frozenset()
        self._saved: str | None = None

    def take(self, batch: Sequence[Entry]) -> None:
        self.reducer.feed(batch)
        self._dirty.set()
        if any(isinstance(entry.payload, _BOUNDARIES) for entry in batch):
            self._urgent.set()

    def finish(self) -> None:
        self._finished = True
        self._dirty.set()
        self._urgent.set()

    def unsaved_write(self) -> RunWrite | None:
        """Return the whole newest state, if it is not stored."""
        response, offset = self.reducer.response, self.reducer.last_offset
        if response is None or offset is None or offset == self._saved:
            return None
        return RunWrite(response, offset, owner=self._owner)

    async def save_until_done(self) -> None:
        """Save whenever there is something new and it is time, until the last state is stored."""
        failures = 0
        while not (self._finished and self.unsaved_write() is None):
            await self._dirty.wait()
            if not failures:
                await self._time_to_save()
            self._dirty.clear()
            self._urgent.clear()
            try:
                await self._save()
            except StoreCorrupt as error:
                logger.error("saving is given up, the outbox will keep the answer: %s", error)
                return
            except StoreUnavailable as error:
                failures += 1
                self.trouble = error.message
                self._dirty.set()
                logger.warning("saving is pending: %s", error)
                await asyncio.sleep(min(FIRST_PAUSE * 2 ** min(failures, 10), LONGEST_PAUSE))
            else:
                failures, self.trouble = 0, None

    async def _time_to_save(self) -> None:
        try:
            async with asyncio.timeout(self._interval):
                await self._urgent.wait()
        except TimeoutError:
            return

    async def _save(self) -> None:
        if (write := self.unsaved_write()) is None:
            return
        # Kept until the save has succeeded: a save that fails must not forget what had changed.
        # Taken before anything is awaited: what changes from then on is not in this write.
        self._changed |= self.reducer.take_changes()
        if self._new_thread is not None:
            await self._store.create_thread(self._new_thread)
            self._new_thread = None
        await self._store.save_run(replace(write, changed=self._changed))
        self._changed = frozenset()
        self._saved = write.version
