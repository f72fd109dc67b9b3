"""A run's events over the wire: the stored bytes, resumed without loss or repetition."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httptools
import httpx
import pytest
from cody_core.api.frames import event_frames
from cody_core.api.stream import EventStream
from cody_core.ids import new_id
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.schema.events import Entry
from cody_core.sse import Decoder, ServerSentEvent
from support.server import Served, served
from support.shapes import events, started


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    text = "One two three four five six seven, and so on to the end."
    async with served(ScriptedProvider(lambda request: [Say(text)])) as server:
        yield server


async def test_a_stream_is_the_stored_events_untouched_and_ends_after_the_last(
    server: Served,
) -> None:
    submitted = await server.submit()
    response = await server.http.get(submitted["streamUrl"])
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    entries = [e async for batch in server.core.follow(submitted["runId"]) for e in batch]
    expected = [
        b"id: %b\nevent: %b\ndata: %b\n\n" % (e.offset.encode(), e.event.type.encode(), e.data)
        for e in entries
    ]
    assert response.content == b"".join(expected)
    assert entries[-1].is_terminal


@pytest.mark.parametrize("by", ["header", "query"])
async def test_every_offset_resumes_without_loss_or_repetition(server: Served, by: str) -> None:
    submitted = await server.ask()
    whole = await server.events(submitted["streamUrl"])
    for at, event in enumerate(whole, 1):
        if by == "header":
            rest = await server.events(submitted["streamUrl"], **{"Last-Event-ID": event.id})
        else:
            rest = await server.events(f"{submitted['streamUrl']}?from={event.id}")
        assert rest == whole[at:]


async def test_the_header_wins_over_the_query_and_an_empty_one_is_none(server: Served) -> None:
    submitted = await server.ask()
    whole = await server.events(submitted["streamUrl"])
    url = f"{submitted['streamUrl']}?from={whole[3].id}"
    assert await server.events(url, **{"Last-Event-ID": whole[5].id}) == whole[6:]
    assert await server.events(url, **{"Last-Event-ID": ""}) == whole[4:]
    assert await server.events(f"{submitted['streamUrl']}?from=0") == whole


async def test_after_the_end_there_is_no_content_so_that_browsers_stop(server: Served) -> None:
    submitted = await server.ask()
    last = (await server.events(submitted["streamUrl"]))[-1]
    headers = {"Last-Event-ID": last.id}
    response = await server.http.get(submitted["streamUrl"], headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers


@pytest.mark.parametrize(
    "query",
    [
        "from=x",
        "from=-1",
        "from=1-1-1",
        f"from={2**63}",
        f"from=1-{2**63}",
        f"from={2**64}",
        "blockMs=0",
        "batchSize=0",
        "batchSize=1001",
        "from=%D9%A1",
    ],
)
async def test_parameters_that_cannot_be_are_refused(server: Served, query: str) -> None:
    response = await server.http.get(f"/api/v2/stream/{new_id()}?{query}")
    error = response.json()["error"]
    assert (response.status_code, error["details"]["field"]) == (400, query.partition("=")[0])


async def test_a_header_that_is_no_offset_is_refused(server: Served) -> None:
    headers = {b"Last-Event-ID": b"\xff"}
    response = await server.http.get(f"/api/v2/stream/{new_id()}", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_silence_is_filled_with_keep_alives() -> None:
    async with served(ScriptedProvider([[Hang(after="so far")]])) as server:
        submitted = await server.submit()
        url = f"{submitted['streamUrl']}?blockMs=100"
        async with server.http.stream("GET", url) as response:
            text = b""
            async with asyncio.timeout(10):
                async for chunk in response.aiter_bytes():
                    text += chunk
                    if text.endswith(b"\n\n: keep-alive\n\n: keep-alive\n\n"):
                        break
        assert b"event: item_delta" in text


async def test_a_longer_silence_than_there_is_may_be_asked_for(server: Served) -> None:
    submitted = await server.ask()
    whole = await server.events(submitted["streamUrl"])
    for longest in (60_000, 10**30):
        assert await server.events(f"{submitted['streamUrl']}?blockMs={longest}") == whole


async def test_the_headers_come_before_a_first_event_that_is_late() -> None:
    async with served(ScriptedProvider([[Hang(after="so far")]])) as server:
        submitted = await server.submit()
        async with server.stream(submitted["streamUrl"]) as events:
            async for event in events:
                if event.event == "item_delta":
                    break
        headers = {"Last-Event-ID": "9999999999999-0"}  # nothing comes after that for long
        async with (
            asyncio.timeout(5),
            server.http.stream("GET", submitted["streamUrl"], headers=headers) as response,
        ):
            assert response.status_code == 200


async def test_a_run_the_log_has_forgotten_is_replayed_from_the_store() -> None:
    async with served(ScriptedProvider([[Say("Hello.")]]), log_ttl=0) as server:
        submitted = await server.ask()
    async with served(ScriptedProvider([])) as server:
        replayed = await server.events(submitted["streamUrl"])
        assert [event.event for event in replayed] == [
            *("response_start", "item_start", "item_delta", "item_done"),
            *("usage_update", "response_done"),
        ]
        rest = await server.events(submitted["streamUrl"], **{"Last-Event-ID": replayed[1].id})
        # The envelopes of a replay are made anew each time.
        expected = [(event.id, event.event) for event in replayed[2:]]
        assert [(event.id, event.event) for event in rest] == expected


def left_of_streams() -> list[object]:
    """Return the streams that still exist, for whatever reason."""
    gc.collect()
    return [found for found in gc.get_objects() if isinstance(found, EventStream)]


async def test_a_reader_that_goes_away_leaves_nothing_behind_and_the_run_goes_on() -> None:
    async with (
        served(ScriptedProvider([[Hang(after="so far")]])) as server,
        asyncio.timeout(30),
    ):
        submitted = await server.submit()
        async with server.stream(submitted["streamUrl"]) as events:
            async for event in events:
                if event.event == "item_delta":
                    break
        while left_of_streams():
            await asyncio.sleep(0.01)
        before = len(asyncio.all_tasks())
        for _ in range(5):
            async with (
                httpx.AsyncClient(base_url=server.url) as other,
                other.stream("GET", submitted["streamUrl"]) as response,
            ):
                await anext(response.aiter_bytes())
        while left_of_streams() or len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.01)
        assert (await server.core.run(submitted["runId"])).status == "in_progress"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_slow_reader_holds_up_nobody_and_gets_everything(version: str) -> None:
    async with served(ScriptedProvider([[Say("a line of text\n" * 5_000)]])) as server:
        submitted = await server.submit()
        host, _, port = server.url.removeprefix("http://").partition(":")
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, (host, int(port)))
        head = f"GET {submitted['streamUrl']} HTTP/{version}\r\nHost: {host}\r\n"
        head += "Connection: close\r\n\r\n"
        await loop.sock_sendall(slow, head.encode())
        async with asyncio.TaskGroup() as tasks:
            quick = [tasks.create_task(server.events(submitted["streamUrl"])) for _ in range(3)]
        body = _Body()
        parser = httptools.HttpResponseParser(body)
        while chunk := await loop.sock_recv(slow, 1 << 16):
            parser.feed_data(chunk)
        slow.close()
    late = Decoder().feed(b"".join(body.parts))
    assert all(task.result() == late for task in quick)
    assert len(late) > 5_000


class _Body:
    """Takes what a parser finds of a body."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)


