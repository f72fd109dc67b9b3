"""The test server itself: it must cut, break, hang and refuse as it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from wire.server import (
    ALL_CUTS,
    Answer,
    Cut,
    Request,
    WireServer,
    crlf,
    in_pieces,
    inside_json,
    inside_utf8,
    one_byte_at_a_time,
    whole,
)

BODY = 'data: {"text": "é€🙂"}\n\ndata: [DONE]\n\n'.encode()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.mark.parametrize("cut", ALL_CUTS)
async def test_a_body_arrives_whole_and_in_exactly_its_cuts(
    cut: Cut, client: httpx.AsyncClient
) -> None:
    async with WireServer() as server:
        server.answers(Answer.sse(BODY, cuts=cut))
        async with client.stream("POST", server.url, json={"a": 1}) as response:
            chunks = [chunk async for chunk in response.aiter_raw()]
    assert chunks == cut(BODY)
    assert b"".join(chunks).replace(b"\r\n", b"\n") == BODY


def test_cuts_fall_where_their_names_say() -> None:
    assert whole(b"ab") == [b"ab"]
    assert one_byte_at_a_time(b"abc") == [b"a", b"b", b"c"]
    assert in_pieces(2)(b"abcde") == [b"ab", b"cd", b"e"]
    assert inside_utf8("aéb€".encode()) == [b"a\xc3", b"\xa9b\xe2", b"\x82", b"\xac"]
    assert inside_json(b"data: {}\n\ndata: 12\n\n") == [b"data", b": {}\n\ndata", b": 12\n\n"]
    assert crlf(b"a\n\n") == [b"a\r", b"\n\r", b"\n"]


async def test_requests_are_kept_as_they_were_sent(client: httpx.AsyncClient) -> None:
    async with WireServer() as server:
        server.answers(Answer.json({"ok": True}), Answer(status=529))
        first = await client.post(f"{server.url}/v1/x?y=1", json={"é": [1]}, headers={"X-Key": "k"})
        second = await client.get(f"{server.url}/v1/models")
    assert (first.json(), second.status_code) == ({"ok": True}, 529)
    assert [(r.method, r.path, r.json) for r in server.requests] == [
        ("POST", "/v1/x?y=1", {"é": [1]}),
        ("GET", "/v1/models", None),
    ]
    assert server.requests[0].headers["x-key"] == "k"


async def test_a_refused_request_gets_the_error_and_keeps_the_queued_answer(
    client: httpx.AsyncClient,
) -> None:
    refusal = Answer.error(400, {"error": {"message": "no"}}, {"retry-after": "7"})

    def check(request: Request) -> Answer | None:
        return None if request.json == {"good": 1} else refusal

    async with WireServer(check) as server:
        server.answers(Answer(body=b"yes"))
        bad = await client.post(server.url, json={"bad": 1})
        good = await client.post(server.url, json={"good": 1})
    assert (bad.status_code, bad.json()) == (400, {"error": {"message": "no"}})
    assert bad.headers["retry-after"] == "7"
    assert good.content == b"yes"
    assert server.refused == [refusal]


async def test_a_request_without_a_queued_answer_fails_the_test(client: httpx.AsyncClient) -> None:
    server = WireServer()
    await server.__aenter__()
    assert (await client.get(f"{server.url}/surprise")).status_code == 500
    with pytest.raises(AssertionError, match="GET /surprise"):
        await server.__aexit__(None, None, None)


async def test_a_broken_answer_ends_without_its_last_chunk(client: httpx.AsyncClient) -> None:
    async with WireServer() as server:
        server.answers(Answer.sse(BODY, then="break"))
        async with client.stream("GET", server.url) as response:
            chunks = response.aiter_raw()
            assert await anext(chunks) == BODY
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(chunks)


async def test_a_client_that_leaves_a_hanging_answer_is_noticed(client: httpx.AsyncClient) -> None:
    async with WireServer() as server:
        server.answers(Answer.sse(BODY, then="hang"))
        async with client.stream("GET", server.url) as response:
            assert await anext(response.aiter_raw()) == BODY
            assert not server.client_left.is_set()
        async with asyncio.timeout(5):
            await server.client_left.wait()


async def test_a_client_that_leaves_during_a_delay_is_noticed(client: httpx.AsyncClient) -> None:
    async with WireServer() as server:
        server.answers(Answer(delay=60))
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=0.05)
        async with asyncio.timeout(5):
            await server.client_left.wait()


async def test_an_answer_after_its_delay_is_complete(client: httpx.AsyncClient) -> None:
    async with WireServer() as server:
        server.answers(Answer(body=b"late", delay=0.01))
        assert (await client.get(server.url)).content == b"late"
    assert not server.client_left.is_set()


async def test_leaving_the_block_ends_connections_that_still_hang(
    client: httpx.AsyncClient,
) -> None:
    async with WireServer() as server:
        server.answers(Answer.sse(BODY, then="hang"))
        request = client.build_request("GET", server.url)
        response = await client.send(request, stream=True)
    async with asyncio.timeout(5):
        with pytest.raises(httpx.TransportError):
            await response.aread()
    assert not server.client_left.is_set()
