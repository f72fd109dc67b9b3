"""Task groups that raise what went wrong, not a group of one; and a signal for many who wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

FEW: Final = 16
"""So many who wait for a signal are woken at once."""
PAUSE_SECONDS: Final = 0.0001
"""For each of more, how long they are left to wait for more to come."""
LONGEST_PAUSE: Final = 0.01


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Open a task group that lets a single failure through as itself.

    Raises:
        BaseExceptionGroup: several of its tasks failed.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


class Signal:
    """Wakes all who wait for it. Who comes later waits for the next time.

    Few are woken at once. Many are woken a little later: what each of them is woken for costs
    about the same for one event as for all that come until then.
    """

    __slots__ = ("_timer", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Wait for the next time."""
        woken = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        try:
            await woken
        except asyncio.CancelledError:
            if woken in self._waiting:
                self._waiting.remove(woken)
            raise

    def send(self) -> None:
        """Wake all who wait."""
        if len(self._waiting) <= FEW:
            self._wake()
        elif self._timer is None:
            pause = min(len(self._waiting) * PAUSE_SECONDS, LONGEST_PAUSE)
            self._timer = asyncio.get_running_loop().call_later(pause, self._wake)

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)
