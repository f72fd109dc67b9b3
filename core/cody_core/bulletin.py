"""The bulletin: how things stand that no run tells of. Readers see the newest state, not each.

The store is listened to only while somebody wants to hear of the list of threads: for that, a store
may have to keep a process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from cody_core.errors import CodyError
from cody_core.schema.changes import Changes
from cody_core.stores import Store

logger = logging.getLogger(__name__)


class Bulletin:
    """Says how things stand, to any number of readers."""

    def __init__(
        self, store: Store, tasks: asyncio.TaskGroup, *, unsaved: Callable[[], int]
    ) -> None:
        """Build it.

        Args:
            store: Tells of its list of threads.
            tasks: Owns the listening.
            unsaved: Counts the runs that wait to be stored; ``look`` says when to ask it again.
        """
        self._store = store
        self._tasks = tasks
        self._unsaved = unsaved
        self._now = Changes()
        self._changed = asyncio.Event()
        self._listeners = 0
        self._listening: asyncio.Task[None] | None = None
        self._is_closed = False

    async def read(self, *, threads: bool) -> AsyncGenerator[Changes]:
        """Yield how things stand, now and whenever it has changed, until it is closed."""
        if threads:
            self._listen()
        try:
            last: Changes | None = None
            while not self._is_closed:
                changed = self._changed
                if self._now != last:
                    last = self._now
                    yield last
                else:
                    await changed.wait()
        finally:
            if threads:
                self._forget()

    def look(self) -> None:
        """Take note that other runs than before may wait to be stored."""
        self._say(unsaved=self._unsaved())

    def close(self) -> None:
        """End all reading."""
        self._is_closed = True
        self._notify()

    def _listen(self) -> None:
        self._listeners += 1
        if self._listening is None or self._listening.done():  # it may tell again by now
            self._listening = self._tasks.create_task(self._hear())

    def _forget(self) -> None:
        self._listeners -= 1
        if not self._listeners and self._listening is not None:
            self._listening.cancel()
            self._listening = None
            self._say(is_told=False)

    async def _hear(self) -> None:
        try:
            async with aclosing(self._store.changes()) as changes:
                async for is_told in changes:
                    self._say(threads=self._now.threads + 1, is_told=is_told)
        except CodyError as error:
            logger.warning("changes of the list of threads are not told any more: %s", error)
        self._say(is_told=False)

    def _say(self, **changed: object) -> None:
        now = self._now.model_copy(update=changed)
        if now != self._now:
            self._now = now
            self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
