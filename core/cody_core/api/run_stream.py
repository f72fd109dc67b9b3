"""The stream of a run: its events as they are stored, up to the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from starlette.types import Send

from cody_core.api.feed import Batch, Feed
from cody_core.api.frames import event_frames
from cody_core.api.stream import LAST_SECONDS, EventStream
from cody_core.schema.events import Entry, offset_key


class Follow(Protocol):
    """Yields the events of a run that come after an offset, up to its end."""

    def __call__(self, *, after: str) -> AsyncGenerator[Sequence[Entry]]:
        """Return the batches, none of which is empty."""
        ...


class RunStream(EventStream):
    """The stream of a run. It reads the run itself, unless somebody on its feed reads it as well.

    Attributes:
        key: The offset it has come to, as it is ordered.
    """

    def __init__(
        self,
        follow: Follow,
        feed: Feed,
        ending: asyncio.Event,
        *,
        after: str,
        batch_size: int,
        interval: float,
    ) -> None:
        """Build it.

        Args:
            follow: Reads the run.
            feed: Those who listen to it.
            ending: Set when all streams are to end.
            after: The offset to begin after.
            batch_size: How many events are written at once at most.
            interval: Seconds of silence before a keep-alive.
        """
        super().__init__(ending, interval=interval, last=LAST_SECONDS)
        self.key = offset_key(after)
        self._follow = follow
        self._feed = feed
        self._after = after
        self._batch_size = batch_size
        self._told: asyncio.Future[bool] | None = None

    async def _tell(self, send: Send) -> None:
        try:
            while (told := await self._read(send)) is not None:
                if await told:
                    return
        finally:
            self._feed.leave(self)

    async def _read(self, send: Send) -> asyncio.Future[bool] | None:
        """Read and write, until the end or until somebody else reads for us.

        Return what says then whether that came to the end, or we are to read on.
        """
        async with aclosing(self._follow(after=self._after)) as batches:
            async for entries in batches:
                batch = Batch(entries)
                self._feed.tell(self, batch)
                if not self._is_free:
                    self._feed.leave(self)  # the others need not wait with us
                for pieces in event_frames(entries, batch_size=self._batch_size):
                    await self._write(send, pieces)
                self._come_to(entries[-1])
                if self._is_free and not batch.is_end and self._feed.reads_for(self):
                    self._told = asyncio.get_running_loop().create_future()
                    return self._told
        return None

    def _come_to(self, entry: Entry) -> None:
        self._after, self.key = entry.offset, entry.key

    def take(self, batch: Batch) -> bool:
        """Write what somebody else has read; see ``Listener.take``."""
        if batch.first <= self.key:
            if (rest := batch.after(self.key)) is None:
                return True
            batch = rest
        if len(batch.entries) > self._batch_size or not self._write_now(batch.piece):
            return False
        self._come_to(batch.entries[-1])
        if batch.is_end and self._told is not None and not self._told.done():
            self._told.set_result(True)
        return True

    def read_on(self) -> None:
        """Read again; see ``Listener.read_on``."""
        if self._told is not None and not self._told.done():
            self._told.set_result(False)
