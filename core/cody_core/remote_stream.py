"""Following a run over HTTP: one stream of server-sent events after another, as if it were one.

Each connection asks for what comes after the last offset that was handed on, so that nothing is
lost or repeated where one is cut. The run's terminal event ends it; so does a server that says that
nothing follows. Bytes that have not become a whole event belong to their connection and go with it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from cody_core.errors import (
    CodyError,
    EventLogUnavailable,
    ServerUnavailable,
    StoreUnavailable,
)
from cody_core.reducer import replay
from cody_core.remote_calls import Server
from cody_core.schema.events import START, Entry, offset_key
from cody_core.schema.response import Response
from cody_core.sse import Decoder, ServerSentEvent

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
PATIENCE = 60.0
"""Seconds without a byte from the server after which following gives up."""
SILENCE = 45.0
"""Seconds of silence that make a connection a dead one: three keep-alives that did not come."""
NO_CONTENT = 204
"""The status of a stream that nothing follows in."""


class Backoff:
    """When to connect again. A policy; the clock is the caller's."""

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


class _Run:
    """A run as far as it was handed on."""

    def __init__(self, server: Server, run_id: str, after: str, silence: float) -> None:
        self._server = server
        self._silence = silence
        self._run_id = run_id
        self._after = after
        self._offset = after
        self._key = offset_key(after)
        self.over = False
        """Nothing more will come."""

    async def connection(self) -> AsyncGenerator[Sequence[Entry]]:
        """Yield what one connection brings; of bytes that end no event, nothing."""
        headers = {"accept": "text/event-stream"}
        if self._offset != START:
            headers["last-event-id"] = self._offset
        path = f"/stream/{self._run_id}"
        async with self._server.stream(path, headers=headers, silence=self._silence) as response:
            if response.status_code == NO_CONTENT:
                self.over = True
                yield await self._missed_end()
                return
            decoder = Decoder()
            async for chunk in response.aiter_bytes():
                yield self._taken(decoder.feed(chunk))
                if self.over:
                    return
        # What the store replays of a run that is not over has no more to come, and offsets that
        # nothing can be resumed at.
        self.over = self._key[0] == 0 and self._offset != START

    def _taken(self, events: Sequence[ServerSentEvent]) -> list[Entry]:
        batch: list[Entry] = []
        for event in events:
            try:
                key = offset_key(event.id)
            except ValueError as error:
                raise self._server.unavailable(f"an event without an offset: {error}") from error
            if key > self._key:
                self._key, self._offset = key, event.id
                batch.append(Entry(event.id, data=event.data.encode()))
        self.over = bool(batch) and batch[-1].is_terminal
        return batch

    async def _missed_end(self) -> Sequence[Entry]:
        """Return the end of a run that was cut off, and whose log is gone when we come back.

        A server that died with its log ends the run in the store only.
        """
        if self._offset == self._after:
            return ()
        content = await self._server.ask("GET", f"/runs/{self._run_id}", again=True)
        *_, last = replay(self._server.read(Response, content))
        milliseconds, sequence = self._key
        entry = Entry(f"{milliseconds}-{sequence + 1}", event=last)
        return (entry,) if entry.is_terminal else ()


async def follow(
    server: Server,
    run_id: str,
    *,
    after: str = START,
    patience: float = PATIENCE,
    silence: float = SILENCE,
) -> AsyncGenerator[Sequence[Entry]]:
    """Yield what there is after that offset, then what comes, up to the terminal event.

    Raises:
        RunNotFound: there is no such run.
        ServerUnavailable: nothing came for as long as ``patience`` says, however often it was
        asked for.
        ValueError: ``after`` is not an offset.
    """
    run, backoff = _Run(server, run_id, after, silence), Backoff(patience)
    try:
        while not run.over:
            failure: CodyError = server.unavailable("it closed the stream before the end")
            try:
                async with aclosing(run.connection()) as batches:
                    async for batch in batches:
                        backoff.reset()
                        server.trouble = None
                        if batch:
                            yield batch
            except (ServerUnavailable, EventLogUnavailable, StoreUnavailable) as error:
                failure = error
            if not run.over:
                server.trouble = failure.message
                await _wait(backoff, run_id, failure)
    finally:
        server.trouble = None


async def _wait(backoff: Backoff, run_id: str, failure: CodyError) -> None:
    pause = backoff.pause(asyncio.get_running_loop().time())
    if pause is None:
        raise failure
    logger.warning("run %s: following goes on in %.1f s: %s", run_id, pause, failure)
    await asyncio.sleep(pause)
