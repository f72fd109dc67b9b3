"""How much of a request is read before anybody is asked whether it may come in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from cody_core.api.connection import LARGEST_HEAD
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from support.program import TOKEN
from support.server import Served, served

MEGABYTE = b"x" * 1_000_000


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    provider = ScriptedProvider(lambda request: [Say("Hello.")])
    async with served(provider, token=TOKEN, headers=headers) as server:
        yield server


@asynccontextmanager
async def connection(
    server: Served,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 24)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.transport.abort()


def request(line: str, body: bytes = b"", *, padding: int = 0) -> bytes:
    """Return a request with a token, and a header of some size."""
    head = f"{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}X-Padding: {'x' * padding}\r\n\r\n".encode() + body


async def status(reader: asyncio.StreamReader) -> int:
    """Read an answer whose length is said, and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = head.partition("content-length: ")[2].partition("\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split()[1])


async def test_a_head_that_is_too_large_is_refused_and_others_are_not(server: Served) -> None:
    almost, far = LARGEST_HEAD - 1000, 5 * LARGEST_HEAD
    for padding, expected in ((almost, 200), (LARGEST_HEAD, 431), (far, 431)):
        headers = {"x-padding": "x" * padding}
        response = await server.http.get("/api/v2/info", headers=headers)
        assert response.status_code == expected
    assert response.json()["error"]["code"] == "HEAD_TOO_LARGE"
    assert response.headers["connection"] == "close"
    line = f"/api/v2/info?{'x' * LARGEST_HEAD}"
    assert (await server.http.get(line)).status_code == 431
    assert (await server.http.get("/api/v2/info")).status_code == 200


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /api/v2/info HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"\r\n",
    ],
    ids=["a header", "a path", "a chunk's extension", "blank lines"],
)
async def test_what_does_not_end_is_refused_before_it_is_all_there(
    server: Served, beginning: bytes
) -> None:
    rest = MEGABYTE if beginning.strip() else b"\r\n" * len(MEGABYTE)
    async with connection(server) as (reader, writer):
        writer.write(beginning + rest)
        answer = await reader.read()
        assert b"HTTP/1.1 431 " in answer or answer.startswith(b"HTTP/1.1 401 ")


async def test_what_follows_a_body_without_end_is_not_kept(server: Served) -> None:
    head = b"POST /api/v2/submit HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    head += f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\r\n".encode()
    async with connection(server) as (reader, writer):
        writer.write(head + b"2\r\n{}\r\n0\r\nX-Trailer: " + MEGABYTE)
        with suppress(ConnectionResetError):  # there was more to read than it has read
            assert await reader.read() == b""


async def test_each_request_of_a_connection_is_measured_alone_and_without_its_body(
    server: Served,
) -> None:
    prompt = json.dumps({"prompt": "x" * 10 * LARGEST_HEAD}).encode()
    get = request("GET /api/v2/info", padding=LARGEST_HEAD // 2)
    post = request("POST /api/v2/submit", prompt, padding=LARGEST_HEAD // 2)
    requests, expected = (get, post, post, get, get), [200, 202, 202, 200, 200]
    async with connection(server) as (reader, writer):
        for data, answer in zip(requests, expected, strict=True):
            writer.write(data)
            assert await status(reader) == answer
        writer.write(b"".join(requests))
        assert [await status(reader) for _ in expected] == expected
        for byte in get:
            writer.write(bytes([byte]))
        assert await status(reader) == 200


async def test_in_the_midst_of_an_answer_there_is_no_other() -> None:
    async with served(ScriptedProvider([[Hang(after="so far")]])) as server:
        submitted = await server.submit()
        async with connection(server) as (reader, writer):
            writer.write(request(f"GET {submitted['streamUrl']}"))
            await reader.readuntil(b"event: item_delta")
            writer.write(request("GET /health", padding=2 * LARGEST_HEAD))
            assert b"431" not in await reader.read()
        async with httpx.AsyncClient(base_url=server.url) as other:
            assert (await other.get("/health")).status_code == 200
