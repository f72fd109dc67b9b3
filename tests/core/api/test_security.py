"""Who may come in: one test each, on a real server."""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator

import pytest
from cody_core.api.security import is_loopback
from cody_core.api.server import listening
from cody_core.errors import SettingsError
from cody_core.hiding import HIDDEN
from cody_core.providers.scripted import Say, ScriptedProvider
from cody_core.settings import ServerSettings
from cody_core.stderr_log import OWN_LOGGERS, JsonLines
from pydantic import SecretStr
from support.server import Served, served, settings_of

TOKEN = "a token nobody guesses"
BEARER = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}


def provider() -> ScriptedProvider:
    return ScriptedProvider(lambda request: [Say("Hello.")])


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served(provider()) as server:
        yield server


async def refusal(server: Served, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Send a request with those headers; what a refused one says, or nothing."""
    body = b'{"prompt": "x"}' if method == "POST" else None
    answer = await server.http.request(method, path, content=body, headers=headers)
    return answer.status_code, answer.json()["error"]["code"] if answer.is_error else ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_an_address_others_can_reach_is_not_bound_without_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match="CODY_TOKEN"), listening(settings_of(host=host)):
        pass
    with listening(settings_of(host=host, token=TOKEN)) as listener:
        assert listener.getsockname()[1] > 0


def test_an_empty_token_is_none() -> None:
    settings = settings_of(host="0.0.0.0").model_copy(update={"token": SecretStr("")})
    with pytest.raises(SettingsError), listening(settings):
        pass


def test_loopback_is_told_from_the_rest() -> None:
    inside = ["127.0.0.1", "127.8.8.8", "::1", "localhost"]
    outside = ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org", ""]
    assert [is_loopback(host) for host in inside + outside] == [True] * 4 + [False] * 5


async def test_without_the_token_nothing_but_health_and_documents_is_answered() -> None:
    async with served(provider(), token=TOKEN) as server:
        document = (await server.http.get("/openapi.json")).json()
        for path, methods in document["paths"].items():
            for method in methods:
                place = path.replace("{runId}", "x").replace("{threadId}", "x")
                answer = await server.http.request(method.upper(), place)
                assert answer.status_code == (200 if path == "/health" else 401), path
        assert answer.json()["error"]["code"] == "UNAUTHORIZED"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert (await server.http.get("/nothing")).status_code == 401
        assert (await server.http.get("/docs")).status_code == 200


@pytest.mark.parametrize(
    "shown",
    [
        "",
        TOKEN,
        "Bearer",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
    ],
)
async def test_only_the_whole_token_opens(shown: str) -> None:
    async with served(provider(), token=TOKEN) as server:
        headers = {"authorization": shown}
        assert await refusal(server, "GET", "/api/v2/threads", **headers) == (401, "UNAUTHORIZED")
        assert await refusal(server, "GET", "/api/v2/threads", **BEARER) == (200, "")


async def test_the_time_it_takes_to_refuse_a_token_says_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guesses = [b"b", TOKEN[:-1].encode(), TOKEN.encode()]
    compared: list[tuple[bytes, bytes]] = []
    in_constant_time = hmac.compare_digest

    def noted(shown: bytes, token: bytes) -> bool:
        compared.append((shown, token))
        return in_constant_time(shown, token)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    async with served(provider(), token=TOKEN) as server:
        for guess in guesses:
            headers = {b"authorization": b"Bearer " + guess}
            await server.http.get("/api/v2/threads", headers=headers)
    # However much of it is right, nothing else decides.
    assert compared == [(guess, TOKEN.encode()) for guess in guesses]


async def test_the_token_counts_in_the_header_alone() -> None:
    async with served(provider(), token=TOKEN) as server:
        for query in ("token", "access_token", "authorization"):
            answer = await server.http.get("/api/v2/threads", params={query: TOKEN})
            assert answer.status_code == 401
        cookies = {"cookie": f"token={TOKEN}"}
        assert (await server.http.get("/api/v2/threads", headers=cookies)).status_code == 401


async def test_a_token_shown_twice_is_no_token() -> None:
    async with served(provider(), token=TOKEN) as server:
        twice = [("authorization", f"Bearer {TOKEN}")] * 2
        assert (await server.http.get("/api/v2/threads", headers=twice)).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4010", "127.0.0.1.evil.example", "10.0.0.1", "[::1", ""]
)
async def test_a_name_that_is_not_ours_is_refused(server: Served, host: str) -> None:
    assert await refusal(server, "GET", "/health", host=host) == (403, "FORBIDDEN_HOST")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:4010"])
async def test_the_names_of_loopback_are_ours(server: Served, host: str) -> None:
    assert await refusal(server, "GET", "/health", host=host) == (200, "")


async def test_names_that_are_set_are_ours() -> None:
    async with served(provider(), serve=ServerSettings(allowed_hosts=("Cody.Example",))) as server:
        assert await refusal(server, "GET", "/health", host="cody.example:80") == (200, "")
        assert (await refusal(server, "GET", "/health", host="x.cody.example"))[0] == 403


async def test_on_an_open_address_any_address_is_ours_and_no_strange_name() -> None:
    async with served(provider(), token=TOKEN, host="0.0.0.0") as server:
        assert await refusal(server, "GET", "/health", host="192.0.2.7:4010") == (200, "")
        assert (await refusal(server, "GET", "/health", host="evil.example"))[0] == 403


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost", "http://127.0.0.1:1", ""]
)
async def test_a_page_of_another_origin_is_refused(
    server: Served, method: str, origin: str
) -> None:
    path = "/api/v2/submit" if method == "POST" else "/api/v2/threads"
    headers = {**JSON, "origin": origin, "access-control-request-method": "GET"}
    assert await refusal(server, method, path, **headers) == (403, "FORBIDDEN_ORIGIN")


async def test_a_page_of_the_server_itself_may_use_it(server: Served) -> None:
    headers = {**JSON, "origin": server.url, "sec-fetch-site": "same-origin"}
    assert await refusal(server, "POST", "/api/v2/submit", **headers) == (202, "")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_request_a_browser_calls_foreign_is_refused(server: Served, site: str) -> None:
    headers = {"sec-fetch-site": site}
    assert await refusal(server, "GET", "/api/v2/threads", **headers) == (403, "FORBIDDEN_ORIGIN")


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
        "x",
        "application/jsonx",
        "text/plain; application/json",
    ],
)
@pytest.mark.parametrize("path", ["submit", "threads", f"runs/{'0' * 8}/cancel"])
async def test_what_a_form_can_send_is_refused(server: Served, kind: str, path: str) -> None:
    found = await refusal(server, "POST", f"/api/v2/{path}", **{"content-type": kind})
    assert found == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await server.core.threads()).threads == ()


async def test_a_body_that_does_not_say_what_it_is_is_refused(server: Served) -> None:
    assert (await refusal(server, "POST", "/api/v2/submit"))[0] == 415
    assert (await server.http.post("/api/v2/submit")).status_code == 400


async def test_there_are_no_cors_headers_unless_they_are_set(server: Served) -> None:
    answer = await server.http.get("/health", headers={"origin": server.url})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_an_origin_that_is_set_may_use_the_server_with_the_token() -> None:
    origin = "https://ui.example"
    serve = ServerSettings(allowed_origins=(origin,))
    async with served(provider(), token=TOKEN, serve=serve) as server:
        asked = {
            "origin": origin,
            "access-control-request-method": "PATCH",
            "access-control-request-headers": "authorization, content-type, last-event-id",
        }
        preflight = await server.http.options("/api/v2/threads/x", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == origin
        assert (await server.http.get("/api/v2/info", headers={"origin": origin})).is_error
        headers = {"origin": origin, **BEARER}
        answer = await server.http.get("/api/v2/info", headers=headers)
        assert answer.headers["access-control-allow-origin"] == origin
        headers["origin"] = "https://other.example"
        assert (await server.http.get("/api/v2/info", headers=headers)).status_code == 403


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused(is_chunked: bool) -> None:
    async with served(provider(), serve=ServerSettings(max_body=1000)) as server:
        body = b'{"prompt": "%b"}' % (b"x" * 2000)

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(body), 100):
                yield body[at : at + 100]

        content = pieces() if is_chunked else body
        answer = await server.http.post("/api/v2/submit", content=content, headers=JSON)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")
        assert (await server.http.post("/api/v2/submit", json={"prompt": "x"})).is_success


async def test_neither_token_nor_query_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(provider(), token=TOKEN, headers=BEARER) as server:
        await server.ask()
        await server.http.get("/api/v2/threads", params={"token": TOKEN, "q": "private"})
        await server.http.get("/api/v2/threads", headers={"authorization": f"x {TOKEN}"})
    own = [record for record in caplog.records if record.name.startswith(OWN_LOGGERS)]
    lines = [JsonLines([]).format(record) for record in own]
    assert any("/api/v2/threads" in line for line in lines)
    assert not [line for line in lines if TOKEN in line or "private" in line]


def test_a_secret_that_gets_into_a_log_line_is_taken_out() -> None:
    try:
        raise ValueError(TOKEN)
    except ValueError as error:
        found = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("n", logging.ERROR, "p", 1, "it is %s", (TOKEN,), found)
    record.fields = {"path": f"/{TOKEN}/\x1b[31m", "status": 500}
    line = JsonLines(["token", TOKEN, ""]).format(record)
    assert TOKEN not in line
    assert line.count(HIDDEN) == 3
    assert "\x1b" not in line


def test_keys_are_among_the_secrets_and_so_is_the_token() -> None:
    assert settings_of(token=TOKEN, openai_api_key="sk-1").secrets >= {TOKEN, "sk-1"}