async def test_when_one_goes_away_that_others_are_read_for_by_they_get_the_rest() -> None:
    async with (
        served(ScriptedProvider([[Hang(after="so far")]])) as server,
        asyncio.timeout(30),
    ):
        submitted = await server.submit()
        url = submitted["streamUrl"]

        async def until_text(stream: AsyncIterator[ServerSentEvent]) -> list[ServerSentEvent]:
            found = []
            async for event in stream:
                found.append(event)
                if event.event == "item_delta":
                    break
            return found

        async with AsyncExitStack() as stack:
            first = AsyncExitStack()
            streams = [await first.enter_async_context(server.stream(url))]
            streams += [await stack.enter_async_context(server.stream(url)) for _ in range(5)]
            begun = [await until_text(stream) for stream in streams]
            await first.aclose()
            await server.core.cancel(submitted["runId"])
            rest = [[event async for event in stream] for stream in streams[1:]]
        whole = await server.events(url)
    assert len({event.id for event in whole}) == len(whole)
    assert all([*head, *tail] == whole for head, tail in zip(begun[1:], rest, strict=True))


async def test_all_listeners_get_the_same() -> None:
    async with served(ScriptedProvider([[Say("word " * 100)]])) as server:
        submitted = await server.submit()
        async with asyncio.TaskGroup() as tasks:
            url = submitted["streamUrl"]
            listening = [tasks.create_task(server.events(url)) for _ in range(20)]
        assert all(task.result() == listening[0].result() for task in listening)


def test_batches_are_no_larger_than_asked_for_and_types_found_in_any_order() -> None:
    made = [Entry(f"1-{at}", event=event) for at, event in enumerate(events(*[started()] * 5))]
    other = b'{"payload":%b,"type":"response_start",%b' % (
        made[0].event.payload.model_dump_json().encode(),
        made[0].data[1:].replace(b'"type":"response_start",', b"", 1),
    )
    entries = [*made, Entry("1-9", data=other), Entry("2-0", data=b'{"strange": true}')]
    found = [Decoder().feed(frames) for frames in event_frames(entries, batch_size=3)]
    assert [len(group) for group in found] == [3, 3, 1]
    assert [e.event for group in found for e in group] == ["response_start"] * 6 + ["message"]
