from __future__ import annotations

from pathlib import Path

import pytest
from cody_core.checkup import Finding
from cody_core.checkup.chosen import agents, env_files, keys, model, read_settings
from cody_core.errors import InvalidModel
from cody_core.glance import config_path
from cody_core.kept import keep_key
from cody_core.settings import load_settings, traced_settings

KEY = "sk-very-secret"


def write(text: str) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text(text)


async def test_keys_are_named_with_where_they_come_from_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(f'[providers.mine]\napi_key = "{KEY}"\n[providers.other]\napi_key_env = "OTHER"\n')
    (tmp_path / "work" / ".env.local").write_text(f"OTHER='{KEY}\n'")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    keep_key(tmp_path / "home", "anthropic", KEY)
    found = await keys(*traced_settings())
    assert found == [
        Finding("key openai", "ok", "set by environment OPENAI_API_KEY"),
        Finding("key anthropic", "ok", "set by first run keys.json"),
        Finding("key mine", "ok", "set by config.toml"),
        Finding(
            "key other",
            "problem",
            "the one from .env.local OTHER has spaces, quotes or line breaks in it",
            "copy it anew: a key has none of them",
        ),
    ]


async def test_without_a_key_it_is_said_who_answers() -> None:
    (found,) = await keys(*traced_settings())
    assert (found.subject, found.state) == ("keys", "note")
    assert "demo" in found.text
    assert "OPENAI_API_KEY" in (found.remedy or "")
    (found,) = await keys(*traced_settings(model="ollama/qwen3"))
    assert found == Finding("keys", "note", "none is set")


async def test_the_usual_model_is_named() -> None:
    assert await model(load_settings()) == [Finding("model", "ok", "demo/tour")]
    write('[agents.default]\nmodel = "gpt-5"\ntools = ["read_file"]\n')
    assert await model(load_settings()) == [Finding("model", "ok", "openai/gpt-5")]
    with pytest.raises(InvalidModel, match="nonsense"):
        await model(load_settings(agents={"default": {"model": "nonsense"}}))


async def test_agents_that_cannot_answer_are_problems() -> None:
    said = {
        "good": {"model": "gpt-5", "tools": ["shell"]},
        "unknown": {"model": "nonsense"},
        "handless": {"tools": ["hammer"]},
    }
    good, unknown, handless = await agents(load_settings(agents=said))
    assert good == Finding("agent good", "ok", "openai/gpt-5")
    assert (unknown.subject, unknown.state) == ("agent unknown", "problem")
    assert "'nonsense'" in unknown.text
    assert handless.state == "problem"
    assert "'hammer'" in handless.text


def test_the_settings_are_read_and_what_is_wrong_in_them_is_said() -> None:
    finding, found = read_settings()
    assert (finding.state, found is not None) == ("ok", True)
    write("\nport = 70000\n")
    finding, found = read_settings()
    assert (finding.state, found) == ("problem", None)
    assert "see line 2" in finding.text


async def test_what_does_not_count_in_an_env_file_is_noted(tmp_path: Path) -> None:
    assert await env_files() == []
    (tmp_path / "work" / ".env").write_text("CODY_WORKSPACE=/\n")
    (found,) = await env_files()
    assert (found.subject, found.state) == ("settings", "note")
    assert found.text.startswith("CODY_WORKSPACE in .env is ignored: ")
