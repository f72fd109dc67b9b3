"""Which source of the settings counts, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from cody_core.errors import SettingsError
from cody_core.glance import config_path
from cody_core.kept import keep_key, keep_model
from cody_core.settings import Settings, load_settings, traced_settings
from cody_core.sources import HARMLESS, WITH_KEY, Origin, line_of, variables

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to start in, and an empty configuration."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    config_path().parent.mkdir(parents=True)
    return tmp_path / "work"


def origin_of(*path: str, **flags: object) -> Origin | None:
    return traced_settings(**flags)[1].get(path)


def test_each_source_is_named_with_the_variable_that_says_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [origin_of("port")]
    config_path().write_text("port = 1")
    found.append(origin_of("port"))
    (directory / ".env").write_text("PORT=2")
    found.append(origin_of("port"))
    (directory / ".env.local").write_text("CODY_PORT=3")
    found.append(origin_of("port"))
    monkeypatch.setenv("cody_port", "4")
    found.append(origin_of("port"))
    found.append(origin_of("port", port=5))
    assert found == [
        None,
        Origin("config.toml"),
        Origin(".env", "PORT"),
        Origin(".env.local", "CODY_PORT"),
        Origin("environment", "CODY_PORT"),
        Origin("flag"),
    ]


def test_a_setting_in_a_table_has_a_source_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config_path().write_text(
        '[ui]\ntheme = "nord"\nlong_run = 1\n[agents.a]\npolicy = "ask"\nmodel = "m"\n[agents.b]\n'
    )
    monkeypatch.setenv("CODY_UI", '{"theme": "flexoki"}')
    monkeypatch.setenv("CODY_AGENTS", '{"a": {"policy": "read-only"}, "b": {"tools": []}}')
    settings, origins = traced_settings(ui={"notify": "off"})
    assert (settings.ui.theme, settings.ui.long_run, settings.ui.notify) == ("flexoki", 1.0, "off")
    assert {path: str(origin) for path, origin in origins.items() if path[0] != "home"} == {
        ("ui", "theme"): "environment CODY_UI",
        ("ui", "long_run"): "config.toml",
        ("ui", "notify"): "flag",
        ("agents", "a", "policy"): "environment CODY_AGENTS",
        ("agents", "a", "model"): "config.toml",
        ("agents", "b", "tools"): "environment CODY_AGENTS",
    }


def test_keys_that_providers_name_by_variable_and_what_the_first_run_kept_are_told(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = load_settings().home
    keep_key(home, "anthropic", "sk-ant-1")
    keep_model(home, "gpt-5")
    (directory / ".env").write_text("OPENROUTER_API_KEY=1\nMINE=2\n")
    config_path().write_text('[providers.mine]\napi_key_env = "MINE"\n')
    monkeypatch.setenv("MINE", "3")
    settings, origins = traced_settings()
    assert (settings.has_model, settings.anthropic_api_key is not None) == (True, True)
    assert origins["anthropic_api_key",] == Origin("first run", "keys.json")
    assert ("model",) not in origins
    assert origins["providers", "openrouter", "api_key"] == Origin(".env", "OPENROUTER_API_KEY")
    assert origins["providers", "mine", "api_key"] == Origin("environment", "MINE")
    (home / "keys.json").unlink()
    assert origin_of("model") == Origin("first run", "first_run.json")


def test_a_setting_that_nobody_names_has_no_origin() -> None:
    assert traced_settings()[1] == {("home",): Origin("environment", "CODY_HOME")}


FILE = """\
# a comment
model = "m"

system = \"\"\"
port = 1
\"\"\"
tags = [
  "a",
]
[agents.one]
policy = "ask"
model = "x"
[agents."two.three"]
tools = [ "a",
  "b" ]
[ui]
theme = "nord"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("model",), 2),
        (("system",), 4),
        (("port",), None),
        (("tags",), 7),
        (("agents",), 10),
        (("agents", "one", "model"), 12),
        (("agents", "two.three", "tools"), 14),
        (("ui", "theme"), 17),
        (("ui", "theme", "x"), None),
    ],
)
def test_the_line_in_which_a_setting_begins(path: tuple[str, ...], line: int | None) -> None:
    assert line_of(FILE, path) == line


