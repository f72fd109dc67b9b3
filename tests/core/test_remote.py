"""The remote client: what can go wrong between it and a server, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest
from cody_core.client import Client
from cody_core.errors import (
    ApprovalResolvedBefore,
    CodyError,
    EventLogUnavailable,
    InvalidRequest,
    NotFound,
    RunNotFound,
    ServerUnavailable,
    SettingsError,
    ThreadNotFound,
)
from cody_core.ids import new_id
from cody_core.remote import open_remote
from cody_core.remote_calls import open_server
from cody_core.remote_stream import Backoff, follow
from cody_core.schema.events import START, ItemDelta, ItemStart, ResponseDone
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.wire import ERRORS
from cody_core.sse import KEEP_ALIVE, encode
from support.shapes import RUN, THREAD, TURN, events, started
from wire.server import ALL_CUTS, Answer, Cut, WireServer, whole

INFO = Answer.json(
    dict.fromkeys(("version", "log", "store", "workspace", "home"), "x") | {"added": "later"}
)
GONE = Answer(204)
TOKEN = "s3cret-token"

STREAM = [
    (f"1700000000000-{at}", event.to_json())
    for at, event in enumerate(
        events(
            started(prompt="Grüße, 世界"),
            ItemStart(item_id="i", item_type="message"),
            ItemDelta(item_id="i", delta_content="Grüße, 世界 🌍 \u2028 \u0085 \r\n"),
            ResponseDone(response_id=RUN, status="complete", finish_reason="stop"),
        )
    )
]
"""Offsets and stored bytes of a run."""


def sse(entries: Sequence[tuple[str, bytes]]) -> bytes:
    frames = [encode(data, event="message", id=offset) for offset, data in entries]
    return KEEP_ALIVE + KEEP_ALIVE.join(frames)


@asynccontextmanager
async def connected(
    server: WireServer, *answers: Answer, token: str | None = None, patience: float = 20.0
) -> AsyncIterator[Client]:
    """Open a client of a server that gives these answers, once it has said that it is one."""
    server.answers(INFO, *answers)
    async with open_remote(server.url, token=token, patience=patience) as client:
        yield client


async def followed(client: Client, after: str = START) -> list[tuple[str, bytes]]:
    async with asyncio.timeout(20), aclosing(client.follow(RUN, after=after)) as batches:
        return [(entry.offset, entry.data) async for batch in batches for entry in batch]


def resumed_at(server: WireServer) -> list[str | None]:
    """Return what each stream was asked to go on after."""
    streams = [request for request in server.requests if "/stream/" in request.path]
    return [request.headers.get("last-event-id") for request in streams]


@pytest.mark.parametrize("cut", ALL_CUTS, ids=lambda cut: cut.__name__)
async def test_events_arrive_as_they_are_stored_however_they_are_cut(cut: Cut) -> None:
    async with WireServer() as server, connected(server, Answer.sse(sse(STREAM), cut)) as client:
        assert await followed(client) == STREAM


CUTS_AT = [0, 1, 40, 300]
MIDDLE = sse(STREAM).index("世界 🌍".encode())


@pytest.mark.parametrize("at", [*CUTS_AT, MIDDLE + 1, MIDDLE + 2, MIDDLE + 8, -1, -2])
async def test_a_stream_that_breaks_is_gone_on_with_after_its_last_whole_event(at: int) -> None:
    body = sse(STREAM)[:at]
    came = [entry for entry in STREAM if encode(entry[1], event="message", id=entry[0]) in body]
    broken = Answer.sse(body, then="break")
    rest = Answer.sse(sse(STREAM[len(came) :]))
    async with WireServer() as server, connected(server, broken, rest) as client:
        assert await followed(client) == STREAM
    assert resumed_at(server) == [None, came[-1][0] if came else None]


async def test_a_stream_that_ends_too_early_is_gone_on_with() -> None:
    answers = [
        Answer.sse(sse(STREAM[:1])),
        Answer.error(503, {"error": {"code": "REDIS_UNAVAILABLE", "message": "m"}}),
        Answer(502, body=b"<html>proxy</html>"),
        Answer.sse(KEEP_ALIVE, then="break"),
        Answer.sse(sse(STREAM[1:])),
    ]
    async with WireServer() as server, connected(server, *answers) as client:
        assert await followed(client) == STREAM
    assert resumed_at(server) == [None, *[STREAM[0][0]] * 4]


async def test_what_comes_twice_is_handed_on_once() -> None:
    answers = [Answer.sse(sse(STREAM[:3]), then="break"), Answer.sse(sse(STREAM))]
    async with WireServer() as server, connected(server, *answers) as client:
        assert await followed(client) == STREAM


async def test_the_terminal_event_ends_a_stream_that_stays_open() -> None:
    async with (
        WireServer() as server,
        connected(server, Answer.sse(sse(STREAM), then="hang")) as client,
    ):
        assert await followed(client) == STREAM
        async with asyncio.timeout(10):
            await server.client_left.wait()


async def test_leaving_the_iterator_closes_its_connection() -> None:
    answer = Answer.sse(sse(STREAM[:2]), whole, then="hang")
    async with WireServer() as server, connected(server, answer) as client:
        async with asyncio.timeout(10), aclosing(client.follow(RUN)) as batches:
            await anext(batches)
        async with asyncio.timeout(10):
            await server.client_left.wait()


async def test_nothing_follows_the_end() -> None:
    async with WireServer() as server, connected(server, GONE) as client:
        assert await followed(client, STREAM[-1][0]) == []
    assert resumed_at(server) == [STREAM[-1][0]]


async def test_a_replay_of_what_has_no_end_yet_is_not_asked_for_again() -> None:
    replayed = [(f"0-{at}", data) for at, (_, data) in enumerate(STREAM[:2], 1)]
    async with WireServer() as server, connected(server, Answer.sse(sse(replayed))) as client:
        assert await followed(client) == replayed


async def test_a_server_that_stays_away_is_given_up() -> None:
    async with WireServer() as server:
        broken = Answer.sse(sse(STREAM[:1]), then="break")
        async with connected(server, broken, patience=0.3) as client:
            async with aclosing(client.follow(RUN)) as batches:
                await anext(batches)
                await server.__aexit__(None, None, None)
                with pytest.raises(ServerUnavailable, match="cody serve") as caught:
                    async with asyncio.timeout(10):
                        await anext(batches)
            assert server.url in caught.value.message


async def test_a_connection_that_falls_silent_is_replaced() -> None:
    answers = [Answer.sse(sse(STREAM[:1]), then="hang"), Answer.sse(sse(STREAM[1:]))]
    async with WireServer() as server, open_server(server.url, None) as opened:
        server.answers(*answers)
        batches = follow(opened, RUN, silence=0.2)
        async with asyncio.timeout(10), aclosing(batches):
            found = [(entry.offset, entry.data) async for batch in batches for entry in batch]
    assert found == STREAM


async def test_a_run_that_is_gone_is_not_waited_for() -> None:
    gone = Answer.error(404, {"error": {"code": "RUN_NOT_FOUND", "message": "no run"}})
    async with (
        WireServer() as server,
        connected(server, Answer.sse(sse(STREAM[:1]), then="break"), gone) as client,
    ):
        with pytest.raises(RunNotFound):
            await followed(client)


async def test_events_without_offsets_are_no_events_of_ours() -> None:
    async with (
        WireServer() as server,
        connected(server, Answer.sse(b"data: {}\n\n"), patience=0.0) as client,
    ):
        with pytest.raises(ServerUnavailable, match="offset"):
            await followed(client)


def test_pauses_grow_and_end() -> None:
    backoff = Backoff(60.0)
    pauses = [backoff.pause(0.0) or 0.0 for _ in range(20)]
    assert 0.05 <= pauses[0] <= 0.1
    assert all(2.5 <= pause <= 5.0 for pause in pauses[7:])
    assert (backoff.pause(59.5) or 9.0) <= 0.5
    assert backoff.pause(60.0) is None
    backoff.reset()
    assert (backoff.pause(60.0) or 9.0) <= 0.1


@pytest.mark.parametrize("code", ERRORS)
async def test_an_error_of_the_server_keeps_its_class(code: str) -> None:
    answer = Answer.error(418, {"error": {"code": code, "message": "what 'x' is"}})
    async with WireServer() as server, connected(server, answer) as client:
        with pytest.raises(CodyError) as caught:
            await client.run(RUN)
    assert (type(caught.value), caught.value.message) == (ERRORS[code], "what 'x' is")


def test_every_error_has_a_code_of_its_own() -> None:
    assert ERRORS["THREAD_NOT_FOUND"] is ThreadNotFound
    assert ERRORS["REDIS_UNAVAILABLE"] is EventLogUnavailable
    assert len({error.code for error in ERRORS.values()}) == len(ERRORS)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidRequest),
        (403, SettingsError),
        (404, NotFound),
        (409, InvalidRequest),
        (413, InvalidRequest),
        (422, InvalidRequest),
        (429, ServerUnavailable),
        (500, CodyError),
        (503, ServerUnavailable),
    ],
)
async def test_an_error_with_a_new_code_goes_by_its_status(
    status: int, error: type[CodyError]
) -> None:
    answer = Answer.error(status, {"error": {"code": "NEW", "message": "m", "details": {"a": 1}}})
    async with WireServer() as server, connected(server, answer) as client:
        with pytest.raises(error, match="m") as caught:
            await client.run(RUN)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, body=b"<html>nginx</html>"),
        Answer(302, {"location": "https://elsewhere.example"}),
        Answer.json({"id": "x"}),
        Answer(200, body=b"hello"),
        Answer(500),
    ],
)
async def test_what_is_no_cody_serve_is_named(answer: Answer) -> None:
    async with WireServer() as server, connected(server, answer) as client:
        with pytest.raises(ServerUnavailable) as caught:
            await client.run(RUN)
    assert server.url in caught.value.message


async def test_a_page_is_no_stream() -> None:
    page = Answer(200, {"content-type": "text/html"}, b"<html>")
    async with WireServer() as server, connected(server, page, patience=0.0) as client:
        with pytest.raises(ServerUnavailable, match="text/html"):
            await followed(client)


async def test_no_server_is_said_at_once_with_what_to_do() -> None:
    async with WireServer() as server:
        url = server.url
    with pytest.raises(ServerUnavailable, match="cody serve") as caught:
        async with open_remote(url):
            pass
    assert url in caught.value.message


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_wrong_token_is_said_at_once_and_never_shown(token: str | None) -> None:
    refusal = Answer.error(401, {"error": {"code": "UNAUTHORIZED", "message": f"not {TOKEN}"}})
    async with WireServer() as server:
        server.answers(refusal)
        with pytest.raises(SettingsError, match=r"CODY_TOKEN.*--token") as caught:
            async with open_remote(server.url, token=token):
                pass
    assert TOKEN not in repr(caught.value)


async def test_the_token_goes_in_the_header_and_into_no_message() -> None:
    failure = Answer.error(500, {"error": {"code": "NEW", "message": f"with {TOKEN}"}})
    async with WireServer() as server, connected(server, failure, token=TOKEN) as client:
        with pytest.raises(CodyError) as caught:
            await client.run(RUN)
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {TOKEN}"}
    assert not any(TOKEN in request.path for request in server.requests)
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("", None),
        ("127.0.0.1:4010", None),
        ("localhost:4010", None),
        ("ftp://127.0.0.1", None),
        ("http://", None),
        ("http://127.0.0.1:99999", None),
        ("http://[::1", None),
        ("http://user:s3cret-token@127.0.0.1", None),
        ("http://127.0.0.1?x=1", None),
        ("http://127.0.0.1#x", None),
        ("http://cody.example", TOKEN),
        ("http://127.0.0.1.example", TOKEN),
        ("http://127.0.0.1", f"{TOKEN}\r\nx: y"),
        ("http://127.0.0.1", ""),
    ],
)
async def test_an_address_or_a_token_that_cannot_be_is_refused(url: str, token: str | None) -> None:
    with pytest.raises(SettingsError) as caught:
        async with open_remote(url, token=token):
            pass
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("https://cody.example/prefix/", TOKEN),
        ("http://[::1]:4010", TOKEN),
        ("http://localhost:4010", TOKEN),
        ("http://cody.example", None),
    ],
)
async def test_an_address_that_can_be_is_taken(url: str, token: str | None) -> None:
    async with open_server(url, token) as server:
        assert server.url == url.rstrip("/")


async def test_no_proxy_stands_between_us_and_ourselves(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with WireServer() as server, connected(server, INFO) as client:
        assert (await client.info()).version == "x"


async def test_a_server_of_before_says_nothing_of_what_counts_there() -> None:
    async with WireServer() as server, connected(server, INFO) as client:
        info = await client.info()
    assert (info.policy, info.reasoning_effort, info.agents) == (None, None, ())


async def test_a_prompt_whose_answer_was_lost_is_sent_again_as_the_same_run() -> None:
    ids = {"threadId": THREAD, "turnId": TURN, "streamUrl": f"/api/v2/stream/{RUN}"}
    accepted = Answer.json({"runId": RUN, **ids}, 202)
    async with (
        WireServer() as server,
        connected(server, Answer(202, body=b"{", then="break"), accepted) as client,
    ):
        assert (await client.submit(SubmitRequest(prompt="x"))).run_id == RUN
    _, first, second = server.requests
    assert first.json == second.json
    assert first.json == {"prompt": "x", "runId": first.json["runId"]}


async def test_an_answer_to_a_question_is_sent_once() -> None:
    async with (
        WireServer() as server,
        connected(server, Answer(200, then="break")) as client,
    ):
        with pytest.raises(ServerUnavailable):
            await client.resolve_approval(RUN, new_id(), "approve")
    assert len(server.requests) == 2


async def test_an_approval_that_was_answered_is_a_conflict() -> None:
    conflict = Answer.error(409, {"error": {"code": "APPROVAL_RESOLVED", "message": "m"}})
    async with WireServer() as server, connected(server, conflict) as client:
        with pytest.raises(ApprovalResolvedBefore):
            await client.resolve_approval(RUN, "../../x", "deny", reason="")
    assert server.requests[-1].path == f"/api/v2/runs/{RUN}/approvals/..%2F..%2Fx"
    assert server.requests[-1].json == {"decision": "deny"}
