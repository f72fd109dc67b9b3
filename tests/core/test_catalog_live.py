"""What providers say they have, what tokens cost, and where a core keeps things."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from cody_core.errors import ProviderConnectionError
from cody_core.providers.catalog import askable, known_models, resolve
from cody_core.providers.pool import ProviderPool
from cody_core.providers.scripted import ScriptedProvider
from cody_core.runtime import open_runtime
from cody_core.schema.events import Payload
from cody_core.schema.prices import Price, cost
from cody_core.schema.requests import ModelRequest
from cody_core.schema.response import Usage
from cody_core.settings import ProviderSettings, Settings, load_settings
from support.redis import RedisServer

USAGE = Usage(
    prompt_tokens=1_000_000,
    completion_tokens=100_000,
    total_tokens=1_100_000,
    cached_tokens=600_000,
    cache_write_tokens=200_000,
)


class Offering(ScriptedProvider):
    """A provider that lists models, or cannot be reached."""

    def __init__(self, *ids: str, is_away: bool = False) -> None:
        super().__init__([])
        self._ids, self._is_away = ids, is_away

    def stream(self, request: ModelRequest) -> AsyncGenerator[Payload]:
        raise NotImplementedError

    async def models(self) -> Sequence[str]:
        if self._is_away:
            msg = "nobody is there"
            raise ProviderConnectionError(msg)
        return self._ids


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return load_settings(home=tmp_path / "home", openai_api_key="k", model="openai/gpt-5")


def pool(settings: Settings) -> ProviderPool:
    away = {name: Offering(is_away=True) for name in ("lmstudio", "vllm", "llamacpp")}
    there = {
        "ollama": Offering("qwen3:8b", "llama3.3"),
        "openai": Offering("gpt-9", "gpt-5", "text-embedding-9", "gpt-9-realtime"),
        "demo": Offering("tour"),
    }
    return ProviderPool(settings, {**away, **there})


async def test_a_refreshed_list_holds_what_providers_say_and_who_was_silent(
    settings: Settings,
) -> None:
    async with open_runtime(settings, providers=pool(settings)) as client:
        before = {model.name for model in (await client.models()).models}
        answer = await client.models(refresh=True)
    names = [model.name for model in answer.models]
    assert {"ollama/qwen3:8b", "ollama/llama3.3", "openai/gpt-9"} == set(names) - before
    assert len(names) == len(set(names))
    assert answer.unreachable == ("lmstudio", "vllm", "llamacpp")
    assert [model.name for model in answer.models if model.is_default] == ["openai/gpt-5"]


def test_only_providers_that_would_answer_are_asked(settings: Settings) -> None:
    assert askable(settings) == ["openai", "ollama", "lmstudio", "vllm", "llamacpp", "demo"]


async def test_a_core_says_where_things_are_and_keeps_passwords(
    settings: Settings, redis_server: RedisServer
) -> None:
    async with open_runtime(settings) as client:
        info = await client.info()
    assert (info.log, info.store) == ("memory", str(settings.home / "cody.db"))
    assert (info.workspace, info.home) == (str(settings.workspace), str(settings.home))
    shared = settings.model_copy(update={"redis_url": f"{redis_server.url}?client_name=hush"})
    async with open_runtime(shared) as client:
        assert (await client.info()).log == redis_server.url


def test_a_price_is_known_only_at_the_vendor_itself(settings: Settings) -> None:
    assert resolve(settings, "openai/gpt-5", None).price is not None
    proxy = settings.model_copy(update={"openai_base_url": "http://127.0.0.1:1/v1"})
    assert resolve(proxy, "openai/gpt-5", None).price is None
    assert all(model.price is None for model in known_models(settings) if model.id == "tour")


@pytest.mark.parametrize(
    ("price", "dollars"),
    [
        (Price(prompt=1, completion=10, as_of="2025-01-01"), 1 + 1),
        (Price(prompt=1, completion=10, cached=0.1, as_of="2025-01-01"), 0.4 + 0.06 + 1),
        (
            Price(prompt=1, completion=10, cached=0.1, cache_write=1.25, as_of="2025-01-01"),
            0.2 + 0.06 + 0.25 + 1,
        ),
    ],
)
def test_cached_tokens_cost_what_the_price_says(price: Price, dollars: float) -> None:
    assert cost(price, USAGE) == pytest.approx(dollars)


def test_a_provider_of_ones_own_needs_no_key_to_be_asked(settings: Settings) -> None:
    own = {"lan": ProviderSettings(base_url="http://10.0.0.1/v1")}
    assert "lan" in askable(settings.model_copy(update={"providers": own}))
