from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from cody_core.errors import ProviderAuthError, ProviderConnectionError, UnknownProvider
from cody_core.providers.demo_scripts import SCRIPTS
from cody_core.providers.pool import ADAPTERS, ProviderPool
from cody_core.providers.scripted import Say, ScriptedProvider
from cody_core.schema.requests import ModelRequest
from cody_core.settings import Settings, load_settings
from support.shapes import RUN


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return load_settings()


async def test_a_provider_is_made_once_however_many_ask_at_once(settings: Settings) -> None:
    pool = ProviderPool(settings)
    found = await asyncio.gather(*(pool.get("demo") for _ in range(5)))
    assert len(set(map(id, found))) == 1
    assert await found[0].models() == tuple(SCRIPTS)
    await pool.aclose()


async def test_a_provider_that_is_there_wins_over_a_configured_one(settings: Settings) -> None:
    mine = ScriptedProvider([])
    pool = ProviderPool(settings, {"openai": mine, "new": mine})
    assert await pool.get("openai") is mine
    assert await pool.get("new") is mine


async def test_a_provider_that_nobody_configured_is_refused(settings: Settings) -> None:
    with pytest.raises(UnknownProvider, match="'nobody' is not configured"):
        await ProviderPool(settings).get("nobody")


async def test_a_missing_key_is_told_when_the_provider_is_first_asked(settings: Settings) -> None:
    pool = ProviderPool(settings)
    provider = await pool.get("openai")
    with pytest.raises(ProviderAuthError, match="OPENAI_API_KEY"):
        await anext(provider.stream(ModelRequest(response_id=RUN, model="m", items=())))
    await pool.aclose()


async def test_closing_the_pool_closes_its_providers(settings: Settings) -> None:
    provider = ScriptedProvider([[Say("hi")]])
    pool = ProviderPool(settings, {"mine": provider})
    await pool.aclose()
    with pytest.raises(ProviderConnectionError):
        await anext(provider.stream(ModelRequest(response_id=RUN, model="m", items=())))


class Stuck(ScriptedProvider):
    async def aclose(self) -> None:
        raise ConnectionResetError


async def test_a_provider_that_fails_to_close_keeps_no_other_open(settings: Settings) -> None:
    first, last = ScriptedProvider([[Say("Hi")]]), ScriptedProvider([[Say("Hi")]])
    pool = ProviderPool(settings, {"first": first, "stuck": Stuck([]), "last": last})
    with pytest.raises(ConnectionResetError):
        await pool.aclose()
    for closed in (first, last):
        with pytest.raises(ProviderConnectionError):
            await anext(closed.stream(ModelRequest(response_id=RUN, model="m", items=())))


def test_making_a_pool_imports_no_adapter() -> None:
    code = (
        "import sys; from cody_core.providers.pool import ADAPTERS, ProviderPool;"
        "from cody_core.settings import Settings; ProviderPool(Settings.model_construct());"
        "print(*sorted({*ADAPTERS.values(), 'openai', 'anthropic'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("\n", "")
    assert len(ADAPTERS) == 4
