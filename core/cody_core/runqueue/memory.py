"""A run queue in this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from cody_core.errors import TooManyRuns
from cody_core.eventlog import EventLog
from cody_core.runqueue import BEGINNING, Claim
from cody_core.schema.events import Event
from cody_core.schema.requests import RunRequest


class MemoryRunQueue:
    """See ``RunQueue``. Nobody else can take from it, so claims need no keeping."""

    def __init__(self, log: EventLog, *, limit: int) -> None:
        """Build a queue of at most so many runs that are not done."""
        self._log = log
        self._limit = limit
        self._undone = 0
        self._runs: deque[RunRequest] = deque()
        self._arrived = asyncio.Event()

    async def put(self, run: RunRequest, start: Event) -> None:
        """Announce a run."""
        if self._undone >= self._limit:
            raise TooManyRuns.of(self._limit)
        self._undone += 1
        try:
            await self._log.append(run.run_id, [start], once=BEGINNING)
        except BaseException:
            self._undone -= 1
            raise
        self._runs.append(run)
        self._arrived.set()

    async def take(self) -> Claim:
        """Wait for a run."""
        while not self._runs:
            self._arrived.clear()
            await self._arrived.wait()
        run = self._runs.popleft()
        return Claim(run, run.run_id)

    async def waiting(self) -> Sequence[RunRequest]:
        """Return what nobody has taken."""
        return tuple(self._runs)

    async def leave(self) -> Sequence[Claim]:
        """Return what waits."""
        left = [Claim(run, run.run_id) for run in self._runs]
        self._runs.clear()
        return left

    async def done(self, claim: Claim) -> None:
        """Make room for another."""
        self._undone -= 1
