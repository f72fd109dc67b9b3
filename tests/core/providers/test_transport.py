"""The connections below the SDKs, against real servers: slow, silent, broken, encrypted."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import trustme
from cody_core.providers import _transport
from cody_core.providers._connection import LIMIT
from cody_core.providers._transport import Transport, quicken

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = b"x" * 100_000
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def server(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve connections on a free port; what is still being served is left when the block is."""
    serving: set[asyncio.Task[None]] = set()

    async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(closed, "127.0.0.1", 0, ssl=context) as opened:
        scheme = "http" if context is None else "https"
        yield f"{scheme}://localhost:{opened.sockets[0].getsockname()[1]}/"
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def client(trusting: ssl.SSLContext | None = None, *, seconds: float = 5.0) -> httpx2.AsyncClient:
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made = httpx2.AsyncClient(verify=trusting or nobody, trust_env=False, timeout=seconds)
    quicken(made)
    assert isinstance(made._transport, Transport)
    return made


async def asked(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection with the number it has there."""
    number = 0
    while (await asked(reader)) and (number := number + 1):
        head = f"HTTP/1.1 200 OK\r\nX-Number: {number}\r\ncontent-length: {len(BODY)}\r\n\r\n"
        writer.write(head.encode() + BODY)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def saying(*parts: bytes, then: Serve | None = None) -> Serve:
    """Return a server that answers a request with these parts, each by itself, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if then is not None:
            await then(reader, writer)

    return serve


async def numbers(http: httpx2.AsyncClient, url: str, count: int) -> list[str]:
    return [(await http.get(url)).headers["x-number"] for _ in range(count)]


async def test_a_connection_is_used_again_and_not_for_two_at_once() -> None:
    async with server(counting) as url, client() as http:
        assert await numbers(http, url, 3) == ["1", "2", "3"]
        async with http.stream("GET", url) as first, http.stream("GET", url) as second:
            found = [first.headers["x-number"], second.headers["x-number"]]
            assert [await first.aread(), await second.aread()] == [BODY, BODY]
        assert found == ["4", "1"]


async def test_a_connection_that_is_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_transport, "IDLE_SECONDS", 0.0)
    async with server(counting) as url, client() as http:
        assert await numbers(http, url, 2) == ["1", "1"]


async def test_a_connection_that_was_closed_while_it_was_idle_is_replaced() -> None:
    async with server(saying(OK)) as url, client() as http, asyncio.timeout(10):
        for _ in range(3):
            assert (await http.get(url)).content == b"ok"
            await asyncio.sleep(0.05)


async def test_a_connection_that_is_closed_just_when_it_is_used_again_is_replaced() -> None:
    asked_of = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked_of
        await asked(reader)
        asked_of += 1
        writer.write(OK)
        await asked(reader)  # the next is not answered any more

    async with server(once) as url, client() as http:
        for _ in range(3):
            assert (await http.post(url, content=b"")).content == b"ok"
    assert asked_of == 3


async def test_a_connection_that_says_what_nobody_asked_for_is_replaced() -> None:
    async with server(saying(OK, OK, then=silent)) as url, client() as http:
        for _ in range(2):
            assert (await http.get(url)).content == b"ok"
            await asyncio.sleep(0.05)


async def test_an_answer_whose_rest_nobody_wants_closes_its_connection() -> None:
    left = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()

    begin = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nsome"
    async with server(saying(begin, then=endless)) as url, client() as http, asyncio.timeout(5):
        async with http.stream("GET", url) as response:
            assert await anext(response.aiter_bytes()) == b"some"
        await left.wait()
        left.clear()
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(http.get(url))
            await asyncio.sleep(0.1)
            asking.cancel()
        await left.wait()


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        (
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"],
            b"abc",
        ),
        ([b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n", OK], b"ok"),
        ([b"HTTP/1.1 200 OK\r\n\r\nuntil ", b"it closes"], b"until it closes"),
        ([b"HTTP/1.0 200 OK\r\n\r\n", b"old"], b"old"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([OK[at : at + 1] for at in range(len(OK))], b"ok"),
    ],
    ids=range(6),
)
async def test_bodies_end_where_they_say_they_do(parts: list[bytes], body: bytes) -> None:
    async with server(saying(*parts)) as url, client() as http:
        response = await http.get(url)
    assert response.content == body
    assert "x" not in response.headers


@pytest.mark.parametrize(
    "parts",
    [
        [b"hello\r\n\r\n"],
        [b""],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nsome"],
    ],
    ids=range(6),
)
async def test_what_is_no_answer_or_not_all_of_one_is_an_error(parts: list[bytes]) -> None:
    async with server(saying(*parts)) as url, client() as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get(url)


async def test_a_connection_that_breaks_says_so() -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = writer.get_extra_info("socket")
        place.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        await asked(reader)

    async with server(broken) as url, client() as http:
        with pytest.raises(httpx2.ReadError):
            await http.get(url)


async def test_silence_ends_after_its_time_and_each_part_of_an_answer_has_all_of_it() -> None:
    parts = [b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", b"x", b"x"]

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            await asyncio.sleep(0.2)
            writer.write(part)
        await asyncio.sleep(60)

    async with server(slowly) as url, client(seconds=0.3) as http, asyncio.timeout(5):
        async with http.stream("GET", url) as response:
            body = response.aiter_bytes()
            assert [await anext(body), await anext(body)] == [b"x", b"x"]
            with pytest.raises(httpx2.ReadTimeout):
                await anext(body)
        with pytest.raises(httpx2.ReadTimeout):
            async with server(silent) as nobody:
                await http.get(nobody)


async def test_a_shorter_time_counts_on_a_connection_after_a_longer_one() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await asked(reader)
            await asyncio.sleep(0.05)  # that the first is waited for
            writer.write(OK)
        await asyncio.sleep(60)

    async with server(once) as url, client() as http, asyncio.timeout(10):
        for seconds in (100.0, 50.0):
            assert (await http.get(url, timeout=seconds)).content == b"ok"
        with pytest.raises(httpx2.ReadTimeout):
            await http.get(url, timeout=0.2)


async def test_a_reading_that_is_cancelled_loses_nothing() -> None:
    go_on = asyncio.Event()

    async def waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await asked(reader):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsome")
            await go_on.wait()
            writer.write(b"more")

    async with server(waiting) as url, client() as http, asyncio.timeout(10):
        for _ in range(2):  # the second on the same connection
            go_on.clear()
            async with http.stream("GET", url) as response:
                assert isinstance(response.stream, httpx2.AsyncByteStream)
                assert await anext(aiter(response.stream)) == b"some"
                for _ in range(3):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.01):
                            await anext(aiter(response.stream))
                go_on.set()
                assert [part async for part in response.stream] == [b"more"]


HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "a header": (HEAD + b"x: ", b"y" * 4096),
    "headers": (HEAD, b"x: y\r\n" * 600),
    "words in between": (b"", b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" * 100),
    "headers behind the body": (
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        b"x: y\r\n" * 600,
    ),
}


@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=list(ENDLESS))
async def test_what_comes_around_a_body_has_its_limit(begin: bytes, more: bytes) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await asked(reader)
        writer.write(begin)
        while True:
            writer.write(more)
            await writer.drain()
            sent += len(more)

    async with server(endless) as url, client() as http, asyncio.timeout(20):
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get(url)
    assert LIMIT // 2 < sent < 100 * LIMIT


