"""The sockets below the SDKs, against real servers: slow, silent, broken, encrypted."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpcore2
import httpx2
import pytest
import trustme
from cody_core.providers._network import LIMIT, Backend, Stream, quicken

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = b"x" * 100_000


@asynccontextmanager
async def server(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve connections on a free port; what is still being served is left when the block is."""
    serving: set[asyncio.Task[None]] = set()

    async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await serve(reader, writer)
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(closed, "127.0.0.1", 0, ssl=context) as opened:
        yield opened.sockets[0].getsockname()[1]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection with the number it has there."""
    number = 0
    while (await reader.readuntil(b"\r\n\r\n")) and (number := number + 1):
        head = f"HTTP/1.1 200 OK\r\nx-number: {number}\r\ncontent-length: {len(BODY)}\r\n\r\n"
        writer.write(head.encode() + BODY)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def connected(port: int) -> httpcore2.AsyncNetworkStream:
    return await Backend().connect_tcp("127.0.0.1", port, timeout=5)


def client(verify: ssl.SSLContext | bool = True) -> httpx2.AsyncClient:
    made = httpx2.AsyncClient(verify=verify, trust_env=False)
    quicken(made)
    return made


async def test_a_connection_is_used_again() -> None:
    async with server(answer) as port, client() as http:
        answers = [await http.get(f"http://127.0.0.1:{port}/") for _ in range(3)]
    assert [found.headers["x-number"] for found in answers] == ["1", "2", "3"]
    assert {found.content for found in answers} == {BODY}


async def test_a_connection_that_was_closed_while_it_was_idle_is_replaced() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()

    async with server(once) as port, client() as http, asyncio.timeout(10):
        for _ in range(3):
            assert (await http.get(f"http://127.0.0.1:{port}/")).content == b"ok"
            await asyncio.sleep(0.02)


async def test_what_comes_while_nobody_reads_is_kept_and_the_other_side_waits() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for number in range(200):
            writer.write(bytes([number]) * LIMIT)
            await writer.drain()
            sent += LIMIT
        writer.write_eof()
        await asyncio.sleep(60)

    async with server(flood) as port:
        stream = await connected(port)
        before = -1
        async with asyncio.timeout(10):
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
        assert sent < 100 * LIMIT
        received = bytearray()
        while data := await stream.read(1 << 16, timeout=5):
            assert len(data) <= 1 << 16
            received += data
        assert received == b"".join(bytes([number]) * LIMIT for number in range(200))
        await stream.aclose()


async def test_silence_ends_after_its_time_and_what_came_before_counts() -> None:
    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(b"x")
            await asyncio.sleep(0.15)
        await asyncio.sleep(60)

    async with server(twice) as port:
        stream = await connected(port)
        assert [await stream.read(9, timeout=0.2) for _ in range(2)] == [b"x", b"x"]
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(9, timeout=0.2)
        async with asyncio.timeout(5):
            with pytest.raises(httpcore2.ReadTimeout):
                await stream.read(9, timeout=0.01)
        await stream.aclose()


async def test_a_shorter_time_counts_after_a_longer_one() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await asyncio.sleep(60)

    async with server(once) as port, asyncio.timeout(5):
        stream = await connected(port)
        assert await stream.read(9, timeout=600) == b"x"
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(9, timeout=0.01)
        await stream.aclose()


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    async with server(answer) as port:
        stream = await connected(port)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(stream.read(9, timeout=5))
            await asyncio.sleep(0)
            reading.cancel()
        await stream.write(b"GET / HTTP/1.1\r\n\r\n", timeout=5)
        assert await stream.read(4, timeout=5) == b"HTTP"
        await stream.aclose()


async def test_a_connection_that_breaks_says_so() -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = writer.get_extra_info("socket")
        place.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        await reader.read(1)

    async with server(broken) as port:
        stream = await connected(port)
        await stream.write(b"x", timeout=5)
        with pytest.raises(httpcore2.ReadError):
            await stream.read(9, timeout=5)
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"x", timeout=5)
        assert stream.get_extra_info("is_readable")
        await stream.aclose()


async def test_who_writes_more_than_is_taken_waits_and_gives_up() -> None:
    async with server(silent) as port:
        stream = await connected(port)
        with pytest.raises(httpcore2.WriteTimeout):
            await stream.write(b"x" * (64 << 20), timeout=0.1)
        await stream.aclose()


async def test_a_port_that_nobody_listens_on_cannot_be_connected_to() -> None:
    async with server(silent) as port:
        pass
    with pytest.raises(httpcore2.ConnectError):
        await connected(port)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def certified(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def test_encrypted_connections_are_trusted_by_their_certificate(
    authority: trustme.CA,
) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with server(answer, certified(authority)) as port:
        async with client(trusting) as http:
            for number in "12":
                found = await http.get(f"https://localhost:{port}/")
                assert (found.headers["x-number"], found.content) == (number, BODY)
        async with client() as http:
            with pytest.raises(httpx2.ConnectError, match="certificate"):
                await http.get(f"https://localhost:{port}/")


async def test_a_server_that_does_not_speak_tls_is_given_up_in_time() -> None:
    async with server(silent) as port:
        stream = await connected(port)
        assert isinstance(stream, Stream)
        with pytest.raises(httpcore2.ConnectTimeout):
            await stream.start_tls(ssl.create_default_context(), "localhost", timeout=0.1)
