"""The persistence worker: it follows the log of a run, reduces it, and saves what has come.

It saves when a run begins, when an item is complete, at most every ``interval`` while text streams,
and at the end. With many runs at once the interval is longer: what saves cost in all has a limit.
Reading and saving are two tasks: a slow store makes saves rarer, never the reading slower, and of a
run only its newest state waits. What the store refuses for the moment is tried again; what it still
refuses when the process has to stop goes to the outbox. The end of a run goes there as soon as it
is refused once, so that nothing is lost if the process does not stop in order.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from cody_core.errors import EventLogError, StoreError, StoreUnavailable
from cody_core.eventlog import EventLog
from cody_core.mirror import Mirror, following
from cody_core.schema.events import (
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
AT_EASE = 50
"""Runs at once beyond which each is saved more seldom while text streams."""
UNSTORED_SECONDS = 7 * 24 * 3600.0
"""How long the log keeps a run that the store does not take: until then it is found there."""
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
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """Build a persister.

        Args:
            log: What is read.
            store: Where to save.
            outbox: Where to leave what could not be saved.
            owner: This process, as the store knows it.
            log_ttl: Seconds the log keeps a run after it is terminal and stored.
            interval: The most seconds between two saves while text streams.
            tell: Called when ``pending`` may have changed.
        """
        self._log = log
        self._store = store
        self._outbox = outbox
        self._owner = owner
        self._log_ttl = log_ttl
        self._interval = interval
        self._tell = tell
        self._hurry = asyncio.Event()
        self._runs: dict[str, _Saver] = {}

    def mirror(self, run_id: str) -> Mirror | None:
        """Return what a run is followed with until its end is stored, if it is followed here."""
        saver = self._runs.get(run_id)
        return None if saver is None else saver.mirror

    def unsaved(self, thread_id: str) -> Sequence[Response]:
        """Return the runs of a thread whose newest state is not in the store yet."""
        reducers = (saver.reducer for saver in self._runs.values())
        mine = (reducer.response for reducer in reducers if reducer.thread_id == thread_id)
        return [response for response in mine if response is not None]

    @property
    def pending(self) -> Set[str]:
        """The runs that could not be stored when it was time, and are tried again."""
        return {run_id for run_id, saver in self._runs.items() if saver.failures}

    def hurry(self) -> None:
        """Wait no more for a store that is away: what it does not take now is for the outbox."""
        self._hurry.set()

    def new_thread(self, thread_id: str) -> Thread | None:
        """Return a thread that is still to be stored, along with its first run."""
        new = (saver.new_thread for saver in self._runs.values())
        return next((thread for thread in new if thread and thread.id == thread_id), None)

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

    async def run(
        self, run_id: str, new_thread: Thread | None = None, mirror: Mirror | None = None
    ) -> bool:
        """Save a run until its end is stored. Cancelled, it leaves the newest state to the outbox.

        Args:
            run_id: The run.
            new_thread: Its thread, if that is still to be stored.
            mirror: The run, followed by somebody else; without it, the log is read here.

        Returns:
            Whether it has seen the run's end; without it, the log was away for too long.
        """
        if mirror is None:
            async with following(self._log, run_id) as own:
                return await self._run(own, new_thread)
        return await self._run(mirror, new_thread)

    async def _run(self, mirror: Mirror, new_thread: Thread | None) -> bool:
        run_id = mirror.run_id
        saver = _Saver(
            mirror,
            self._store,
            self._outbox,
            self._owner,
            self._pace,
            new_thread,
            self._created,
            self._tell,
            self._hurry,
        )
        self._runs[run_id] = saver
        has_ended = False
        try:
            async with task_group() as tasks:
                with mirror.told(saver.take):
                    saving = tasks.create_task(saver.save_until_done())
                    await mirror.over.wait()
                has_ended = saver.reducer.is_terminal
                saver.finish()
                await saving
            if saver.reducer.is_terminal:
                is_stored = saver.unsaved_write() is None
                kept = self._log_ttl if is_stored else max(self._log_ttl, UNSTORED_SECONDS)
                await self._log.expire(run_id, seconds=kept)
        except EventLogError as error:
            logger.warning("run %s is over, and stays in the log: %s", run_id, error)
        finally:
            if self._runs.get(run_id) is saver:
                del self._runs[run_id]
            if (left := saver.unsaved_write()) is not None:
                self._leave(left)
            if left is not None or saver.failures:
                self._tell()
        return has_ended

    def _created(self, thread_id: str) -> None:
        """Take notice that a thread is stored: who looks for its runs finds them in the store."""
        for saver in self._runs.values():
            if saver.new_thread is not None and saver.new_thread.id == thread_id:
                saver.new_thread = None

    def _pace(self) -> float:
        """Return the seconds between two saves of a run while its text streams."""
        return self._interval * max(1.0, len(self._runs) / AT_EASE)

    def _leave(self, write: RunWrite) -> None:
        try:
            self._outbox.put(write)
        except OSError as error:
            logger.error("run %s is not stored, and cannot be kept: %s", write.response.id, error)


class _Saver:
    """The newest state of one run, and its way to the store."""

    def __init__(
        self,
        mirror: Mirror,
        store: Store,
        outbox: Outbox,
        owner: str,
        interval: Callable[[], float],
        new_thread: Thread | None,
        created: Callable[[str], None],
        tell: Callable[[], None],
        hurry: asyncio.Event,
    ) -> None:
        self.mirror = mirror
        self.reducer = mirror.reducer
        self.new_thread = new_thread
        self.failures = 0
        self._created = created
        self._store = store
        self._outbox = outbox
        self._owner = owner
        self._interval = interval
        self._tell = tell
        self._hurry = hurry
        self._dirty = asyncio.Event()
        self._urgent = asyncio.Event()
        self._finished = False
        # What was read before, another may have given up to save.
        before = self.reducer.response
        self._changed = frozenset(range(len(before.output_items) if before is not None else 0))
        self._saved: str | None = None
        self._kept: str | None = None

    def take(self, batch: Sequence[Entry]) -> None:
        self._dirty.set()
        for entry in batch:
            if isinstance(entry.payload, _BOUNDARIES):
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
        if response.is_terminal and not self.reducer.is_terminal:
            # An error in the stream is none of the run: it goes on, and must be found open.
            response = response.model_copy(update={"status": "in_progress"})
        return RunWrite(response, offset, owner=self._owner)

    async def save_until_done(self) -> None:
        """Save whenever there is something new and it is time, until the last state is stored."""
        while not (self._finished and self.unsaved_write() is None):
            await self._dirty.wait()
            if not self.failures:
                await self._time_to_save()
            self._dirty.clear()
            self._urgent.clear()
            try:
                await self._save()
            except StoreUnavailable as error:
                self.failures += 1
                self._tell()
                self._dirty.set()
                # Said once: while the store is away that is all there is to say.
                level = logging.WARNING if self.failures == 1 else logging.DEBUG
                logger.log(level, "saving is pending: %s", error)
                await self._keep_end()
                if self._hurry.is_set():
                    return
                await self._pause()
            except StoreError as error:
                logger.error("saving is given up, the outbox will keep the answer: %s", error)
                return
            else:
                self._succeeded()
        if self._kept is not None:
            await asyncio.to_thread(self._outbox.drop, self._kept)
            self._tell()

    def _succeeded(self) -> None:
        if self.failures:
            self.failures = 0
            self._tell()

    async def _pause(self) -> None:
        longest = min(FIRST_PAUSE * 2 ** min(self.failures, 10), LONGEST_PAUSE)
        try:
            async with asyncio.timeout(longest * random.uniform(0.5, 1.0)):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _keep_end(self) -> None:
        """Keep the end of the run in the outbox as well: the process may not live to store it."""
        write = self.unsaved_write()
        if write is None or not write.response.is_terminal or self._kept is not None:
            return
        try:
            await asyncio.to_thread(self._outbox.put, write)
            self._kept = write.response.id
        except OSError as error:
            logger.error("run %s cannot be kept: %s", write.response.id, error)

    async def _time_to_save(self) -> None:
        try:
            async with asyncio.timeout(self._interval()):
                await self._urgent.wait()
        except TimeoutError:
            return

    async def _save(self) -> None:
        if (write := self.unsaved_write()) is None:
            return
        # Kept until the save has succeeded: a save that fails must not forget what had changed.
        # Taken before anything is awaited: what changes from then on is not in this write.
        self._changed |= self.reducer.take_changes()
        if (new := self.new_thread) is not None:
            await self._store.create_thread(new)
            self._created(new.id)
        await self._store.save_run(replace(write, changed=self._changed))
        self._changed = frozenset()
        self._saved = write.version