WRONG: Mapping[str, tuple[str, str]] = {
    "a value": ('model = "m"\n\nport = "x"\n', "line 3"),
    "a value in a table": ('[agents.a]\nmodel = "m"\npolicy = "yolo"\n', "line 3"),
    "an element": ("[agents.a]\n\ntools = [1]\n", "line 3"),
    "a name in a table": ('[ui]\ntheme = "nord"\nthem = 1\n', "line 3"),
    "a name": ('model = "m"\n\nmodle = "m"\n', "line 3"),
    "no TOML": ("\n\nmodel =\n", "line 3"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_mistake_in_the_file_is_named_with_its_line(kind: str) -> None:
    text, said = WRONG[kind]
    config_path().write_text(text)
    with pytest.raises(SettingsError, match=said) as caught:
        load_settings()
    assert str(config_path()) in caught.value.message


def test_a_mistake_is_not_looked_for_in_a_file_that_does_not_hold_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_path().write_text("port = 1")
    (directory / ".env").write_text("PORT=many")
    with pytest.raises(SettingsError, match=r"'PORT' is not valid: .*; see '\.env'$"):
        load_settings()
    monkeypatch.setenv("PORT", "many")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "see" not in caught.value.message


def test_what_an_env_file_may_not_decide_is_known_by_name() -> None:
    assert set(Settings.model_fields) - HARMLESS - set(WITH_KEY) == {
        *("policy", "agents", "workspace", "home", "providers", "server", "serve"),
        *("host", "token", "redis_url", "bindings"),
    }


@pytest.mark.parametrize("name", ["openai", "anthropic", "convex"])
def test_an_address_in_an_env_file_counts_only_with_the_key_that_is_sent_there(
    name: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = "convex_url" if name == "convex" else f"{name}_base_url"
    (address,), (key,) = variables(Settings, field), variables(Settings, WITH_KEY[field])

    def found() -> object:
        return getattr(load_settings(), field)

    config_path().write_text(f'{field} = "https://mine"')
    (directory / ".env").write_text(f"{address}=https://theirs\n")
    assert found() == "https://mine"
    (directory / ".env").write_text(f"{address}=https://theirs\n{key}=theirs\n")
    assert found() == "https://theirs"
    (directory / ".env.local").write_text(f"{key}={KEY}\n")
    assert found() == "https://mine"
    (directory / ".env.local").unlink()
    monkeypatch.setenv(key, KEY)
    assert found() == "https://mine"


def test_an_env_file_cannot_have_a_variable_of_the_environment_in_what_it_says(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    (directory / ".env").write_text(
        "NAME=a\nOPENAI_API_KEY=${ANTHROPIC_API_KEY}\nOPENAI_BASE_URL=http://x\n"
        "CODY_SYSTEM='${NAME}${ANTHROPIC_API_KEY}${NONE:-c}'\nOPENROUTER_API_KEY=${HOME}\n"
    )
    settings = load_settings()
    assert (settings.openai_api_key, settings.openai_base_url) == (None, None)
    assert settings.system == "ac"
    assert settings.providers.get("openrouter") is None


def test_what_does_not_count_in_an_env_file_is_said_with_where_it_would(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (directory / ".env").write_text("CODY_POLICY=full-auto\nREDIS_URL=redis://theirs\n")
    (directory / ".env.local").write_text(f"OPENAI_BASE_URL=http://{KEY}\n")
    with caplog.at_level("INFO"):
        load_settings()
    config = str(config_path())
    assert sorted((record.levelname, record.message) for record in caplog.records) == [
        (
            "INFO",
            "REDIS_URL in .env is ignored: whoever wrote that file must not decide about it;"
            f" set it in the environment, or as 'redis_url' in {config!r}",
        ),
        (
            "WARNING",
            "CODY_POLICY in .env is ignored: whoever wrote that file must not decide about it;"
            f" set it in the environment, or as 'policy' in {config!r}",
        ),
        (
            "WARNING",
            "OPENAI_BASE_URL in .env.local is ignored: its key is not in that file;"
            f" set it in the environment, or as 'openai_base_url' in {config!r}",
        ),
    ]
