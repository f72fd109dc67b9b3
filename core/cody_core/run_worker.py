"""The run worker: it takes runs from the queue and works on each with engine, tools and persister.

The three read and write the run's log side by side. Stopping the work ends the run in the log, and
leaves the storing of that to end by itself. While the log is away a run stays ours: it is done when
its end is in the log, and not before.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cody_core.engine import Engine, EngineLimits
from cody_core.errors import EventLogError, EventLogUnavailable
from cody_core.eventlog import Beginning
from cody_core.ids import new_id
from cody_core.mirror import Mirror
from cody_core.patience import impatient
from cody_core.resources import Resources
from cody_core.runqueue import Claim
from cody_core.schema.requests import RunRequest
from cody_core.schema.response import ErrorInfo, Response
from cody_core.tasks import task_group
from cody_core.tools.grants import Grants
from cody_core.workers.persist import Persister
from cody_core.workers.recovery import INTERRUPTED, interrupt
from cody_core.workers.tools import ToolWorker

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""How long to wait before queue or log are asked again whose server was away."""
LEAVING_SECONDS = 1.0
"""How long a queue that is away is waited for where we end: others see what of it is over."""
NOT_UNDERSTOOD = ErrorInfo(
    code="not_understood",
    message="the worker that took this run is of an older version than what submitted it: "
    "update that Cody, and ask again",
)


@dataclass(slots=True)
class _Live:
    """A run that is being worked on, or only to be ended."""

    run: RunRequest
    ends: bool = False
    reason: ErrorInfo = INTERRUPTED
    work: asyncio.Task[None] | None = None
    place: asyncio.Semaphore | None = None

    def stop(self) -> None:
        """Let it end. What has not begun yet never does."""
        self.ends = True
        if self.work is not None:
            self.work.cancel()

    def free(self) -> None:
        """Make room for another run. What is over does not stand in its way while it is stored."""
        if self.place is not None:
            self.place.release()
            self.place = None


