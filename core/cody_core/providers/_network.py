"""The sockets below the SDKs' HTTP client, read with less.

What the client comes with stops and starts the reading of a socket for each chunk, and opens a
scope to time it: a tenth of a millisecond for each token of an answer. Here what comes is kept
until it is asked for, and one timer watches over a stream.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import httpcore2
import httpx2

T = TypeVar("T")

LIMIT = 1 << 18
"""Bytes that may wait to be asked for before the other side is kept waiting."""


def quicken(client: httpx2.AsyncClient) -> None:
    """Let a client read its sockets that way; one that goes through a proxy is left as it is."""
    pool = getattr(client._transport, "_pool", None)
    if isinstance(pool, httpcore2.AsyncConnectionPool):
        pool._network_backend = Backend()


class Backend(httpcore2.AsyncNetworkBackend):
    """Connects."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base's name
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to an address within so many seconds.

        Raises:
            ConnectTimeout: it takes longer.
            ConnectError: it cannot be done.
        """
        loop, place = asyncio.get_running_loop(), (local_address, 0) if local_address else None
        with _raising(httpcore2.ConnectTimeout, httpcore2.ConnectError):
            async with asyncio.timeout(timeout):
                _, stream = await loop.create_connection(Stream, host, port, local_addr=place)
        for option in socket_options or ():
            stream.get_extra_info("socket").setsockopt(*option)
        return stream

    async def sleep(self, seconds: float) -> None:
        """Wait, between two attempts to connect."""
        await asyncio.sleep(seconds)


class Stream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """A connection; one task reads from it, and one writes to it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._size = 0
        self._over = False
        self._error: Exception | None = None
        self._came: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base's name
    ) -> bytes:
        """Return what has come, or what comes within so many seconds; nothing at the end.

        Raises:
            ReadTimeout: nothing came.
            ReadError: the connection is broken.
        """
        if not self._waiting and not self._over:
            await self._until_more(timeout)
        if self._waiting:
            return self._taken(max_bytes)
        if self._error is not None:
            raise httpcore2.ReadError(str(self._error)) from self._error
        return b""

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - the base's name
    ) -> None:
        """Send something; wait for at most so many seconds for room.

        Raises:
            WriteTimeout: the other side takes nothing.
            WriteError: the connection is broken.
        """
        if not buffer:
            return
        if self._transport is None or self._transport.is_closing():
            raise httpcore2.WriteError("the connection is closed")
        self._transport.write(buffer)
        if self._room is not None:
            with _raising(httpcore2.WriteTimeout, httpcore2.WriteError):
                async with asyncio.timeout(timeout):
                    await asyncio.shield(self._room)

    async def aclose(self) -> None:
        """Close the connection, whatever is under way."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the base's name
    ) -> httpcore2.AsyncNetworkStream:
        """Return the connection with encryption, agreed upon within so many seconds.

        Raises:
            ConnectTimeout: it takes longer.
            ConnectError: the other side cannot be trusted, or does not speak TLS.
        """
        assert self._transport is not None
        secure = Stream()
        try:
            with _raising(httpcore2.ConnectTimeout, httpcore2.ConnectError):
                async with asyncio.timeout(timeout):
                    transport = await self._loop.start_tls(
                        self._transport, secure, ssl_context, server_hostname=server_hostname
                    )
        except BaseException:
            await self.aclose()
            raise
        assert transport is not None
        secure.connection_made(transport)
        return secure

    def get_extra_info(self, info: str) -> Any:
        """Tell what the client may want to know of a connection."""
        if info == "is_readable":  # of an idle one: it was closed, or sends what nobody asked for
            return bool(self._waiting) or self._over
        names = {"client_addr": "sockname", "server_addr": "peername"}
        if self._transport is None:
            return None
        return self._transport.get_extra_info(names.get(info, info))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)  # of other loops it is no subclass

    def data_received(self, data: bytes) -> None:
        """Keep what comes."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size > LIMIT and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Take notice of the end; what is still to be sent can be."""
        self._over = True
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Take notice of a connection that is gone."""
        self._over, self._error = True, error
        self._wake()
        if self._room is not None:
            self._room.set_exception(error or ConnectionResetError("the connection was closed"))
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

    def _taken(self, max_bytes: int) -> bytes:
        data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        data, rest = data[:max_bytes], data[max_bytes:]
        self._waiting = [rest] if rest else []
        if self._size > LIMIT >= len(rest) and self._transport is not None:
            self._transport.resume_reading()
        self._size = len(rest)
        return data

    async def _until_more(self, seconds: float | None) -> None:
        came = self._came = self._loop.create_future()
        if seconds is not None:
            self._due = self._loop.time() + seconds
            if self._timer is not None and self._timer.when() > self._due:
                self._timer.cancel()
                self._timer = None
            if self._timer is None:
                self._timer = self._loop.call_later(seconds, self._look)
        try:
            await came
        finally:
            self._came = None

    def _look(self) -> None:
        """Look whether it is time to give up; it seldom is, and then the next look is due later."""
        self._timer = None
        if self._came is None:
            return  # nobody waits
        if (left := self._due - self._loop.time()) > 0:
            self._timer = self._loop.call_later(left, self._look)
        elif not self._came.done():
            self._came.set_exception(httpcore2.ReadTimeout("nothing came in time"))

    def _wake(self) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(None)


@contextmanager
def _raising(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """Raise the client's errors for those of sockets."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:  # of TLS, too
        raise broken(str(error)) from error
