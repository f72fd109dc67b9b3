"""Server-sent events, as bytes that were put together once and are written as they are.

A stream pulls: what it writes next it reads when the last is on its way, so a slow client is late
and costs no memory, and one that goes away takes its reader along. FastAPI's own way to stream
parses and encodes each event again for each client, at many times the cost.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Final, Generic, TypeVar

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from cody_core.api.outlet import Outlet, outlet_of
from cody_core.errors import CodyError
from cody_core.sse import KEEP_ALIVE
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEEP_ALIVE_SECONDS: Final = 15.0
HEADERS_SECONDS: Final = 0.25
"""How long the headers wait for a first event, or for the news that there is no such run."""
LAST_SECONDS: Final = 1.0
"""How long the stream of a run may take to its terminal event when the server ends."""


class EventStream(Response, ABC):
    """The response that writes frames until there are no more, or nobody reads them any more.

    Without a single frame it is a 204, which tells a browser not to come back. An error before the
    first frame is told as any other; one after it ends the stream, and whoever resumes is told. The
    end of the server ends it, too; whoever resumes elsewhere has missed nothing.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        ending: asyncio.Event,
        *,
        interval: float = KEEP_ALIVE_SECONDS,
        last: float = 0.0,
    ) -> None:
        """Build it.

        Args:
            ending: Set when all streams are to end.
            interval: Seconds of silence before a keep-alive.
            last: Seconds for which frames may still come after that.
        """
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._outlet: Outlet | None = None
        self._ending = ending
        self._interval = interval
        self._grace = last
        self._is_writing = False
        self._has_begun = False
        self._has_ended = False
        self._last = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the stream; see the class."""
        self._outlet = outlet_of(scope)
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
        try:
            await self._tell(send)
        except CodyError as error:
            if not self._has_begun:
                raise
            logger.warning("a stream was cut short: %s: %s", error.code, error.message)
        if not self._has_begun:
            self.status_code = 204
            del self.headers["content-type"]
        await self._write(send, b"", is_last=True)

    @abstractmethod
    async def _tell(self, send: Send) -> None:
        """Write all there is."""

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
        if self._has_ended or (not is_last and self._write_now(data)):
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

    def _write_now(self, data: bytes) -> bool:
        """Write a piece after the first, if nothing has to be waited for; return whether."""
        if self._is_writing or not (data and self._has_begun and self._is_free):
            return False
        assert self._outlet is not None
        self._outlet.write(data)
        self._last = asyncio.get_running_loop().time()
        return True

    @property
    def _is_free(self) -> bool:
        """Whether who is written to keeps up; ``False`` where that cannot be told."""
        return self._outlet is not None and self._outlet.is_free


class BatchStream(EventStream, Generic[T]):
    """The stream of what comes in batches."""

    def __init__(
        self,
        batches: AsyncGenerator[T],
        frames: Callable[[T], Iterable[bytes]],
        ending: asyncio.Event,
    ) -> None:
        """Build it; ``frames`` makes of a batch what is written."""
        super().__init__(ending)
        self._batches = batches
        self._frames = frames

    async def _tell(self, send: Send) -> None:
        async with aclosing(self._batches):
            async for batch in self._batches:
                for frames in self._frames(batch):
                    await self._write(send, frames)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
