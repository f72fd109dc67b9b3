"""A provider's server, for tests: it plays recorded bytes over a real socket, cut where it hurts.

It speaks just enough HTTP/1.1 for an SDK: kept-alive connections and chunked bodies. Every cut of
a body is a chunk of its own and is flushed before the next, so that the client's decoder meets the
seams. A ``check`` looks at each request as the real API would and refuses what that would refuse.
"""

from __future__ import annotations

import asyncio
import json as json_module
import re
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

RECORDINGS = Path(__file__).parent.parent / "recordings"

Cut = Callable[[bytes], list[bytes]]
"""How a body falls into pieces."""


def recording(name: str) -> bytes:
    """Return the bytes of ``tests/recordings/NAME``."""
    return (RECORDINGS / name).read_bytes()


def whole(body: bytes) -> list[bytes]:
    """Do not cut at all."""
    return [body]


def one_byte_at_a_time(body: bytes) -> list[bytes]:
    """Cut between all bytes."""
    return [body[at : at + 1] for at in range(len(body))]


def in_pieces(size: int) -> Cut:
    """Return a cut into pieces of so many bytes."""

    def cut(body: bytes) -> list[bytes]:
        return [body[at : at + size] for at in range(0, len(body), size)]

    cut.__name__ = f"in_pieces_of_{size}"
    return cut


def inside_utf8(body: bytes) -> list[bytes]:
    """Cut inside every character of several bytes."""
    return _cut_at(body, [at for at, byte in enumerate(body) if byte & 0xC0 == 0x80])


def inside_json(body: bytes) -> list[bytes]:
    """Cut every ``data:`` line in the middle."""
    lines = re.finditer(rb"^data:[^\n]*", body, re.MULTILINE)
    return _cut_at(body, [(line.start() + line.end()) // 2 for line in lines])


def crlf(body: bytes) -> list[bytes]:
    """End lines with CRLF and cut between the two."""
    windows = body.replace(b"\n", b"\r\n")
    return _cut_at(windows, [match.start() + 1 for match in re.finditer(b"\r\n", windows)])


def _cut_at(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *places, len(body)]
    return [body[start:end] for start, end in pairwise(edges) if start < end]


ALL_CUTS: tuple[Cut, ...] = (
    whole,
    one_byte_at_a_time,
    in_pieces(7),
    inside_utf8,
    inside_json,
    crlf,
)
"""Every cut a decoder must not notice."""


@dataclass(frozen=True)
class Request:
    """What the client sent; header names are in lower case, ``json`` is ``None`` without a body."""

    method: str
    path: str
    headers: dict[str, str]
    json: Any


@dataclass(frozen=True)
class Answer:
    """What the server sends.

    Attributes:
        cuts: How the body falls into chunks.
        then: What follows the body: its well-formed end, a connection that breaks before it, or
            nothing until the client leaves.
        delay: Seconds before the first byte; a client that leaves meanwhile is noticed.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cuts: Cut = whole
    then: Literal["close", "break", "hang"] = "close"
    delay: float = 0.0

    @classmethod
    def sse(
        cls,
        body: bytes,
        cuts: Cut = whole,
        then: Literal["close", "break", "hang"] = "close",
        delay: float = 0.0,
    ) -> Self:
        """Return a stream of server-sent events."""
        return cls(200, {"content-type": "text/event-stream"}, body, cuts, then, delay)

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Return a JSON document."""
        body = json_module.dumps(value).encode()
        return cls(status, {"content-type": "application/json", **(headers or {})}, body)

    @classmethod
    def error(cls, status: int, json: Any, headers: Mapping[str, str] | None = None) -> Self:
        """Return an error as the API words it."""
        return cls.json(json, status, headers)


class WireServer:
    """A server on a free port of the loopback interface, for the time of an ``async with``.

    A request that nobody queued an answer for gets a 500 and fails the test when the block is left.

    Attributes:
        requests: Everything that was asked, in order.
        refused: What ``check`` answered to requests the real API would not take.
        connections: How many connections clients have opened.
        client_left: Set when a client disconnects before its answer was complete.
    """

    def __init__(self, check: Callable[[Request], Answer | None] | None = None) -> None:
        self.requests: list[Request] = []
        self.refused: list[Answer] = []
        self.connections = 0
        self.client_left = asyncio.Event()
        self._check = check
        self._queue: deque[Answer] = deque()
        self._errors: list[str] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._closing = False
        self._stack = AsyncExitStack()
        self._address = ("", 0)

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end."""
        host, port = self._address
        return f"http://{host}:{port}"

    def answers(self, *answers: Answer) -> None:
        """Queue one answer for each of the next requests."""
        self._queue.extend(answers)

    async def __aenter__(self) -> Self:
        group = await self._stack.enter_async_context(asyncio.TaskGroup())

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._closing:
                writer.transport.abort()
            else:
                group.create_task(self._serve(reader, writer))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self._address = server.sockets[0].getsockname()
        await self._stack.enter_async_context(server)
        # Called before the server is left, which may wait for its connections.
        self._stack.callback(self._hang_up)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        await self._stack.__aexit__(kind, error, traceback)
        if error is None:
            assert not self._errors, self._errors

    def _hang_up(self) -> None:
        for connection in self._open:
            connection.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until either side has enough."""
        self._open.add(writer)
        self.connections += 1
        try:
            while (request := await _read(reader)) is not None:
                if not await self._send(self._answer_to(request), reader, writer):
                    break
        except ConnectionError:
            self._left()
        finally:
            self._open.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _answer_to(self, request: Request) -> Answer:
        self.requests.append(request)
        refusal = self._check(request) if self._check else None
        if refusal is not None:
            self.refused.append(refusal)
            return refusal
        if self._queue:
            return self._queue.popleft()
        message = f"no answer was queued for {request.method} {request.path}"
        self._errors.append(message)
        return Answer.error(500, {"error": {"message": message, "type": "server_error"}})

    async def _send(
        self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send an answer; tell whether the connection may be used again."""
        if answer.delay and await self._leaves(reader, answer.delay):
            return False
        writer.write(_head(answer))
        for piece in answer.cuts(answer.body) if answer.body else ():
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            # The client shares our loop: only when it has had a turn was this a packet of its own.
            await asyncio.sleep(0)
        if answer.then == "close":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        elif answer.then == "hang":
            await writer.drain()
            await self._leaves(reader, None)
        return answer.then == "close"

    async def _leaves(self, reader: asyncio.StreamReader, seconds: float | None) -> bool:
        """Wait for the client to leave, at most that long; tell whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await reader.read()
        except TimeoutError:
            return False
        self._left()
        return True

    def _left(self) -> None:
        if not self._closing:
            self.client_left.set()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; ``None`` when the client closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, json_module.loads(body) if body else None)


def _head(answer: Answer) -> bytes:
    headers = {**answer.headers, "transfer-encoding": "chunked"}
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 529 and other numbers that providers made up
        return "Error"
