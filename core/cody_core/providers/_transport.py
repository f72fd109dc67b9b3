"""The connections below the SDKs, made and read with less.

The SDKs bring an HTTP client in layers, each of which handles each chunk of an answer: more than
half of what a token cost. Here a connection parses what comes, and whoever reads the answer is
handed it. Measured per event, at 1,000 a second: 314 microseconds with the client as it comes, 194
with another backend below its layers, 116 with aiohttp, which the SDKs can use instead at the cost
of 9 MB of memory, and 89 with this. That is why there is one more HTTP client.

Connections are kept for a while: to agree on encryption anew takes a tenth of a second.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

import httpcore2
import httpx2

from cody_core.providers._connection import Connection

NEXT_SECONDS = 0.25
"""How long the first address of a server may take before the next is tried, too."""
IDLE_SECONDS = 30.0
"""How long a connection that nothing is asked on is kept."""

_Origin: TypeAlias = tuple[str, str, int]


def quicken(client: httpx2.AsyncClient) -> None:
    """Let a client of an SDK connect that way; where it goes through a proxy, it goes as before."""
    pool = getattr(client._transport, "_pool", None)
    if type(pool) is httpcore2.AsyncConnectionPool and pool._ssl_context is not None:
        client._transport = Transport(pool._ssl_context)


class Transport(httpx2.AsyncBaseTransport):
    """Connections to servers, used again while they last."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        self._idle: defaultdict[_Origin, list[Connection]] = defaultdict(list)
        self._all: set[Connection] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return the answer, whose body is still to come.

        Raises:
            TransportError: one of its subclasses, as of the client's own.
        """
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        origin = _origin(request.url)
        if (kept := self._kept(origin)) is not None:
            try:
                return await self._ask(origin, kept, request, timeouts)
            except httpx2.TransportError as error:
                # The server closed it just then, as it may: whoever asks on a kept connection has
                # to reckon with that.
                if isinstance(error, httpx2.TimeoutException) or not kept.is_unheard:
                    raise
                if not isinstance(request.stream, httpx2.ByteStream):
                    raise  # what was sent cannot be sent again
        made = await self._connect(origin, timeouts.get("connect"))
        return await self._ask(origin, made, request, timeouts)

    async def aclose(self) -> None:
        """Close all connections."""
        for connection in tuple(self._all):
            connection.close()

    def give_back(self, origin: _Origin, connection: Connection) -> None:
        """Take a connection back whose answer nobody reads any more."""
        if connection.finish():
            self._idle[origin].append(connection)

    async def _ask(
        self,
        origin: _Origin,
        connection: Connection,
        request: httpx2.Request,
        timeouts: Mapping[str, float | None],
    ) -> httpx2.Response:
        try:
            await connection.ask(request, timeouts)
        except BaseException:
            connection.close()
            raise
        return connection.answer(_Body(self, origin, connection, timeouts.get("read")))

    def _kept(self, origin: _Origin) -> Connection | None:
        """Return the connection that was used last, if there is one to be used again."""
        since = asyncio.get_running_loop().time() - IDLE_SECONDS
        idle = self._idle[origin]
        while idle and (not idle[0].is_open or idle[0].idle_since < since):
            idle.pop(0).close()
        while idle:
            if (connection := idle.pop()).is_open and connection.is_quiet:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: _Origin, seconds: float | None) -> Connection:
        scheme, host, port = origin
        options: dict[str, Any] = {}
        if scheme == "https":
            options = {"ssl": self._ssl_context, "server_hostname": host}
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.BaseEventLoop):  # others do not know how
            options["happy_eyeballs_delay"] = NEXT_SECONDS
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._all.discard), host, port, **options
                )
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"{host}:{port} does not answer") from error
        except OSError as error:  # of TLS, too
            raise httpx2.ConnectError(str(error)) from error
        self._all.add(connection)
        return connection


class _Body(httpx2.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(
        self, transport: Transport, origin: _Origin, connection: Connection, seconds: float | None
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection: Connection | None = connection
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield parts; whoever stops before the last closes the connection."""
        while self._connection is not None and (data := await self._connection.more(self._seconds)):
            yield data

    async def aclose(self) -> None:
        """Let go of the connection."""
        if (connection := self._connection) is not None:
            self._connection = None
            self._transport.give_back(self._origin, connection)


def _origin(url: httpx2.URL) -> _Origin:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
