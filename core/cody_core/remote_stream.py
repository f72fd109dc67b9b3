"""Following over HTTP: one stream of server-sent events after another, as if it were one.

Each connection asks for what comes after the last offset that was handed on, so that nothing is
lost or repeated where one is cut. The run's terminal event ends it; so does a server that says that
nothing follows. Bytes that have not become a whole event belong to their connection and go with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from cody_core.errors import (
    CodyError,
    EventLogUnavailable,
    ServerUnavailable,
    StoreUnavailable,
)
from cody_core.remote_calls import Server
from cody_core.schema.changes import Changes
from cody_core.schema.events import START, Entry, offset_key
from cody_core.schema.news import RunNews
from cody_core.schema.wire import ChangesBody, RunNewsBody, shape_of
from cody_core.sse import Decoder, ServerSentEvent

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
PATIENCE = 60.0
"""Seconds without a byte from the server after which following gives up."""
SILENCE = 45.0
"""Seconds of silence that make a connection a dead one: three keep-alives that did not come."""
NO_CONTENT = 204
"""The status of a stream that nothing follows in."""


class Backoff:
    """When to connect again, for ``patience`` seconds. A policy; the clock is the caller's."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._failures = 0
        self._since: float | None = None

    def reset(self) -> None:
        """Forget all failures: something came."""
        self._failures, self._since = 0, None

    def pause(self, now: float) -> float | None:
        """Return the seconds to wait after another failure, or ``None`` to give up.

        Pauses double and are spread by half, so that clients do not come back together.
        """
        if self._since is None:
            self._since = now
        left = self._since + self._patience - now
        if left <= 0:
            return None
        longest = min(FIRST_PAUSE * 2.0 ** min(self._failures, 10), LONGEST_PAUSE)
        self._failures += 1
        return min(longest * random.uniform(0.5, 1.0), left)


class _Feed(ABC, Generic[T]):
    """A stream of the server, as far as it was handed on."""

    def __init__(self, server: Server, path: str, after: str | None, silence: float) -> None:
        self.over = False
        """Nothing more will come."""
        self._server = server
        self._path = path
        self._silence = silence
        self._offset = after
        self._key = (-1, -1) if after is None else offset_key(after)

    async def connection(self) -> AsyncGenerator[Sequence[T]]:
        """Yield what one connection brings; of bytes that end no event, nothing."""
        headers = {"accept": "text/event-stream"}
        if self._offset is not None:
            headers["last-event-id"] = self._offset
        known = self._key
        async with self._server.stream(
            self._path, headers=headers, silence=self._silence
        ) as response:
            self.over = response.status_code == NO_CONTENT
            decoder = Decoder()
            async for chunk in response.aiter_bytes():
                yield [
                    self._take(event) for event in decoder.feed(chunk) if self._is_new(event, known)
                ]
                if self.over:
                    return
        self._ended()

    def _is_new(self, event: ServerSentEvent, known: tuple[int, int]) -> bool:
        """Tell whether an event was not handed on by an earlier connection."""
        try:
            key = offset_key(event.id)
        except ValueError as error:
            raise self._server.unavailable(f"an event without an offset: {error}") from error
        return key > known

    def _take(self, event: ServerSentEvent) -> T:
        self._key, self._offset = offset_key(event.id), event.id
        return self._made(event)

    @abstractmethod
    def _made(self, event: ServerSentEvent) -> T:
        """Return what an event says."""

    @abstractmethod
    def _ended(self) -> None:
        """Take notice of the end of a connection, before that of the stream."""


class _Run(_Feed[Entry]):
    """The events of a run."""

    def _made(self, event: ServerSentEvent) -> Entry:
        entry = Entry(event.id, data=event.data.encode())
        self.over = self.over or entry.is_terminal
        return entry

    def _ended(self) -> None:
        # What the store replays of a run that is not over has no more to come, and offsets that
        # nothing can be resumed at.
        self.over = self.over or (self._key[0] == 0 and self._key != offset_key(START))


