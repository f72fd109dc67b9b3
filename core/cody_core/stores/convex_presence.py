"""Presence: signs of life, by which other machines know that somebody works on a run.

A process that holds a lock is known to be alive on its own machine only. So whoever works on runs
tells the deployment now and then, as long as there are any it has not ended; without a sign for a
while (``LEASE_MS`` in ``core/convex/functions/owners.ts``) it counts as gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from cody_core.errors import StoreError
from cody_core.stores.convex_api import ConvexApi
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 25.0
"""Between two signs: three of them fit into the time without one that is forgiven."""


class Presence:
    """One process's signs of life. Get one with ``open``."""

    def __init__(self, api: ConvexApi, owner: str) -> None:
        self._api = api
        self._owner = owner
        self._open: set[str] = set()
        self._begins = asyncio.Event()
        self._last: float | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, api: ConvexApi, owner: str) -> AsyncIterator[Self]:
        """Open it; signs are given while there are runs that have not ended."""
        presence = cls(api, owner)
        async with task_group() as tasks:
            beating = tasks.create_task(presence._beat())
            try:
                yield presence
            finally:
                beating.cancel()

    async def begin(self, run_id: str, owner: str | None) -> None:
        """Give a sign before a run can be seen whose owner nobody has heard of.

        Raises:
            StoreUnavailable: it could not be given.
        """
        if owner != self._owner:
            return
        self._open.add(run_id)
        self._begins.set()
        if self._last is None or asyncio.get_running_loop().time() - self._last > BEAT_SECONDS:
            await self._sign()

    def end(self, run_id: str) -> None:
        """Take note that the end of a run is stored."""
        self._open.discard(run_id)

    async def _beat(self) -> None:
        while True:
            if not self._open:
                self._begins.clear()
                await self._begins.wait()
            await asyncio.sleep(BEAT_SECONDS)
            try:
                if self._open:
                    await self._sign()
            except StoreError as error:
                logger.warning("no sign of life could be given: %s", error)

    async def _sign(self) -> None:
        await self._api.mutation("owners:beat", owner=self._owner)
        self._last = asyncio.get_running_loop().time()
