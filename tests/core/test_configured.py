from __future__ import annotations

import json

import pytest
from cody_core.configured import MASK, Row, rows
from cody_core.settings import Settings, traced_settings
from cody_core.sources import Origin

SECRET = "sk-very-secret"


def found(**flags: object) -> dict[str, Row]:
    return {row.name: row for row in rows(*traced_settings(**flags))}


def test_every_setting_is_there_in_its_order() -> None:
    names = [row.path[0] for row in rows(*traced_settings())]
    assert list(dict.fromkeys(names)) == list(Settings.model_fields)


def test_a_default_a_flag_and_what_is_in_tables() -> None:
    said = found(
        port=1,
        providers={"work": {"base_url": "http://w/v1", "models": ["a", "b"]}},
        agents={"plain": {}},
        bindings={"chat.new": "f2"},
    )
    sought = ("CORE2_MODEL", "CODY_MODEL")
    assert said["model"] == Row(("model",), None, Origin("default"), sought)
    assert said["port"] == Row(("port",), 1, Origin("flag"))
    assert said["ui.theme"] == Row(("ui", "theme"), "auto", Origin("default"))
    assert said["providers.work.models"].value == ["a", "b"]
    assert said["agents.plain"].value == {}
    assert said['bindings."chat.new"'].value == "f2"
    assert "providers" not in said
    assert found()["providers"] == Row(("providers",), {}, Origin("default"))


def test_a_table_that_is_read_from_one_variable_comes_from_it() -> None:
    assert found(ui={"theme": "nord"})["ui.theme"].origin == Origin("flag")
    assert found(ui={"theme": "nord"})["ui.notify"].origin == Origin("default")


def test_what_is_not_set_names_the_variables_that_were_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {
        name: row.sought
        for name, row in found(providers={"work": {"api_key_env": "W"}}).items()
        if name.endswith("key")
    }
    assert keys == {
        "openai_api_key": ("OPENAI_API_KEY",),
        "anthropic_api_key": ("ANTHROPIC_API_KEY",),
        "convex_deploy_key": ("CONVEX_DEPLOY_KEY",),
        "providers.openrouter.api_key": ("OPENROUTER_API_KEY",),
        "providers.work.api_key": ("W",),
    }
    monkeypatch.setenv("OPENROUTER_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert found()["openai_api_key"].sought == found()["providers.openrouter.api_key"].sought == ()


def test_no_secret_is_in_it() -> None:
    said = found(
        openai_api_key=SECRET,
        anthropic_api_key=SECRET,
        token=SECRET,
        convex_deploy_key=SECRET,
        redis_url=f"redis://:{SECRET}@host:1/0?password={SECRET}",
        openai_base_url=f"https://{SECRET}@host/v1",
        anthropic_base_url=f"https://host?key={SECRET}",
        server=f"http://u:{SECRET}@host",
        providers={"work": {"api_key": SECRET, "base_url": f"http://{SECRET}@w/v1"}},
    )
    assert SECRET not in json.dumps([row.value for row in said.values()])
    assert said["openai_api_key"].value == said["providers.work.api_key"].value == MASK
    assert said["redis_url"].value == "redis://host:1/0"
    assert said["providers.work.base_url"].value == "http://w/v1"