class _News(_Feed[RunNews]):
    """Word of the runs of a thread."""

    def _made(self, event: ServerSentEvent) -> RunNews:
        word = self._server.read(RunNewsBody, event.data.encode())
        return RunNews(event.id, word.run_id, word.thread_id, word.status)

    def _ended(self) -> None:
        pass  # there is always more


async def follow(
    server: Server,
    run_id: str,
    *,
    after: str = START,
    patience: float = PATIENCE,
    silence: float = SILENCE,
) -> AsyncGenerator[Sequence[Entry]]:
    """Yield what there is after that offset, then what comes, up to the terminal event.

    Args:
        server: Where the run is.
        run_id: The run.
        after: The offset of the last event that is known.
        patience: Seconds for which nothing may come, however often it is asked for.
        silence: Seconds without a byte after which a connection is taken for dead.

    Raises:
        RunNotFound: there is no such run.
        ServerUnavailable: nothing came for as long as ``patience`` says.
        ValueError: ``after`` is not an offset.
    """
    known = None if after == START else after
    feed = _Run(server, f"/stream/{run_id}", known, silence)
    async with aclosing(_batches(feed, server, patience)) as batches:
        async for batch in batches:
            if batch:
                yield batch


async def watch(
    server: Server,
    thread_id: str,
    *,
    after: str | None = None,
    patience: float = PATIENCE,
    silence: float = SILENCE,
) -> AsyncGenerator[Sequence[RunNews]]:
    """Yield word of the runs of a thread; the first batch may be empty.

    ``patience`` and ``silence`` are in seconds, as for ``follow``.

    Raises:
        ThreadNotFound: there is no such thread.
        ServerUnavailable: as ``follow`` does.
        ValueError: ``after`` is not an offset.
    """
    feed = _News(server, f"/threads/{thread_id}/events", after, silence)
    is_first = True
    async with aclosing(_batches(feed, server, patience)) as batches:
        async for batch in batches:
            if batch or is_first:
                yield batch
            is_first = False


async def changes(
    server: Server, *, threads: bool, silence: float = SILENCE
) -> AsyncGenerator[Changes]:
    """Yield how things stand beside the runs; it never gives up, and says nothing twice.

    ``silence`` is in seconds, as for ``follow``.
    """
    path = "/changes?threads=true" if threads else "/changes"
    backoff, last = Backoff(math.inf), None
    while True:
        failure: CodyError = server.unavailable("it closed the stream")
        try:
            async with server.stream(
                path, headers={"accept": "text/event-stream"}, silence=silence
            ) as response:
                decoder = Decoder()
                async for chunk in response.aiter_bytes():
                    backoff.reset()
                    for event in decoder.feed(chunk):
                        now = shape_of(Changes, server.read(ChangesBody, event.data.encode()))
                        if now != last:
                            last = now
                            yield now
        except (ServerUnavailable, EventLogUnavailable, StoreUnavailable) as error:
            failure = error
        await _wait(backoff, failure)


async def _batches(feed: _Feed[T], server: Server, patience: float) -> AsyncGenerator[Sequence[T]]:
    """Yield what comes, over one connection after the other; a batch may be empty."""
    backoff = Backoff(patience)
    try:
        while not feed.over:
            failure: CodyError = server.unavailable("it closed the stream before the end")
            try:
                async with aclosing(feed.connection()) as batches:
                    async for batch in batches:
                        backoff.reset()
                        server.trouble = None
                        yield batch
            except (ServerUnavailable, EventLogUnavailable, StoreUnavailable) as error:
                failure = error
            if not feed.over:
                server.trouble = failure.message
                await _wait(backoff, failure)
    finally:
        server.trouble = None


async def _wait(backoff: Backoff, failure: CodyError) -> None:
    pause = backoff.pause(asyncio.get_running_loop().time())
    if pause is None:
        raise failure
    logger.warning("a stream goes on in %.1f s: %s", pause, failure)
    await asyncio.sleep(pause)
