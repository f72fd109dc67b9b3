"""Server-sent events, as bytes that were put together once and are written as they are.

A stream pulls: what it writes next it reads when the last is on its way, so a slow client is late
and costs no memory, and one that goes away takes its reader along. FastAPI's own way to stream
parses and encodes each event again for each client, at many times the cost.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from typing import Final, Generic, TypeVar

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from cody_core.errors import CodyError
from cody_core.schema.changes import Changes
from cody_core.schema.events import Entry
from cody_core.schema.news import RunNews
from cody_core.schema.wire import ChangesBody, RunNewsBody
from cody_core.sse import KEEP_ALIVE, encode
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEEP_ALIVE_SECONDS: Final = 15.0
HEADERS_SECONDS: Final = 0.25
"""How long the headers wait for a first event, or for the news that there is no such run."""
LAST_SECONDS: Final = 1.0
"""How long the stream of a run may take to its terminal event when the server ends."""

_TYPE: Final = re.compile(rb'"run_id":"[^"]{36}","type":"([a-z_]{1,64})"')
"""Where a stored event says its type: found without parsing the event."""


def event_frames(batch: Sequence[Entry], *, batch_size: int) -> Iterator[bytes]:
    """Yield the events of a run as frames, so many at once at most."""
    for start in range(0, len(batch), batch_size):
        yield b"".join(
            [entry.frame or _frame(entry) for entry in batch[start : start + batch_size]]
        )


def news_frames(batch: Sequence[RunNews]) -> Iterator[bytes]:
    """Yield word of runs as frames; an empty batch is a sign of life, which comes at once."""
    yield b"".join(map(_news_frame, batch)) or KEEP_ALIVE


def changes_frames(now: Changes) -> Iterator[bytes]:
    """Yield how things stand as a frame. It has no id: there is nothing to resume."""
    body = ChangesBody.model_validate(now)
    yield encode(body.model_dump_json().encode(), event="changes", id="")


def _news_frame(word: RunNews) -> bytes:
    body = RunNewsBody(run_id=word.run_id, thread_id=word.thread_id, status=word.status)
    kind = "run_started" if word.status is None else "run_ended"
    return encode(body.model_dump_json().encode(), event=kind, id=word.offset)


def _frame(entry: Entry) -> bytes:
    data = entry.data
    if found := _TYPE.search(data):
        kind = found[1].decode()
    else:  # written by somebody who orders fields in another way
        kind = entry.payload.type if entry.payload is not None else "message"
    entry.frame = encode(data, event=kind, id=entry.offset)
    return entry.frame


class EventStream(Response, Generic[T]):
    """The response that writes frames until there are no more, or nobody reads them any more.

    Without a single frame it is a 204, which tells a browser not to come back. An error before the
    first frame is told as any other; one after it ends the stream, and whoever resumes is told. The
    end of the server ends it, too; whoever resumes elsewhere has missed nothing.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        batches: AsyncGenerator[T],
        frames: Callable[[T], Iterable[bytes]],
        ending: asyncio.Event,
        *,
        interval: float = KEEP_ALIVE_SECONDS,
        last: float = 0.0,
    ) -> None:
        """Build it.

        Args:
            batches: What there is to tell.
            frames: Makes of a batch what is written.
            ending: Set when all streams are to end.
            interval: Seconds of silence before a keep-alive.
            last: Seconds for which frames may still come after that.
        """
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._batches = batches
        self._frames = frames
        self._ending = ending
        self._interval = interval
        self._grace = last
        self._is_writing = False
        self._has_begun = False
        self._has_ended = False
        self._last = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the stream; see the class."""
        async with task_group() as tasks:
            pump = tasks.create_task(self._pump(send))
            gone = tasks.create_task(_until_gone(receive))
            quiet = tasks.create_task(self._keep_alive(send))
            ending = tasks.create_task(self._until_ending())
            await asyncio.wait((pump, gone, ending), return_when=asyncio.FIRST_COMPLETED)
            for task in (pump, gone, quiet, ending):
                task.cancel()
        if gone.cancelled():
            with suppress(TimeoutError):  # who does not read is not waited for
                async with asyncio.timeout(LAST_SECONDS):
                    await self._write(send, b"", is_last=True)

    async def _until_ending(self) -> None:
        await self._ending.wait()
        await asyncio.sleep(self._grace)

    async def _pump(self, send: Send) -> None:
        async with aclosing(self._batches):
            try:
                async for batch in self._batches:
                    for frames in self._frames(batch):
                        await self._write(send, frames)
            except CodyError as error:
                if not self._has_begun:
                    raise
                logger.warning("a stream was cut short: %s: %s", error.code, error.message)
        if not self._has_begun:
            self.status_code = 204
            del self.headers["content-type"]
        await self._write(send, b"", is_last=True)

    async def _keep_alive(self, send: Send) -> None:
        await asyncio.sleep(HEADERS_SECONDS)
        if not self._has_begun:
            await self._write(send, b"")
        loop = asyncio.get_running_loop()
        while not self._has_ended:
            # While something is being written, whoever is slow to read it is not bored.
            if self._is_writing:
                await asyncio.sleep(self._interval)
            elif (rest := self._last + self._interval - loop.time()) > 0:
                await asyncio.sleep(rest)
            else:
                await self._write(send, KEEP_ALIVE)

    async def _write(self, send: Send, data: bytes, *, is_last: bool = False) -> None:
        """Write a piece, the headers before the first, nothing after the last."""
        if self._has_ended:
            return
        self._has_ended = is_last
        self._is_writing = True
        try:
            if not self._has_begun:
                self._has_begun = True
                start = {"type": "http.response.start", "status": self.status_code}
                await send({**start, "headers": self.raw_headers})
            if data or is_last:
                await send({"type": "http.response.body", "body": data, "more_body": not is_last})
        finally:
            self._is_writing = False
        self._last = asyncio.get_running_loop().time()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
