"""How both OpenAI adapters fail: each test runs over the Responses and the Chat Completions one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from typing import Any

import pytest
from cody_core.errors import (
    ProviderAuthError,
    ProviderBadRequest,
    ProviderConnectionError,
    ProviderContextTooLong,
    ProviderError,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderStreamBroken,
    ProviderTimeout,
    SettingsError,
)
from cody_core.providers import Provider, openai, openai_chat
from cody_core.schema.events import Payload
from cody_core.schema.items import Message
from cody_core.schema.requests import ModelRequest
from cody_core.settings import ProviderSettings
from pydantic import SecretStr
from wire.openai_checks import check_chat, check_responses
from wire.server import Answer, WireServer, recording

KEY = "own-0123456789abcdef"
CREATE: dict[str, Callable[..., Provider]] = {
    "openai": openai.create,
    "openai_chat": openai_chat.create,
}
CHECKS = {"openai": check_responses, "openai_chat": check_chat}
BEGINNINGS = {
    "openai": recording("openai/error.sse").partition(b"event: error")[0],
    "openai_chat": recording("openai_chat/text.sse")[:600],
}
"""The first payloads of an answer, and not its end."""

Make = Callable[..., Provider]


@pytest.fixture(params=CREATE)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def server(kind: str) -> AsyncIterator[WireServer]:
    async with WireServer(CHECKS[kind]) as server:
        yield server


@pytest.fixture
async def make(kind: str) -> AsyncIterator[Make]:
    made: list[Provider] = []

    def make(
        url: str, *, timeout: float = 10, key: str | None = KEY, name: str = "openai"
    ) -> Provider:
        settings = ProviderSettings(
            base_url=f"{url}/v1",
            api_key=SecretStr(key) if key else None,
            api_key_env="OPENAI_API_KEY",
            timeout=timeout,
        )
        made.append(CREATE[kind](settings, name=name))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()


@pytest.fixture
def provider(server: WireServer, make: Make) -> Provider:
    return make(server.url)


def ask() -> ModelRequest:
    return ModelRequest(
        response_id="00000000-0000-4000-8000-000000000001",
        model="m",
        items=(Message(id="u1", origin="user", content="Hi"),),
    )


async def until_error(provider: Provider) -> tuple[list[Payload], ProviderError]:
    payloads: list[Payload] = []
    try:
        async for payload in provider.stream(ask()):
            payloads.append(payload)
    except ProviderError as error:
        return payloads, error
    pytest.fail("the stream did not fail")


async def test_an_event_that_is_not_json_breaks_the_stream(
    server: WireServer, provider: Provider
) -> None:
    server.answers(Answer.sse(b"data: {oops\n\n"), Answer.sse(b"data: [1]\n\n"))
    for _ in range(2):
        payloads, error = await until_error(provider)
        assert (payloads, type(error)) == ([], ProviderStreamBroken)


MALFORMED = {
    "openai": [
        b'{"type": "response.output_item.added", "item": "?"}',
        b'{"type": "response.completed", "response": {"usage": {"input_tokens": -1}}}',
    ],
    "openai_chat": [
        b'{"choices": [null]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": "?"}]}}]}',
        b'{"choices": [], "usage": {"prompt_tokens": 1.5}}',
    ],
}


async def test_an_event_of_another_shape_breaks_the_stream(
    kind: str, server: WireServer, provider: Provider
) -> None:
    for event in MALFORMED[kind]:
        server.answers(Answer.sse(b"data: " + event + b"\n\n"))
        payloads, error = await until_error(provider)
        assert (payloads, type(error)) == ([], ProviderStreamBroken), event
        assert "cannot be read" in error.message


async def test_silence_before_and_during_the_answer_is_a_timeout(
    kind: str, server: WireServer, make: Make
) -> None:
    provider = make(server.url, timeout=0.1)
    server.answers(Answer(delay=30), Answer.sse(BEGINNINGS[kind], then="hang"))
    for _ in range(2):
        _, error = await until_error(provider)
        assert type(error) is ProviderTimeout
        assert "'timeout' of [providers.openai]" in error.message
        async with asyncio.timeout(5):
            await server.client_left.wait()
        server.client_left.clear()


async def test_closing_the_stream_closes_the_connection(
    kind: str, server: WireServer, provider: Provider
) -> None:
    server.answers(Answer.sse(BEGINNINGS[kind], then="hang"))
    stream = provider.stream(ask())
    await anext(stream)
    assert not server.client_left.is_set()
    await stream.aclose()
    async with asyncio.timeout(5):
        await server.client_left.wait()


async def test_cancelling_the_reader_closes_the_connection(
    kind: str, server: WireServer, provider: Provider
) -> None:
    server.answers(Answer.sse(BEGINNINGS[kind], then="hang"))
    reading = asyncio.Event()

    async def read() -> None:
        async for _ in provider.stream(ask()):
            reading.set()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(read())
        await reading.wait()
        task.cancel()
        await server.client_left.wait()
    assert task.cancelled()


async def test_closing_the_provider_breaks_the_streams_under_way(
    kind: str, server: WireServer, provider: Provider
) -> None:
    server.answers(Answer.sse(BEGINNINGS[kind], then="hang"))
    reading = asyncio.Event()

    async def read() -> None:
        async for _ in provider.stream(ask()):
            reading.set()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(until_broken(read))
        await reading.wait()
        await provider.aclose()
    assert type(task.result()) is ProviderStreamBroken


async def until_broken(read: Callable[[], Awaitable[None]]) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await read()
    return raised.value


def error_body(code: str | None, message: str = "Said.", kind: str = "some_error") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, error_body("invalid_api_key"), ProviderAuthError, "OPENAI_API_KEY"),
        (403, error_body("unsupported_country"), ProviderAuthError, "OPENAI_API_KEY"),
        (400, error_body("invalid_value"), ProviderBadRequest, "Said"),
        (404, error_body("model_not_found"), ProviderBadRequest, "Said"),
        (422, {"detail": "Said by FastAPI."}, ProviderBadRequest, "Said by FastAPI"),
        (400, error_body("context_length_exceeded"), ProviderContextTooLong, "CODY_CONTEXT_TOKENS"),
        (
            400,
            error_body(None, kind="exceed_context_size_error"),
            ProviderContextTooLong,
            "CODY_CONTEXT_TOKENS",
        ),
        (408, error_body(None), ProviderTimeout, "Said"),
        (429, error_body("rate_limit_exceeded"), ProviderRateLimited, "Said"),
        (429, error_body("insufficient_quota"), ProviderBadRequest, "billing"),
        (402, error_body(None), ProviderBadRequest, "billing"),
        (500, error_body(None, kind="server_error"), ProviderOverloaded, "Said"),
        (503, "<html>busy</html>", ProviderOverloaded, "HTTP 503"),
        (529, {"error": "Said as text."}, ProviderOverloaded, "Said as text"),
    ],
)
async def test_an_error_answer_becomes_the_error_of_its_kind(
    status: int,
    body: Any,
    error: type[ProviderError],
    words: str,
    server: WireServer,
    provider: Provider,
) -> None:
    server.answers(Answer.error(status, body))
    payloads, raised = await until_error(provider)
    assert (payloads, type(raised)) == ([], error)
    assert words in raised.message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": f"Mon, 01 Jan {'9' * 30} 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
async def test_the_wait_a_server_asks_for_is_passed_on(
    headers: dict[str, str], seconds: float | None, server: WireServer, provider: Provider
) -> None:
    server.answers(Answer.error(429, error_body("rate_limit_exceeded"), headers))
    _, error = await until_error(provider)
    assert (type(error), error.retry_after) == (ProviderRateLimited, seconds)


async def test_the_wait_may_be_given_as_a_date(server: WireServer, provider: Provider) -> None:
    headers = {"retry-after": formatdate(time.time() + 60, usegmt=True)}
    server.answers(Answer.error(503, error_body(None), headers))
    _, error = await until_error(provider)
    assert type(error) is ProviderOverloaded
    assert error.retry_after == pytest.approx(60, abs=10)


async def test_no_message_repeats_a_key(server: WireServer, provider: Provider) -> None:
    said = f"Incorrect API key provided: {KEY} or sk-proj-01**cdef. Find yours."
    server.answers(Answer.error(401, error_body("invalid_api_key", said)))
    _, error = await until_error(provider)
    assert "Incorrect API key provided: [key] or [key]" in error.message
    assert KEY not in f"{error!r} {provider!r} {vars(provider)}"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Answer.json(error_body("server_error")), ProviderOverloaded, "Said"),
        (Answer.json({"ok": True}), ProviderBadRequest, "base_url"),
        (
            Answer(200, {"content-type": "text/html"}, b"<html>Log in"),
            ProviderBadRequest,
            "base_url",
        ),
    ],
)
async def test_an_answer_that_is_no_stream_is_refused(
    answer: Answer,
    error: type[ProviderError],
    words: str,
    server: WireServer,
    provider: Provider,
) -> None:
    server.answers(answer)
    payloads, raised = await until_error(provider)
    assert (payloads, type(raised)) == ([], error)
    assert words in raised.message


async def test_a_server_that_is_not_there_is_named(make: Make) -> None:
    async with WireServer() as server:
        url = server.url
    provider = make(url.replace("//", "//user:secret@"))
    _, error = await until_error(provider)
    assert type(error) is ProviderConnectionError
    assert f"{url}/v1" in error.message
    assert "secret" not in error.message
    with pytest.raises(ProviderConnectionError):
        await provider.models()


@pytest.mark.parametrize(("key", "words"), [(None, "needs a key"), ("schlüssel", "characters")])
async def test_without_a_usable_key_nothing_is_sent(
    key: str | None, words: str, server: WireServer, make: Make
) -> None:
    provider = make(server.url, key=key)
    _, error = await until_error(provider)
    assert type(error) is ProviderAuthError
    assert words in error.message
    assert "OPENAI_API_KEY" in error.message
    with pytest.raises(ProviderAuthError):
        await provider.models()
    assert server.requests == []


def test_an_address_that_is_none_is_a_matter_of_settings(make: Make) -> None:
    with pytest.raises(SettingsError, match="base_url of provider 'openai'"):
        make("http://[oops")


async def test_models_are_listed_by_id(server: WireServer, provider: Provider) -> None:
    models = [{"id": "gpt-5.1", "object": "model"}, {"id": "o3", "object": "model"}]
    server.answers(
        Answer.json({"object": "list", "data": models}),
        Answer.json({"object": "list", "data": None}),
        Answer.json(["?"]),
    )
    assert await provider.models() == ["gpt-5.1", "o3"]
    assert await provider.models() == []
    with pytest.raises(ProviderBadRequest, match="base_url"):
        await provider.models()


async def test_openais_own_environment_is_not_sent_to_others(
    server: WireServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    server.answers(Answer.json({"data": []}))
    await make(server.url).models()
    headers = server.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert not {name for name in headers if name.startswith("openai-")}


async def test_headers_of_the_environment_go_to_the_provider_they_are_named_after(
    server: WireServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: secret\nAuthorization: Bearer secret")
    server.answers(Answer.json({"data": []}), Answer.json({"data": []}))
    await make(server.url, name="openrouter").models()
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "secret" not in str(server.requests[0].headers)
    await make(server.url, name="openai").models()
    assert server.requests[1].headers["x-gateway"] == "secret"
