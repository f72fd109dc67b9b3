"""What a remote screen looks up, and the state of the server, over a real one."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cody_core import __version__, runtime
from cody_core.providers.scripted import Say, ScriptedProvider
from cody_core.settings import AgentSettings
from support.redis import RedisServer
from support.server import Served, served


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served(ScriptedProvider(lambda request: [Say("Hello.")])) as server:
        yield server


async def test_a_server_that_is_well_says_so(server: Served) -> None:
    answer = await server.http.get("/health")
    expected = {"status": "ok", "version": __version__, "log": "ok", "store": "ok"}
    assert (answer.status_code, answer.json()) == (200, expected)


async def test_models_are_listed_with_the_default_marked(server: Served) -> None:
    found = (await server.http.get("/api/v2/models", params={"refresh": "false"})).json()
    known = (await server.core.models()).models
    assert [model["name"] for model in found["models"]] == [model.name for model in known]
    default = next(model for model in found["models"] if model["isDefault"])
    assert default == {
        "id": "model",
        "providerId": "scripted",
        "name": "scripted/model",
        "contextTokens": None,
        "maxOutputTokens": None,
        "price": None,
        "isDefault": True,
    }
    assert found["unreachable"] == []


async def test_prices_are_told_where_they_are_known() -> None:
    async with served(ScriptedProvider([]), openai_api_key="sk-none") as server:
        listed = (await server.http.get("/api/v2/models")).json()["models"]
    price = next(model["price"] for model in listed if model["price"] is not None)
    assert set(price) == {"prompt", "completion", "cached", "cacheWrite", "asOf"}


async def test_the_server_says_where_things_are_and_what_counts(tmp_path: Path) -> None:
    agents = {"reviewer": AgentSettings(system="Secret.", policy="read-only", tools=("shell",))}
    async with served(ScriptedProvider([]), agents=agents, reasoning_effort="low") as server:
        found = (await server.http.get("/api/v2/info")).json()
    assert found == {
        "version": __version__,
        "log": "memory",
        "store": str(tmp_path / "home" / "cody.db"),
        "workspace": str(tmp_path / "work"),
        "home": str(tmp_path / "home"),
        "policy": "full-auto",
        "reasoningEffort": "low",
        "agents": [
            {
                "name": "reviewer",
                "model": None,
                "policy": "read-only",
                "reasoningEffort": None,
                "tools": ["shell"],
            }
        ],
    }


async def test_files_are_found_and_read(server: Served, tmp_path: Path) -> None:
    (tmp_path / "work" / "bees.txt").write_text("about bees")
    (tmp_path / "work" / "whales.txt").write_text("about whales")
    found = await server.http.get("/api/v2/files", params={"q": "bees", "limit": 1})
    assert (found.status_code, found.json()) == (200, {"paths": ["bees.txt"]})
    read = await server.http.get("/api/v2/attachment", params={"path": "bees.txt"})
    expected = {"path": "bees.txt", "content": "about bees", "size": 10, "isCut": False}
    assert (read.status_code, read.json()) == (200, expected)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nowhere.txt", 404, "NOT_FOUND"),
        ("../home/cody.db", 400, "INVALID_REQUEST"),
        ("/etc/passwd", 400, "INVALID_REQUEST"),
        (".", 400, "INVALID_REQUEST"),
        ("a\0b", 400, "VALIDATION_ERROR"),
        ("", 400, "VALIDATION_ERROR"),
        ("x/" * 2000, 404, "NOT_FOUND"),
    ],
    ids=range(7),
)
async def test_a_file_that_cannot_be_read_is_not(
    server: Served, path: str, status: int, code: str
) -> None:
    answer = await server.http.get("/api/v2/attachment", params={"path": path})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_the_document_of_the_api_is_there(server: Served) -> None:
    assert (await server.http.get("/docs")).status_code == 200
    document = (await server.http.get("/openapi.json")).json()
    assert len(document["paths"]) == 15
    assert "422" not in str(document)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v2/nothing", 404, "NOT_FOUND"),
        ("GET", "/", 404, "NOT_FOUND"),
        ("GET", "/api/v2/submit", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_what_no_route_takes_is_an_error_of_the_same_shape(
    server: Served, method: str, path: str, status: int, code: str
) -> None:
    answer = await server.http.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_store_that_is_away_is_told_without_saying_where_it_is(
    server: Served, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "home" / "cody.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    answer = await server.http.post("/api/v2/threads", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "STORE_UNAVAILABLE")
    assert str(tmp_path) not in answer.text
    other.close()


async def test_a_store_that_cannot_be_read_is_told_in_general_terms(
    server: Served, tmp_path: Path
) -> None:
    made = (await server.http.post("/api/v2/threads", json={})).json()
    other = sqlite3.connect(tmp_path / "home" / "cody.db", isolation_level=None)
    other.execute("UPDATE threads SET tags = '{'")
    other.close()
    answer = await server.http.get(f"/api/v2/threads/{made['threadId']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "STORE_CORRUPT")
    assert str(tmp_path) not in answer.text
    health = await server.http.get("/health")
    assert (health.status_code, health.json()["store"]) == (200, "unavailable")


async def test_a_log_that_is_away_is_told_of(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "ANSWER_SECONDS", 0.1)
    async with served(ScriptedProvider([]), redis_url=own_redis.url) as server:
        own_redis.stop()
        health = (await server.http.get("/health", timeout=30)).json()
        asked = await server.http.post("/api/v2/submit", json={"prompt": "x"}, timeout=30)
    expected = {"status": "degraded", "version": __version__, "log": "unavailable", "store": "ok"}
    assert health == expected
    assert (asked.status_code, asked.json()["error"]["code"]) == (503, "REDIS_UNAVAILABLE")
