"""A connection to a Redis server for the few commands that each event needs.

They go out one behind the other, and their answers come back in that order: nobody waits for a
connection, and what is called in one turn of the event loop is one write. The client's own way,
with its pool, its retries and its streams, takes several times as long for a command. It is still
what connects, and knows how: with which password, to which database, by TLS or a socket.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

import hiredis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cody_core import redis_server
from cody_core.errors import EventLogUnavailable
from cody_core.redis_server import RedisServer

Argument: TypeAlias = str | int | bytes

_ERRORS: Final[Mapping[str, type[RedisError]]] = MappingProxyType(
    {
        "NOSCRIPT": NoScriptError,
        "LOADING": BusyLoadingError,
        "READONLY": ReadOnlyError,
        "UNBLOCKED": ReadOnlyError,
        "NOAUTH": AuthenticationError,
        "WRONGPASS": AuthenticationError,
    }
)
"""What the server's errors are raised as, by their first word; others are ``ResponseError``.

Who waits is unblocked when the server becomes a replica.
"""
_READ: Final = memoryview(bytearray(1 << 16))
"""What all connections read into, one after the other: nothing of it is kept."""


class Wire:
    """The way to a server. It connects when something is called, and again when that breaks."""

    def __init__(self, server: RedisServer) -> None:
        """Build it, without a connection."""
        self._server = server
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def call(self, *command: Argument) -> Any:
        """Call a command and return its answer.

        What breaks is tried again, for as long as the server's patience lasts: it may be run twice.

        Raises:
            EventLogUnavailable: see ``RedisServer.call``.
        """
        return await self._server.lasting(lambda: self.once(*command))

    async def once(self, *command: Argument) -> Any:
        """Call a command and return its answer, as ``call`` does without trying again.

        Raises:
            RedisError: one of its subclasses.
            EventLogUnavailable: it is closed.
        """
        if self._closed:
            raise _closed()
        link = self._link
        if link is None or link.is_lost:
            link = await self._connect()
        try:
            return await link.ask(command)
        except ReadOnlyError as error:  # a replica by now: the address may lead elsewhere
            link.lose(error)
            raise

    def close(self) -> None:
        """Close the connection; who waits for an answer is told that there will be none."""
        self._closed = True
        if self._link is not None:
            self._link.lose(_closed())

    async def _connect(self) -> _Link:
        async with self._connecting:
            if self._link is None or self._link.is_lost:
                async with asyncio.timeout(redis_server.SILENCE_SECONDS):
                    pool = self._server.client.connection_pool
                    connection = pool.make_connection()  # type: ignore[no-untyped-call] # of theirs
                    await connection.connect()
                writer: asyncio.StreamWriter = connection._writer
                connection._reader = connection._writer = None  # it is ours now
                self._link = _Link(writer)
            if self._closed:
                self._link.lose(_closed())
            return self._link


class _Link(asyncio.BufferedProtocol):
    """One connection, from when it is made to when either side closes it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._transport = cast("asyncio.Transport", writer.transport)
        self._transport.set_protocol(self)
        self._parser = hiredis.Reader(protocolError=RedisConnectionError, replyError=_error)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._out: list[bytes] = []
        self._heard = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._error: Exception | None = None

    @property
    def is_lost(self) -> bool:
        return self._error is not None

    def ask(self, command: tuple[Argument, ...]) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self._error is not None:
            answer.set_exception(self._error)
            return answer
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(command))  # type: ignore[arg-type] # it takes any
        if not self._waiting:
            self._heard = self._loop.time()
        self._waiting.append(answer)
        if self._watch is None:
            self._watch = self._loop.call_later(redis_server.SILENCE_SECONDS, self._look)
        return answer

    def lose(self, error: Exception) -> None:
        """Close it, and tell who waits why."""
        if self._error is not None:
            return
        self._error = error
        if self._watch is not None:
            self._watch.cancel()
        self._transport.abort()
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(error)
        self._waiting.clear()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._error is None:
            self._transport.write(b"".join(out))

    def _look(self) -> None:
        """Look whether the server owes an answer for too long."""
        self._watch = None
        if not self._waiting:
            return
        if (left := self._heard + redis_server.SILENCE_SECONDS - self._loop.time()) > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self.lose(RedisTimeoutError("the server does not answer"))

    # What the event loop tells

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what comes."""
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        """Hand out the answers that are complete."""
        self._heard = self._loop.time()
        try:
            self._parser.feed(bytes(_READ[:nbytes]))
            while (answer := self._parser.gets()) is not False:
                if not isinstance(answer, hiredis.PushNotification):
                    self._tell(answer)
        except RedisError as error:
            self.lose(error)

    def _tell(self, answer: object) -> None:
        if not self._waiting:
            raise RedisConnectionError("an answer to no question")
        waiting = self._waiting.popleft()
        if waiting.done():
            return  # who asked waits no more
        if isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def eof_received(self) -> bool:
        """Take notice that the server has closed it."""
        self.lose(RedisConnectionError("the server closed the connection"))
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Take notice of a connection that is gone."""
        self.lose(RedisConnectionError(str(error) or "the connection was closed"))


class Script:
    """A script that is run on the server, which is given it when it turns out not to have it."""

    def __init__(self, server: RedisServer, wire: Wire, text: str) -> None:
        """Build it."""
        self._server = server
        self._wire = wire
        self._text = text
        # The server's own name for it: https://redis.io/docs/latest/commands/evalsha
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run it and return what it does; it may be run twice if the connection breaks.

        Raises:
            EventLogUnavailable: see ``RedisServer.call``.
        """
        return await self._server.lasting(lambda: self._run(keys, args))

    async def _run(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        command = ("EVALSHA", self._sha, len(keys), *keys, *args)
        try:
            return await self._wire.once(*command)
        except NoScriptError:
            await self._wire.once("SCRIPT", "LOAD", self._text)
            return await self._wire.once(*command)


def _error(message: str) -> RedisError:
    kind = _ERRORS.get(message.partition(" ")[0], ResponseError)
    return kind(message)


def _closed() -> EventLogUnavailable:
    return EventLogUnavailable("the event log is closed")