class RunWorker:
    """Works on so many runs at once; further ones stay in the queue."""

    def __init__(
        self,
        resources: Resources,
        persister: Persister,
        *,
        history: Callable[[RunRequest], Awaitable[Sequence[Response]]],
    ) -> None:
        """Build a worker; ``start`` lets it begin.

        Args:
            resources: The log of all runs, where they come from, and what is done with them.
            persister: Stores what came.
            history: Returns the earlier responses of a run's thread, oldest first.
        """
        settings = resources.settings
        self._log = resources.log
        self._queue = resources.queue
        self._tasks = resources.tasks
        self._persister = persister
        self._engine = Engine(
            resources.log,
            provider=resources.providers.get,
            history=history,
            tools=resources.tools,
            limits=EngineLimits(settings.max_iterations, settings.max_retries),
        )
        self._tool_worker = ToolWorker(
            resources.log,
            resources.tools,
            resources.sandbox,
            workspace=settings.workspace,
            grants=Grants.of(settings),
        )
        self._at_once = settings.max_runs
        self._places = asyncio.Semaphore(settings.max_runs)
        self._live: dict[str, _Live] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._taking: asyncio.Task[None] | None = None
        self._is_leaving = False

    @property
    def live(self) -> Mapping[str, RunRequest]:
        """The runs that are being worked on here, under their ids."""
        return {run_id: live.run for run_id, live in self._live.items()}

    @property
    def is_full(self) -> bool:
        """Whether a run that came now would have to wait."""
        worked_on = sum(live.place is not None for live in self._live.values())
        return self._taking is None or worked_on >= self._at_once

    def start(self) -> None:
        """Begin to take runs."""
        self._taking = self._tasks.create_task(self._take())

    async def stop(self, *, grace: float = 0.0, storing: float) -> None:
        """Take no more runs, and end those there are.

        Args:
            grace: Seconds they may go on for before they are ended.
            storing: Seconds that storing what they came to may take.
        """
        self._is_leaving = True
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait({self._taking})
        for claim in await self._queue.leave():
            self._start(claim, ends=True)
        if self._serving and grace:
            await asyncio.wait(self._serving, timeout=grace)
        for live in self._live.values():
            live.stop()
        self._persister.hurry()
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=storing)
            for task in late:
                task.cancel()

    def store(self, run_id: str) -> None:
        """Store a run that ended while it waited."""
        self._own(self._tasks.create_task(self._store(run_id)))

    async def _take(self) -> None:
        while True:
            await self._places.acquire()
            try:
                claim = await self._queue.take()
            except EventLogUnavailable as error:
                self._places.release()
                logger.warning("no runs are taken for the moment: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
            except BaseException:
                self._places.release()
                raise
            else:
                self._start(claim, places=self._places)

    def _start(
        self, claim: Claim, *, ends: bool = False, places: asyncio.Semaphore | None = None
    ) -> None:
        live = _Live(claim.run, ends, place=places)
        if not claim.is_understood:
            live.ends, live.reason = True, NOT_UNDERSTOOD
        if claim.run.run_id in self._live:  # we lost it while we did not answer, and have it again
            live.free()
            return
        self._live[claim.run.run_id] = live
        self._own(self._tasks.create_task(self._serve(claim, live)))

    def _own(self, task: asyncio.Task[None]) -> None:
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _store(self, run_id: str) -> None:
        try:
            waiting = {run.run_id: run.new_thread for run in await self._queue.waiting()}
            await self._persister.run(run_id, waiting.get(run_id))
        except Exception:
            logger.exception("run %s could not be stored", run_id)

    async def _serve(self, claim: Claim, live: _Live) -> None:
        mirror = Mirror(self._log, claim.run.run_id)
        is_over = False
        try:
            # One that is gone ended while it waited, was stored, and is forgotten.
            if (found := await self._begin(mirror.run_id)) != "gone":
                # What a worker that died had begun is not begun again: calls may have been made.
                live.ends = live.ends or found != "first"
                await self._see_through(live, mirror)
            is_over = True
        except Exception:
            logger.exception("run %s could not be stored", mirror.run_id)
            await self._end(mirror, live.reason)
            is_over = True
        finally:
            live.free()
            del self._live[mirror.run_id]
            if is_over or mirror.reducer.is_terminal:
                patience = LEAVING_SECONDS if self._is_leaving else math.inf
                with suppress(EventLogError), impatient(patience):
                    await self._queue.done(claim)

    async def _begin(self, run_id: str) -> Beginning:
        attempt = new_id()
        while True:
            try:
                return await self._log.begin(run_id, attempt)
            except EventLogUnavailable as error:
                logger.warning("run %s cannot be begun yet: %s", run_id, error)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _see_through(self, live: _Live, mirror: Mirror) -> None:
        """Work on a run and store it until its end is in the log."""
        run = live.run
        async with task_group() as tasks:
            storing = tasks.create_task(self._persister.run(run.run_id, run.new_thread, mirror))
            if not live.ends:
                live.work = tasks.create_task(self._work(run, mirror))
            # The last to begin: all others are told of what it reads from the start.
            tasks.create_task(mirror.follow())
            if live.work is not None:
                await asyncio.wait({live.work})
            live.free()
            await self._end(mirror, live.reason)
        if not storing.result():
            await self._persister.run(run.run_id, run.new_thread, mirror)

    async def _work(self, run: RunRequest, mirror: Mirror) -> None:
        """Run engine and tools side by side: if one fails the other stops, and other runs go on."""
        try:
            async with task_group() as tasks:
                with self._tool_worker.serving(run, mirror, tasks):
                    # Not awaited itself: a cancellation would stop the tools only after the engine
                    # had waited for them.
                    await asyncio.wait({tasks.create_task(self._engine.run(run, mirror))})
        except Exception:
            logger.exception("run %s could not be worked on", run.run_id)

    async def _end(self, mirror: Mirror, reason: ErrorInfo) -> None:
        """End a run that nobody works on any more, unless it has ended, once the log takes that."""
        while not mirror.reducer.is_terminal:
            try:
                await interrupt(self._log, mirror.run_id, mirror, error=reason)
                return
            except EventLogUnavailable as error:
                logger.warning("run %s cannot be ended yet: %s", mirror.run_id, error)
                await asyncio.sleep(PAUSE_SECONDS)
