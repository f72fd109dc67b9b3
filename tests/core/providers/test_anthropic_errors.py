from __future__ import annotations

import socket
import time
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
from cody_core.providers.anthropic import AnthropicProvider
from cody_core.schema.events import ItemDelta, Payload
from pydantic import SecretStr
from wire.anthropic_checks import error
from wire.anthropic_client import KEY, collect, settings, wired
from wire.server import ALL_CUTS, Answer, recording


def streamed(payloads: list[Payload]) -> list[str]:
    return [payload.delta_content for payload in payloads if isinstance(payload, ItemDelta)]


async def test_an_error_in_the_stream_keeps_what_came_before_it() -> None:
    async with wired() as (server, provider):
        for cut in ALL_CUTS:
            seen: list[Payload] = []
            server.answers(Answer.sse(recording("anthropic/overloaded.sse"), cuts=cut))
            with pytest.raises(ProviderOverloaded, match=r"Overloaded \(overloaded_error\)"):
                await collect(provider, into=seen)
            assert streamed(seen) == ["One mo"], cut.__name__


REFUSALS = [
    (401, "authentication_error", "invalid key", ProviderAuthError),
    (403, "permission_error", "not yours", ProviderAuthError),
    (400, "billing_error", "no credit", ProviderBadRequest),
    (400, "invalid_request_error", "max_tokens: too many", ProviderBadRequest),
    (
        400,
        "invalid_request_error",
        "prompt is too long: 5 tokens > 4 maximum",
        ProviderContextTooLong,
    ),
    (
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 5 + 4 > 8",
        ProviderContextTooLong,
    ),
    (413, "request_too_large", "Request exceeds the maximum size", ProviderContextTooLong),
    (404, "not_found_error", "model: claude-9", ProviderBadRequest),
    (409, "conflict_error", "busy", ProviderBadRequest),
    (429, "rate_limit_error", "slow down", ProviderRateLimited),
    (408, "timeout_error", "too slow", ProviderTimeout),
    (504, "timeout_error", "too slow", ProviderTimeout),
    (500, "api_error", "Internal server error", ProviderOverloaded),
    (529, "overloaded_error", "Overloaded", ProviderOverloaded),
    (503, "a_new_error", "Come back later", ProviderOverloaded),
]


@pytest.mark.parametrize(("status", "kind", "said", "expected"), REFUSALS)
async def test_a_refusal_becomes_the_error_it_is(
    status: int, kind: str, said: str, expected: type[ProviderError]
) -> None:
    async with wired() as (server, provider):
        server.answers(Answer.error(status, error(kind, f"{said} for {KEY}")))
        with pytest.raises(ProviderError) as caught:
            await collect(provider)
        assert len(server.requests) == 1
    assert type(caught.value) is expected
    assert said in caught.value.message
    assert KEY not in caught.value.message
    if expected is ProviderAuthError:
        assert "ANTHROPIC_API_KEY" in caught.value.message


async def test_an_error_page_that_is_not_json_goes_by_its_status() -> None:
    async with wired() as (server, provider):
        server.answers(Answer(502, {"content-type": "text/html"}, b"<h1>Bad gateway</h1>"))
        with pytest.raises(ProviderOverloaded, match="HTTP status 502"):
            await collect(provider)


async def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    limited = error("rate_limit_error", "slow down")
    async with wired() as (server, provider):
        date = formatdate(time.time() + 90, usegmt=True)
        never = (f"Mon, 01 Jan {year} 00:00:00 GMT" for year in ("9999999", "9" * 30))
        for header in ("17", date, "soon", *never):
            server.answers(Answer.error(429, limited, {"retry-after": header}))
        waits = []
        for _ in range(5):
            with pytest.raises(ProviderRateLimited) as caught:
                await collect(provider)
            waits.append(caught.value.retry_after)
    assert waits[0] == 17.0
    assert waits[1] == pytest.approx(90, abs=5)
    assert waits[2:] == [None] * 3


