"""Providers are asked for their models, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from cody_core.checkup import Finding
from cody_core.checkup.providers import local_models, provider, providers_meant
from cody_core.glance import config_path
from cody_core.settings import load_settings
from wire.openai_checks import check_responses
from wire.server import Answer, WireServer

KEY = "sk-very-secret"
REFUSAL = {"error": {"message": f"Incorrect API key: {KEY}", "code": "invalid_api_key"}}


@pytest.fixture
async def wire() -> AsyncIterator[WireServer]:
    async with WireServer(check_responses) as server:
        yield server


def listing(*names: str) -> Answer:
    return Answer.json({"object": "list", "data": [{"id": name} for name in names]})


async def asked(url: str, name: str = "openai", **more: Any) -> Finding:
    said = {"openai_base_url": url, "openai_api_key": KEY, **more}
    (found,) = await provider(load_settings(**said), name)
    assert KEY not in f"{found.text} {found.remedy}"
    assert found.subject == f"provider {name}"
    return found


async def test_one_that_answers_is_in_order(wire: WireServer) -> None:
    wire.answers(listing("gpt-5", "gpt-5-mini"))
    found = await asked(f"{wire.url}/v1")
    assert found.state == "ok"
    assert found.text.endswith("offers 2 models")


async def test_a_key_that_is_refused_is_told_from_a_network_that_is_not_there(
    wire: WireServer,
) -> None:
    wire.answers(Answer.error(401, REFUSAL))
    refused = await asked(f"{wire.url}/v1")
    assert (refused.state, refused.text.partition(":")[0]) == ("problem", "it refuses the key")
    assert "OPENAI_API_KEY" in (refused.remedy or "")
    away = await asked("http://127.0.0.1:1/v1")
    assert (away.state, away.text.partition(":")[0]) == ("problem", "it cannot be reached")
    assert "network" in (away.remedy or "")


async def test_one_that_says_nothing_is_not_waited_for(wire: WireServer) -> None:
    wire.answers(Answer(delay=30.0))
    mine = {"base_url": f"{wire.url}/v1", "api_key": KEY, "timeout": 0.2}
    found = await asked("", "mine", providers={"mine": mine})
    assert (found.state, found.remedy) == ("problem", "start it, or set its base_url")
    assert "cannot be reached" in found.text


async def test_one_that_answers_something_else_may_work_all_the_same(wire: WireServer) -> None:
    for status in (404, 429, 503):
        wire.answers(Answer.error(status, {"error": {"message": "no"}}))
        found = await asked(f"{wire.url}/v1")
        assert found.state == "note"
        assert found.text.startswith("it answers")


async def test_a_missing_key_is_named() -> None:
    (found,) = await provider(load_settings(model="claude-haiku-4.5"), "anthropic")
    assert (found.state, found.text.partition(":")[0]) == ("problem", "there is no key for it")
    assert "ANTHROPIC_API_KEY" in (found.remedy or "")


async def test_what_a_file_of_the_users_does_is_its_finding() -> None:
    path = config_path().parent / "providers" / "acme.py"
    path.parent.mkdir(parents=True)
    path.write_text("nonsense")
    (found,) = await provider(load_settings(), "acme")
    assert (found.state, "NameError" in found.text) == ("problem", True)
    path.write_text(
        "class Acme:\n"
        "    async def models(self):\n        raise KeyError\n"
        "    async def aclose(self):\n        pass\n"
        "def create(settings, *, name):\n    return Acme()\n"
    )
    (found,) = await provider(load_settings(), "acme")
    assert (found.state, found.remedy) == ("problem", "mend acme.py")
    assert "KeyError" in found.text


def test_only_those_are_asked_that_somebody_counts_on() -> None:
    assert providers_meant(load_settings()) == []
    assert providers_meant(load_settings(model="ollama/qwen3")) == ["ollama"]
    assert providers_meant(load_settings(model="nonsense", openai_api_key=KEY)) == ["openai"]
    said = {"work": {"base_url": "http://w/v1"}, "vllm": {"models": ["m"]}}
    assert providers_meant(load_settings(providers=said)) == ["vllm", "work"]


async def test_servers_of_this_machine_are_found(wire: WireServer) -> None:
    wire.answers(listing("qwen3:8b"))
    nowhere = {"base_url": "http://127.0.0.1:1/v1"}
    there = {"base_url": f"{wire.url}/v1"}
    elsewhere = {"lmstudio": nowhere, "llamacpp": nowhere}
    (none,) = await local_models(load_settings(providers={"ollama": nowhere}))
    assert none.state == "note"
    found = await local_models(load_settings(providers={"ollama": there, **elsewhere}))
    assert [each.subject for each in found] == ["local models"]
