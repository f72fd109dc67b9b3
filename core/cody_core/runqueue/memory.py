"""A run queue in this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from cody_core.runqueue import Claim
from cody_core.schema.requests import RunRequest


class MemoryRunQueue:
    """See ``RunQueue``. Nobody else can take from it, so claims need no keeping."""

    def __init__(self) -> None:
        self._runs: deque[RunRequest] = deque()
        self._arrived = asyncio.Event()

    async def put(self, run: RunRequest) -> None:
        """Announce a run."""
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
        """Nothing is to be forgotten."""