async def test_a_head_may_be_long() -> None:
    head = b"HTTP/1.1 200 OK\r\nx: %b\r\ncontent-length: 2\r\n\r\n" % (b"y" * 100_000)
    async with server(saying(head, b"ok")) as url, client() as http:
        response = await http.get(url)
    assert (response.content, len(response.headers["x"])) == (b"ok", 100_000)


async def test_what_comes_behind_an_answer_is_not_in_it_nor_in_the_next() -> None:
    both = OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nleak"
    async with server(saying(both, then=silent)) as url, client() as http, asyncio.timeout(10):
        for _ in range(3):
            assert (await http.get(url)).content == b"ok"


async def test_an_answer_that_nobody_read_is_not_followed_by_another() -> None:
    async with server(counting) as url, client() as http, asyncio.timeout(10):
        async with http.stream("GET", url) as response:
            await asyncio.sleep(0.1)  # all of it comes
            assert response.headers["x-number"] == "1"
        assert (await http.get(url)).headers["x-number"] == "1"


async def test_what_comes_while_nobody_reads_is_kept_and_the_other_side_waits() -> None:
    sent, whole = 0, 200 * LIMIT

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await asked(reader)
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {whole}\r\n\r\n".encode())
        for number in range(200):
            writer.write(bytes([number]) * LIMIT)
            await writer.drain()
            sent += LIMIT

    async with (
        server(flood) as url,
        client() as http,
        http.stream("GET", url) as response,
        asyncio.timeout(20),
    ):
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 100 * LIMIT
        received = b"".join([data async for data in response.aiter_bytes()])
    assert received == b"".join(bytes([number]) * LIMIT for number in range(200))


async def test_a_body_is_sent_whole_however_it_is_given() -> None:
    bodies: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asked(reader)
        if b"content-length: 3000000" in head.lower():
            bodies.append(await reader.readexactly(3_000_000))
        else:
            bodies.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    async def given() -> AsyncIterator[bytes]:
        for part in (b"abc", b"", b"defg"):
            yield part

    async with server(take) as url, client() as http:
        await http.post(url, content=b"y" * 3_000_000)
        await http.post(url, content=given())
    assert bodies == [b"y" * 3_000_000, b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"]


async def test_who_does_not_take_what_is_sent_is_given_up() -> None:
    async with server(silent) as url, client(seconds=0.2) as http:
        with pytest.raises(httpx2.WriteTimeout):
            await http.post(url, content=b"x" * (64 << 20))


async def test_what_is_refused_before_it_was_sent_is_answered() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"
    async with server(saying(refusal, then=silent)) as url, client() as http:
        assert (await http.post(url, content=b"x" * 100_000)).status_code == 413


async def test_a_port_that_nobody_listens_on_cannot_be_connected_to() -> None:
    async with server(silent) as url:
        pass
    async with client() as http:
        with pytest.raises(httpx2.ConnectError):
            await http.get(url)


def certified(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def test_encrypted_connections_are_trusted_by_their_certificate(
    authority: trustme.CA, believed: Path
) -> None:
    trusting = ssl.create_default_context(cafile=str(believed))
    async with server(counting, certified(authority)) as url:
        async with client(trusting) as http:
            assert await numbers(http, url, 2) == ["1", "2"]
            assert (await http.get(url)).content == BODY
        async with client() as http:
            with pytest.raises(httpx2.ConnectError, match="certificate"):
                await http.get(url)


async def test_a_server_that_does_not_speak_tls_is_given_up_in_time() -> None:
    async with server(silent) as url, client(seconds=0.2) as http:
        with pytest.raises(httpx2.ConnectTimeout):
            await http.get(url.replace("http:", "https:"))


async def test_a_client_that_goes_through_a_proxy_is_left_as_it_is() -> None:
    async with httpx2.AsyncClient(proxy="http://127.0.0.1:9", trust_env=False) as http:
        quicken(http)
        mounted = [transport for transport in http._mounts.values() if transport is not None]
        assert mounted
        assert not any(isinstance(transport, Transport) for transport in mounted)