@pytest.mark.parametrize(
    ("body", "then"),
    [
        (recording("anthropic/cut_off.sse"), "close"),
        (recording("anthropic/cut_off.sse"), "break"),
        (recording("anthropic/cut_off.sse") + b"data: {not json\n\n", "close"),
        (recording("anthropic/cut_off.sse") + b"data: [DONE]\n\n", "close"),
        (b'data: {"type":"content_block_start","index":0}\n\n', "close"),
        (b"", "close"),
    ],
    ids=["ends early", "connection breaks", "not json", "not an object", "no block", "empty"],
)
async def test_a_stream_that_is_not_whole_is_broken(body: bytes, then: Any) -> None:
    async with wired() as (server, provider):
        server.answers(Answer.sse(body, then=then))
        with pytest.raises(ProviderStreamBroken):
            await collect(provider)


async def test_silence_before_the_answer_is_a_timeout() -> None:
    async with wired(timeout=0.2) as (server, provider):
        server.answers(Answer.sse(b"", delay=30))
        with pytest.raises(ProviderTimeout, match=r"sent nothing for 0\.2 seconds"):
            await collect(provider)


async def test_silence_in_the_midst_of_an_answer_is_a_timeout() -> None:
    seen: list[Payload] = []
    async with wired(timeout=0.2) as (server, provider):
        server.answers(Answer.sse(recording("anthropic/cut_off.sse"), then="hang"))
        with pytest.raises(ProviderTimeout, match=r"sent nothing for 0\.2 seconds"):
            await collect(provider, into=seen)
    assert streamed(seen) == ["The rest is"]


async def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        secret = url.replace("//", "//user:secret@")
        provider = AnthropicProvider(settings(secret), name="anthropic")
        with pytest.raises(ProviderConnectionError, match=url) as caught:
            await collect(provider)
        assert "secret" not in caught.value.message
        await provider.aclose()


def test_an_address_that_is_none_is_a_matter_of_settings() -> None:
    with pytest.raises(SettingsError, match="base_url of provider 'anthropic'"):
        AnthropicProvider(settings("http://[oops"), name="anthropic")


@pytest.mark.parametrize("key", ["sk-ant-one\nsk-ant-two", "schlüssel"])
async def test_a_key_that_cannot_be_one_is_neither_sent_nor_shown(key: str) -> None:
    async with wired(api_key=SecretStr(key)) as (server, provider):
        with pytest.raises(ProviderAuthError, match="ANTHROPIC_API_KEY") as caught:
            await collect(provider)
        assert not set(key.split()) & set(caught.value.message.split())
        assert "sk-ant" not in caught.value.message
        assert server.requests == []


async def test_what_is_no_list_of_models_is_refused() -> None:
    async with wired() as (server, provider):
        page = Answer(200, {"content-type": "text/html"}, b"<html>Log in")
        broken = Answer(200, {"content-type": "application/json"}, b"{")
        server.answers(page, Answer.json(["?"]), broken)
        for _ in range(3):
            with pytest.raises(ProviderBadRequest, match="base_url"):
                await provider.models()


@pytest.mark.parametrize("key", [None, SecretStr(""), SecretStr(" ")])
async def test_without_a_key_nothing_is_asked(
    key: SecretStr | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-from-elsewhere")
    async with wired(api_key=key) as (server, provider):
        with pytest.raises(ProviderAuthError, match="ANTHROPIC_API_KEY"):
            await collect(provider)
        with pytest.raises(ProviderAuthError, match="ANTHROPIC_API_KEY"):
            await provider.models()
        assert server.requests == []


async def test_a_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    async with wired(api_key=None, api_key_env=None) as (server, provider):
        server.answers(Answer.sse(recording("anthropic/text.sse")))
        await collect(provider)
        assert KEY not in str(server.requests[0].headers)


async def test_headers_of_the_environment_go_to_the_provider_they_are_named_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Gateway: secret")
    async with wired() as (server, provider):
        other = AnthropicProvider(settings(server.url), name="other")
        for asked in (other, provider):
            server.answers(Answer.sse(recording("anthropic/text.sse")))
            await collect(asked)
        await other.aclose()
        sent = [request.headers.get("x-gateway") for request in server.requests]
    assert sent == [None, "secret"]
