"""A client of ``cody serve`` that costs little: what it adds to a time counts against the server.

A general client spends a millisecond on a request. This one writes bytes that were put together
before, notes when something comes, and looks for what is measured in it when all is over: whoever
listens a hundred times would otherwise be late by itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

_DELTA: Final = re.compile(rb'"delta_content":"(\d{8,}) ')
_EVENT: Final = re.compile(rb"^event: (\w+)", re.MULTILINE)
END: Final = re.compile(rb"^event: response_(done|error)\n.*\n\n", re.MULTILINE)
LONGEST_END: Final = 2000
"""Bytes of it: so much of what came before is looked at again."""
CALL: Final = b'"type":"function_call",'
OUTPUT: Final = b'"type":"function_call_output",'
PATIENCE: Final = 60.0
_READ: Final = memoryview(bytearray(1 << 16))
"""What all listeners read into, one after the other."""


class Api:
    """One connection that requests go over, one after the other."""

    def __init__(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.port = port
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Api]:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        try:
            yield cls(port, reader, writer)
        finally:
            writer.close()

    async def submit(self, model: str) -> str:
        """Submit a prompt to a model of the source, and return the id of its run."""
        body = {"prompt": "go on", "model": model, "providerId": "openai"}
        run_id: str = (await self._ask("POST", "/api/v2/submit", body))["runId"]
        return run_id

    async def status(self, run_id: str) -> str:
        """Return the status of a run."""
        status: str = (await self._ask("GET", f"/api/v2/runs/{run_id}"))["status"]
        return status

    async def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", answer)
        assert length is not None, answer
        found: dict[str, Any] = json.loads(await self._reader.readexactly(int(length[1])))
        assert " 20" in answer.partition("\r\n")[0], found
        return found


class Listener(asyncio.BufferedProtocol):
    """Reads the stream of a run. Its times are of ``perf_counter``, in ms, and known at its end."""

    def __init__(self) -> None:
        self.late: list[float] = []
        """How late each delta was, from when the source had sent it and it was asked for."""
        self.sent: list[float] = []
        """When each was sent."""
        self.first = 0.0
        """When the first delta came."""
        self.called = 0.0
        """When the first call of a tool was complete."""
        self.answered = 0.0
        """When its output was."""
        self.events = 0
        self._over = asyncio.get_running_loop().create_future()
        self._came: list[tuple[int, bytes]] = []
        self._rest = b""
        self._asked = time.perf_counter_ns()

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int, run_id: str) -> AsyncIterator[Listener]:
        """Listen from the beginning of a run on."""
        loop = asyncio.get_running_loop()
        transport, listener = await loop.create_connection(cls, "127.0.0.1", port)
        path = f"/api/v2/stream/{run_id}"
        listener._asked = time.perf_counter_ns()
        transport.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        try:
            yield listener
        finally:
            transport.close()

    async def end(self) -> float:
        """Wait for the end of the run, and return when it came."""
        async with asyncio.timeout(PATIENCE):
            when: float = await self._over
        self._look()
        return when

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what comes; asyncio's own way takes three times as long."""
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        """Note what comes, and when; at its end, say so."""
        now, data = time.perf_counter_ns(), bytes(_READ[:nbytes])
        self._came.append((now, data))
        newest = self._rest + data
        self._rest = newest[-LONGEST_END:]
        if b"response_" in newest and (end := END.search(newest)) and not self._over.done():
            assert end[1] == b"done", newest
            self._over.set_result(now / 1e6)

    def _look(self) -> None:
        """Look for what is measured in the events, at each moment in those that were whole."""
        came, self._came = self._came, []
        rest = b""
        for now, data in came:
            whole, _, rest = (rest + data).rpartition(b"\n\n")
            self._find(now, whole)

    def _find(self, now: int, whole: bytes) -> None:
        self.events += len(_EVENT.findall(whole))
        stamps = _DELTA.findall(whole)
        if stamps and not self.late:
            self.first = now / 1e6
        self.sent += [int(stamp) / 1e6 for stamp in stamps]
        self.late += [(now - max(int(stamp), self._asked)) / 1e6 for stamp in stamps]
        if not self.called and CALL in whole:
            self.called = now / 1e6
        if not self.answered and OUTPUT in whole:
            self.answered = now / 1e6

    def connection_lost(self, error: Exception | None) -> None:
        """Say so, if the run has not ended: it would be waited for in vain."""
        if not self._over.done():
            self._over.set_exception(ConnectionError(f"a stream was cut: {error}"))


def lateness(listeners: list[Listener], since: float = 0.0) -> list[float]:
    """Return how late all deltas that were sent since then were, for all listeners."""
    return [
        late
        for listener in listeners
        for late, sent in zip(listener.late, listener.sent, strict=True)
        if sent >= since
    ]
