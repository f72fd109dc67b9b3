from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cody_core.errors import InvalidModel, UnknownProvider
from cody_core.providers.catalog import known_efforts, known_models, resolve
from cody_core.schema.models import ModelInfo
from cody_core.settings import ProviderSettings, Settings, load_settings

PROVIDERS = {"mine": {"base_url": "http://m", "models": ["small", "gpt-5"]}, "bare": {}}


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        for prefix in ("", "CODY_", "CORE2_"):
            monkeypatch.delenv(f"{prefix}{name.upper()}", raising=False)
    for name in ("OPENROUTER_API_KEY", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def with_settings(**flags: Any) -> Settings:
    return load_settings(**{"providers": PROVIDERS, **flags})


def test_efforts_are_known_of_models_by_whoever_serves_them() -> None:
    assert known_efforts("gpt-5.1") == ["none", "low", "medium", "high"]
    assert known_efforts("claude-haiku-4.5") == ()
    assert known_efforts("unheard-of") == ()


@pytest.mark.parametrize(
    ("model", "provider_id", "expected"),
    [
        (None, None, "demo/tour"),
        (None, "openai", "openai/gpt-5.1-codex-mini"),
        (None, "anthropic", "anthropic/claude-haiku-4.5"),
        (None, "mine", "mine/small"),
        ("gpt-5", None, "openai/gpt-5"),
        ("gpt-9-new", None, "openai/gpt-9-new"),
        ("o3-mini", None, "openai/o3-mini"),
        ("claude-next", None, "anthropic/claude-next"),
        ("echo", None, "demo/echo"),
        ("small", None, "mine/small"),
        ("mine/other", None, "mine/other"),
        ("bare/a/b", None, "bare/a/b"),
        ("openai/gpt-5", None, "openai/gpt-5"),
        ("openai/gpt-5", "openai", "openai/gpt-5"),
        ("openai/gpt-5", "openrouter", "openrouter/openai/gpt-5"),
        ("openrouter/auto", "openrouter", "openrouter/openrouter/auto"),
        ("gpt-5", "mine", "mine/gpt-5"),
        ("anything", "openai", "openai/anything"),
        ("claude-next", "bare", "bare/claude-next"),
    ],
)
def test_a_name_means_a_model_of_a_provider(
    model: str | None, provider_id: str | None, expected: str
) -> None:
    assert resolve(with_settings(), model, provider_id).name == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"openai_api_key": "k", "anthropic_api_key": "k"}, "openai/gpt-5.1-codex-mini"),
        ({"anthropic_api_key": "k"}, "anthropic/claude-haiku-4.5"),
        ({"model": "claude-opus-4.1", "openai_api_key": "k"}, "anthropic/claude-opus-4.1"),
        ({"model": "mine/x"}, "mine/x"),
        ({"model": "x", "provider_id": "bare"}, "bare/x"),
        ({"provider_id": "mine"}, "mine/small"),
        ({"model": "demo/echo", "provider_id": "demo"}, "demo/echo"),
    ],
)
def test_without_a_name_the_settings_decide(flags: dict[str, str], expected: str) -> None:
    assert resolve(with_settings(**flags), None, None).name == expected


def test_the_model_of_the_settings_is_the_default_of_their_provider_only() -> None:
    settings = with_settings(model="demo/echo", provider_id="demo")
    assert resolve(settings, None, "demo").name == "demo/echo"
    assert resolve(settings, None, "openai").name == "openai/gpt-5.1-codex-mini"


def test_a_name_that_does_not_tell_is_of_the_provider_of_the_settings() -> None:
    settings = with_settings(provider_id="bare")
    assert resolve(settings, "llama", None).name == "bare/llama"
    assert resolve(settings, "gpt-5", None).name == "openai/gpt-5"


@pytest.mark.parametrize(
    ("model", "provider_id", "message"),
    [
        ("llama", None, "provider of model 'llama' cannot be told: write it as 'provider/llama'"),
        ("demo/", None, "cannot be told"),
        ("claude-opus-4.1", "openai", "'claude-opus-4.1' is anthropic's, not openai's"),
        ("anthropic/gpt-5", None, "'gpt-5' is openai's, not anthropic's"),
        (None, "bare", "provider 'bare' has no default model: name one with --model bare/NAME"),
    ],
)
def test_a_model_that_cannot_be_told_or_does_not_fit_is_refused(
    model: str | None, provider_id: str | None, message: str
) -> None:
    with pytest.raises(InvalidModel, match=message):
        resolve(with_settings(), model, provider_id)


def test_an_unknown_provider_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownProvider, match=r"'nobody' is not configured.*openai.*mine, bare"):
        resolve(with_settings(), "x", "nobody")


@pytest.mark.parametrize(
    ("limit", "model", "context"),
    [
        (None, "claude-opus-4.1", 200_000),
        (50_000, "claude-opus-4.1", 50_000),
        (900_000, "claude-opus-4.1", 200_000),
        (None, "claude-next", None),
        (50_000, "claude-next", 50_000),
    ],
)
def test_the_window_is_the_smaller_of_the_models_and_the_settings(
    limit: int | None, model: str, context: int | None
) -> None:
    found = resolve(with_settings(context_tokens=limit), model, None)
    assert found.model_copy(update={"price": None}) == ModelInfo(
        id=model,
        provider_id="anthropic",
        context_tokens=context,
        max_output_tokens=32_000 if context and model != "claude-next" else None,
    )


def names(settings: Settings) -> list[str]:
    return [info.name for info in known_models(settings)]


def default(settings: Settings) -> list[str]:
    return [info.name for info in known_models(settings) if info.is_default]


def test_the_models_of_what_can_be_used_are_offered_and_the_default_marked() -> None:
    models = ("tour", "echo", "long", "tools", "work", "script", "fail", "refuse")
    demo = [f"demo/{name}" for name in models]
    settings = with_settings()
    assert names(settings) == [*demo, "mine/small", "mine/gpt-5"]
    assert default(settings) == ["demo/tour"]
    with_key = with_settings(anthropic_api_key="k")
    claudes = [f"anthropic/claude-{name}" for name in ("opus-4.1", "sonnet-4.5", "haiku-4.5")]
    assert names(with_key) == [*claudes, *demo, "mine/small", "mine/gpt-5"]
    assert default(with_key) == ["anthropic/claude-haiku-4.5"]


def test_a_default_that_nobody_lists_is_offered_first() -> None:
    settings = with_settings(model="bare/new")
    assert names(settings)[0] == "bare/new"
    assert default(settings) == ["bare/new"]


def test_a_provider_with_a_key_of_its_own_is_offered_with_what_is_configured() -> None:
    extra = ProviderSettings.model_validate({"api_key": "k", "models": ["x"]})
    settings = with_settings(providers={"openrouter": extra.model_dump(exclude_unset=True)})
    assert "openrouter/x" in names(settings)
