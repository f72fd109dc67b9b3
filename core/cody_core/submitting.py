"""Submitting: a request becomes a run that is announced, once, and its thread is stored."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from weakref import WeakValueDictionary

from cody_core.errors import (
    AppendedBefore,
    EventLogUnavailable,
    StoreError,
    StoreUnavailable,
    TooManyRuns,
)
from cody_core.ids import new_id
from cody_core.resources import Resources
from cody_core.run_worker import RunWorker
from cody_core.runs import Runs, thread_not_found
from cody_core.schema.requests import RunRequest, SubmitRequest, Submitted
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.submission import decide, new_thread, start_event
from cody_core.workers.persist import Persister
from cody_core.workers.recovery import until_recovered

logger = logging.getLogger(__name__)

CREATE_SECONDS = 2.0
"""How long a run waits for its new thread to be stored before it begins all the same."""


class Submissions:
    """Takes requests. One with the id of a run that was submitted before is not run again."""

    def __init__(
        self,
        resources: Resources,
        persister: Persister,
        runs: Runs,
        worker: RunWorker,
        stopping: asyncio.Event,
    ) -> None:
        """Build it; ``stopping`` is set when nothing is to be waited for any more."""
        self._resources = resources
        self._stopping = stopping
        self._persister = persister
        self._runs = runs
        self._worker = worker
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def submit(self, request: SubmitRequest) -> Submitted:
        """Announce a run and return where it is.

        Raises:
            ThreadNotFound: the request names a thread that does not exist.
            InvalidRequest: it cannot be decided who answers; see ``decide``.
            EventLogUnavailable: the log cannot take the run.
        """
        if (run_id := request.run_id) is None:
            return await self._submit(request, new_id())
        lock = self._locks.setdefault(run_id, asyncio.Lock())
        async with lock:  # of several at the same moment, the others wait for what the first does
            return await self._submitted(run_id) or await self._submit(request, run_id)

    async def _submit(self, request: SubmitRequest, run_id: str) -> Submitted:
        resources, thread = self._resources, await self._thread_of(request)
        run = decide(resources.settings, request, run_id, thread, tools=resources.tools.names)
        try:
            await self._announce(run, request.prompt, is_new=thread is None)
        except AppendedBefore:  # by another process, at the same moment
            if (known := await self._submitted(run_id)) is not None:
                return known
            raise
        return Submitted(run_id=run_id, thread_id=run.thread_id, turn_id=run.turn_id)

    async def _submitted(self, run_id: str) -> Submitted | None:
        """Return where a run is that was submitted before."""
        known: Response | RunRequest | None = self._worker.live.get(run_id)
        if known is None:
            # While the store is away the log has to be enough: it keeps runs that are not stored.
            with suppress(StoreUnavailable):
                known = await self._runs.find(run_id)
        if known is None:
            return None
        return Submitted(run_id=run_id, thread_id=known.thread_id, turn_id=known.turn_id)

    async def _thread_of(self, request: SubmitRequest) -> Thread | None:
        if request.thread_id is None:
            return None
        if (thread := await self._runs.thread(request.thread_id)) is None:
            raise thread_not_found(request.thread_id)
        return thread

    async def _announce(self, run: RunRequest, prompt: str, *, is_new: bool) -> None:
        unstored = self._persister.new_thread(run.thread_id)
        try:
            if is_new:
                unstored = await self._create(run, prompt)
            if unstored is not None:
                run = run.model_copy(update={"new_thread": unstored})
            await self._resources.queue.put(run, start_event(run, queued=self._worker.is_full))
        except BaseException as error:
            if is_new:
                withdrawing = self._withdraw_thread(run)
                if isinstance(error, TooManyRuns | AppendedBefore):  # the log answers
                    await asyncio.wait({withdrawing}, timeout=CREATE_SECONDS)
            raise

    async def _create(self, run: RunRequest, prompt: str) -> Thread | None:
        """Store a new thread. If the store is away, return it: it is stored along with the run."""
        thread = new_thread(run, prompt)
        try:
            async with asyncio.timeout(CREATE_SECONDS):
                await self._resources.store.create_thread(thread)
        except (StoreUnavailable, TimeoutError) as error:
            logger.warning("saving is pending: %s", error or "the store does not answer in time")
            return thread
        return None

    def _withdraw_thread(self, run: RunRequest) -> asyncio.Task[None]:
        """Delete the new thread of a run that could not be announced, whoever waits for that."""
        withdrawing = until_recovered(partial(self._withdraw, run), self._stopping)
        return self._resources.tasks.create_task(withdrawing)

    async def _withdraw(self, run: RunRequest) -> bool:
        """Return whether it is done: not while it cannot be told if the log has the run after all.

        By now it may be somebody else's, or ours and submitted again: then it has another thread.
        """
        try:
            found = await self._runs.find(run.run_id)
            if found is None or found.thread_id != run.thread_id:
                await self._resources.store.delete_thread(run.thread_id)
        except (EventLogUnavailable, StoreUnavailable) as error:
            logger.debug("thread %s is left empty for now: %s", run.thread_id, error)
            return False
        except StoreError as error:
            logger.warning("thread %s is left empty: %s", run.thread_id, error)
        return True
