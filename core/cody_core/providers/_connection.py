"""One HTTP/1.1 connection to a provider, and one request on it at a time."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import httptools
import httpx2

LIMIT = 1 << 18
"""Bytes of a body that may wait to be asked for before the other side is kept waiting.

As many may come that bring nothing of a body, such as a head, before the other side is given up.
"""
_READ = memoryview(bytearray(1 << 16))
"""What all connections read into, one after the other: nothing of it is kept.

To have asyncio make room for each read, as much as there could be to read, would take three times
as long as the read itself.
"""


class Connection(asyncio.BufferedProtocol):
    """A connection from when it is made to when either side closes it."""

    def __init__(self, gone: Callable[[Connection], None]) -> None:
        """Build it; ``gone`` is told when nothing can be asked on it any more."""
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._room: asyncio.Future[None] | None = None
        self._came: asyncio.Future[None] | None = None
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._error: Exception | None = None
        self._is_asked = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        """Get ready for the next answer."""
        self._parser = httptools.HttpResponseParser(self)
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._has_begun = False
        self._has_head = False
        self._body: list[bytes] = []
        self._size = 0
        self._around = 0
        self._is_under_way = False
        self._is_complete = False
        self._goes_on = False

    @property
    def is_open(self) -> bool:
        """Whether something can be asked on it."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits to be read: of an idle one, that would be its end."""
        assert self._transport is not None
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not poll.poll(0)

    @property
    def is_unheard(self) -> bool:
        """Whether nothing has come of an answer."""
        return not self._has_begun

    # Asking

    async def ask(self, request: httpx2.Request, timeouts: Mapping[str, float | None]) -> None:
        """Send a request, and wait for the head of its answer; ``timeouts`` are in seconds.

        Raises:
            TransportError: it does not get through, or what comes is no answer.
        """
        assert self._transport is not None
        self._is_asked = True
        self._transport.write(_head(request))
        try:
            async for part in _parts(request):
                self._transport.write(part)
                await self._until_room(timeouts.get("write"))
        except httpx2.WriteError:
            if not self._has_head:  # it may have been answered before it was read to its end
                raise
        while not self._has_head:
            self._check()
            await self._until_more(timeouts.get("read"))

    def answer(self, stream: httpx2.AsyncByteStream) -> httpx2.Response:
        """Return the answer, of which the head has come; its body is that stream's to bring."""
        version = self._parser.get_http_version()
        extensions = {"http_version": f"HTTP/{version}".encode(), "reason_phrase": self._reason}
        return httpx2.Response(
            self._parser.get_status_code(),
            headers=self._headers,
            stream=stream,
            extensions=extensions,
        )

    async def more(self, seconds: float | None) -> bytes:
        """Return more of the body, which may be awaited for so long; nothing at its end.

        Raises:
            TransportError: nothing came in time, or the body is cut off.
        """
        while not self._body and not self._is_complete:
            self._check()
            await self._until_more(seconds)
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        if self._size > LIMIT and self._transport is not None:
            self._transport.resume_reading()
        self._size = 0
        return data

    def finish(self) -> bool:
        """End the exchange; return whether another may follow. Otherwise the connection closes."""
        can_go_on = self._is_complete and not self._body and self._goes_on and self.is_open
        self._is_asked = False
        self._stop_timer()  # what follows may be waited for less long
        if can_go_on:
            self._begin()
            self.idle_since = self._loop.time()
        else:
            self.close()
        return can_go_on

    def close(self) -> None:
        """Close the connection, whatever is under way."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """Raise what has become of the connection, if nothing more will come."""
        if self._error is not None:
            raise self._error

    async def _until_room(self, seconds: float | None) -> None:
        if self._room is not None:
            with _late(httpx2.WriteTimeout):
                async with asyncio.timeout(seconds):
                    await asyncio.shield(self._room)

    async def _until_more(self, seconds: float | None) -> None:
        came = self._came = self._loop.create_future()
        if seconds is not None:
            self._due = self._loop.time() + seconds
            if self._timer is None:
                self._timer = self._loop.call_later(seconds, self._look)
        try:
            await came
        finally:
            self._came = None

    def _look(self) -> None:
        """Look whether it is time to give up; it seldom is, and then the next look is due later.

        In one exchange, all that is waited for is waited for equally long.
        """
        self._timer = None
        if self._came is None:
            return  # nobody waits
        if (left := self._due - self._loop.time()) > 0:
            self._timer = self._loop.call_later(left, self._look)
        elif not self._came.done():
            self._came.set_exception(httpx2.ReadTimeout("nothing came in time"))

    def _wake(self) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(None)

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)  # of other loops it is no subclass

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what comes, however many bytes are hinted at."""
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        """Take what comes; what nobody asked for, or is no HTTP, ends the connection."""
        try:
            if not self._is_asked:
                raise httptools.HttpParserError("an answer to no question")
            self._has_begun = True
            self._parse(_READ[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx2.RemoteProtocolError(f"what comes is not HTTP: {error}"))
            self.close()
        self._wake()

    def _parse(self, data: memoryview) -> None:
        self._is_under_way = False
        self._parser.feed_data(data)
        self._around = 0 if self._is_under_way else self._around + len(data)
        if self._around > LIMIT:
            raise httptools.HttpParserError("too much that is not the answer itself")

    def eof_received(self) -> bool:
        """Take notice that nothing more comes; a body of no known length ends that way."""
        is_open_ended = not {b"content-length", b"transfer-encoding"} & {
            name.lower() for name, _ in self._headers
        }
        if self._has_head and is_open_ended:
            self._is_complete = True
        self._fail(httpx2.RemoteProtocolError("the server closed the connection too early"))
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Take notice of a connection that is gone."""
        self._fail(httpx2.ReadError(str(error) or "the connection was closed"))
        self._wake()
        self._gone(self)
        if self._room is not None:
            self._room.set_exception(httpx2.WriteError(str(error) or "the connection was closed"))
            self._room.exception()  # whoever waits is told; maybe nobody does
            self._room = None

    def pause_writing(self) -> None:
        """Keep who writes waiting."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let who writes go on."""
        if self._room is not None:
            self._room.set_result(None)
            self._room = None

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error

    # What the parser tells

    def on_message_begin(self) -> None:
        """Take no second answer for the next question's."""
        if self._is_complete:
            raise httptools.HttpParserError("an answer to no question")

    def on_status(self, reason: bytes) -> None:
        """Take the reason of an answer."""
        self._reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take notice that the head is complete."""
        self._has_head = self._is_under_way = self._parser.get_status_code() >= 200

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        self._is_under_way = True
        self._body.append(data)
        self._size += len(data)
        if self._size > LIMIT and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Take notice of the end; what was only a word in between is forgotten."""
        if self._has_head:
            self._is_complete = True
            self._goes_on = self._parser.should_keep_alive()  # it forgets
        else:
            self._headers.clear()


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    return b"\r\n".join([*lines, b"", b""])


async def _parts(request: httpx2.Request) -> AsyncIterator[bytes]:
    """Yield the body as it is sent."""
    assert isinstance(request.stream, AsyncIterable)
    is_chunked = "transfer-encoding" in request.headers
    async for part in request.stream:
        if part:
            yield b"%x\r\n%b\r\n" % (len(part), part) if is_chunked else part
    if is_chunked:
        yield b"0\r\n\r\n"


@contextmanager
def _late(kind: type[httpx2.TimeoutException]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise kind("it takes too long") from error
