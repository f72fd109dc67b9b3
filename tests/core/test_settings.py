from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from unittest.mock import ANY

import pytest
from cody_core.errors import SettingsError
from cody_core.glance import config_path
from cody_core.settings import (
    BUILT_IN_PROVIDERS,
    AgentSettings,
    ProviderSettings,
    ServerSettings,
    Settings,
    load_settings,
)
from cody_core.sources import HARMLESS
from cody_core.ui_settings import UiSettings
from pydantic import SecretStr

KEY = "sk-very-secret"
VARIABLES: Mapping[str, tuple[str, tuple[str, object]]] = {
    "CORE2_MODEL": ("gpt-5", ("model", "gpt-5")),
    "CODY_MODEL": ("gpt-5", ("model", "gpt-5")),
    "CORE2_PROVIDER_ID": ("openai", ("provider_id", "openai")),
    "CODY_PROVIDER_ID": ("openai", ("provider_id", "openai")),
    "CODY_SYSTEM": ("be brief", ("system", "be brief")),
    "CODY_REASONING_EFFORT": ("low", ("reasoning_effort", "low")),
    "OPENAI_API_KEY": (KEY, ("openai_api_key", SecretStr(KEY))),
    "OPENAI_BASE_URL": ("http://o", ("openai_base_url", "http://o")),
    "ANTHROPIC_API_KEY": (KEY, ("anthropic_api_key", SecretStr(KEY))),
    "ANTHROPIC_BASE_URL": ("http://a", ("anthropic_base_url", "http://a")),
    "HOST": ("0.0.0.0", ("host", "0.0.0.0")),
    "CODY_HOST": ("0.0.0.0", ("host", "0.0.0.0")),
    "PORT": ("8080", ("port", 8080)),
    "CODY_PORT": ("8080", ("port", 8080)),
    "CODY_TOKEN": (KEY, ("token", SecretStr(KEY))),
    "CODY_SERVER": ("http://s", ("server", "http://s")),
    "CODY_SERVE": ('{"grace": 1.5}', ("serve", ServerSettings(grace=1.5))),
    "REDIS_URL": ("redis://r", ("redis_url", "redis://r")),
    "CONVEX_URL": ("https://c", ("convex_url", "https://c")),
    "CODY_STORE": ("sqlite", ("store", "sqlite")),
    "CONVEX_DEPLOY_KEY": (KEY, ("convex_deploy_key", SecretStr(KEY))),
    "CODY_HOME": ("/data", ("home", Path("/data"))),
    "CODY_WORKSPACE": ("/space", ("workspace", Path("/space"))),
    "CODY_POLICY": ("read-only", ("policy", "read-only")),
    "CODY_UI": ('{"theme": "cody-light"}', ("ui", UiSettings(theme="cody-light"))),
    "CODY_BINDINGS": ('{"chat.new": "f2"}', ("bindings", {"chat.new": "f2"})),
    "CODY_TOOL_MODE": ("script", ("tool_mode", "script")),
    "CODY_AGENTS": (
        '{"reviewer": {"policy": "read-only"}}',
        ("agents", {"reviewer": AgentSettings(policy="read-only")}),
    ),
    "CODY_MAX_ITERATIONS": ("7", ("max_iterations", 7)),
    "CODY_MAX_RUNS": ("3", ("max_runs", 3)),
    "CODY_CLAIM_SECONDS": ("2.5", ("claim_seconds", 2.5)),
    "CODY_MAX_RETRIES": ("0", ("max_retries", 0)),
    "CODY_MAX_OUTPUT_TOKENS": ("9", ("max_output_tokens", 9)),
    "CODY_CONTEXT_TOKENS": ("10", ("context_tokens", 10)),
    "CODY_LOG_TTL": ("1.5", ("log_ttl", 1.5)),
    "CODY_DEMO_DELAY": ("0", ("demo_delay", 0.0)),
    "CODY_PROVIDERS": (
        '{"mine": {"base_url": "http://m"}}',
        ("providers", {"mine": ProviderSettings(base_url="http://m")}),
    ),
}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to start in, an empty configuration, and no variable set."""
    for name in [*VARIABLES, "OPENROUTER_API_KEY", "VLLM_API_KEY", "MODEL", "SYSTEM"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def toml(text: str) -> None:
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(text)


def test_the_defaults() -> None:
    settings = load_settings()
    assert (settings.model, settings.provider_id, settings.host, settings.port) == (
        *(None, None, "127.0.0.1"),
        4010,
    )
    assert settings.home.name == "cody"
    assert settings.providers == {}


def test_each_source_wins_over_the_ones_before(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [load_settings().port]
    toml("port = 1")
    found.append(load_settings().port)
    (directory / ".env").write_text("PORT=2")
    found.append(load_settings().port)
    (directory / ".env.local").write_text("PORT=3")
    found.append(load_settings().port)
    monkeypatch.setenv("PORT", "4")
    found.append(load_settings().port)
    found.append(load_settings(port=5).port)
    found.append(load_settings(port=None).port)
    assert found == [4010, 1, 2, 3, 4, 5, 4]


def test_a_later_source_wins_under_either_name_of_a_setting(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml('model = "toml"')
    monkeypatch.setenv("CODY_MODEL", "environment")
    assert load_settings().model == "environment"
    (directory / ".env").write_text("CORE2_MODEL=dotenv")
    assert load_settings().model == "environment"
    assert load_settings(model="flag").model == "flag"


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("file", [None, ".env", ".env.local"])
def test_every_variable_is_read_from_the_environment_and_what_is_harmless_from_files(
    name: str, file: str | None, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_settings()
    value, (field, expected) = VARIABLES[name]
    if file is None:
        monkeypatch.setenv(name, value)
    else:
        (directory / file).write_text(f"{name}='{value}'\n")
        if field not in HARMLESS:
            assert load_settings() == before
            return
    providers = {"providers": expected} if field == "providers" else {"providers": ANY}
    assert dict(load_settings()) == dict(before) | {field: expected} | providers


def test_every_variable_of_the_settings_is_tested() -> None:
    assert {field for _, (field, _) in VARIABLES.values()} == set(Settings.model_fields)


def test_every_setting_is_read_from_the_file_by_its_field_name() -> None:
    toml(
        'model = "m"\nhome = "/h"\nmax_retries = 1\nopenai_api_key = "k"\n'
        '[providers.mine]\nkind = "openai"\nmodels = ["a", "b"]\n'
    )
    settings = load_settings()
    assert (settings.model, settings.home, settings.max_retries) == ("m", Path("/h"), 1)
    assert settings.openai_api_key == SecretStr("k")
    mine = ProviderSettings(kind="openai", models=("a", "b"))
    assert settings.provider("mine") == mine


def test_agents_are_tables_of_the_file_and_what_is_left_out_is_not_said() -> None:
    toml(
        '[agents.reviewer]\nmodel = "openai/gpt-5"\nsystem = ""\npolicy = "read-only"\n'
        'tools = ["read_file"]\ntool_mode = "calls"\nreasoning_effort = "high"\n'
        "max_iterations = 3\n[agents.talker]\ntools = []\n[agents.plain]\n"
    )
    reviewer = AgentSettings(
        model="openai/gpt-5",
        system="",
        policy="read-only",
        tools=("read_file",),
        tool_mode="calls",
        reasoning_effort="high",
        max_iterations=3,
    )
    assert load_settings().agents == {
        "reviewer": reviewer,
        "talker": AgentSettings(tools=()),
        "plain": AgentSettings(),
    }


def test_a_variable_is_laid_over_the_agents_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    toml('[agents.a]\nsystem = "A"\npolicy = "ask"\n[agents.b]\n')
    monkeypatch.setenv("CODY_AGENTS", '{"a": {"policy": "read-only"}}')
    assert load_settings().agents == {
        "a": AgentSettings(system="A", policy="read-only"),
        "b": AgentSettings(),
    }


def test_the_default_agent_is_always_there() -> None:
    assert load_settings().agent("default") == AgentSettings()
    assert load_settings().agent("reviewer") is None
    toml('[agents.default]\npolicy = "read-only"\n')
    assert load_settings().agent("default") == AgentSettings(policy="read-only")


def test_variables_that_only_look_like_settings_are_not_read(
    monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    before = load_settings()
    for name in ("HOME", "MODEL", "SYSTEM", "PROVIDERS", "LOG_TTL"):
        monkeypatch.setenv(name, str(directory / "elsewhere"))
        (directory / ".env").write_text(f"{name}=/elsewhere\n")
        monkeypatch.setenv("XDG_DATA_HOME", str(before.home.parent))
        assert load_settings() == before


def test_an_empty_variable_is_one_that_is_not_set(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / ".env").write_text(f"PORT=2\nOPENROUTER_API_KEY={KEY}\n")
    (directory / ".env.local").write_text("PORT=\nOPENROUTER_API_KEY=\n")
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("OPENROUTER_API_KEY", "")
    settings = load_settings()
    assert settings.port == 2
    assert key_of(settings, "openrouter") == KEY


def key_of(settings: Settings, name: str) -> str | None:
    provider = settings.provider(name)
    assert provider is not None
    return provider.api_key.get_secret_value() if provider.api_key else None


def test_keys_come_from_the_variables_that_providers_name(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml('[providers.mine]\nbase_url = "http://m"\napi_key_env = "MY_KEY"\n')
    assert key_of(load_settings(), "mine") is None
    found = []
    for file in (".env", ".env.local"):
        (directory / file).write_text(f"MY_KEY=from{file}")
        found.append(key_of(load_settings(), "mine"))
    monkeypatch.setenv("MY_KEY", "from environment")
    found.append(key_of(load_settings(), "mine"))
    assert found == ["from.env", "from.env.local", "from environment"]
    assert load_settings().provider("mine") == ProviderSettings(
        base_url="http://m", api_key_env="MY_KEY", api_key=SecretStr("from environment")
    )


def test_what_is_configured_of_a_built_in_provider_is_laid_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    toml('[providers.ollama]\nmodels = ["qwen3"]\n[providers.openrouter]\ntimeout = 5\n')
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    settings = load_settings()
    ollama, openrouter = BUILT_IN_PROVIDERS["ollama"], BUILT_IN_PROVIDERS["openrouter"]
    assert settings.provider("ollama") == ollama.model_copy(update={"models": ("qwen3",)})
    assert settings.provider("openrouter") == openrouter.model_copy(
        update={"timeout": 5.0, "api_key": SecretStr(KEY)}
    )
    assert settings.provider("nobody") is None


def test_the_settings_of_the_two_big_providers_reach_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://a")
    settings = load_settings(openai_base_url="http://o")
    changes = {"api_key": SecretStr(KEY), "base_url": "http://o"}
    assert settings.provider("openai") == BUILT_IN_PROVIDERS["openai"].model_copy(update=changes)
    assert settings.provider("anthropic") == BUILT_IN_PROVIDERS["anthropic"].model_copy(
        update={"base_url": "http://a"}
    )
    assert settings.provider_names == tuple(BUILT_IN_PROVIDERS)


def test_no_key_is_shown(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(f'[providers.mine]\napi_key = "{KEY}-1"\n[providers.other]\napi_key_env = "OTHER"\n')
    (directory / ".env").write_text(f"OTHER={KEY}-2\nOPENROUTER_API_KEY={KEY}-3\n")
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}-4")
    settings = load_settings(anthropic_api_key=f"{KEY}-5")
    names = ("mine", "other", "openrouter", "openai", "anthropic")
    assert [key_of(settings, name) for name in names] == [f"{KEY}-{n}" for n in range(1, 6)]
    shown = [settings, settings.providers, *map(settings.provider, names)]
    assert KEY not in f"{shown} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('modle = "x"', "unknown setting 'modle'.*did you mean 'model'"),
        ('port = "x"', "'PORT'"),
        ("port = 70000", "'PORT'"),
        ("max_iterations = 0", "'CODY_MAX_ITERATIONS'"),
        ('reasoning_effort = "huge"', "'CODY_REASONING_EFFORT'"),
        (f'openai_api_key = ["{KEY}"]', "'OPENAI_API_KEY'"),
        (f'[providers.x]\nkey = "{KEY}"', "'CODY_PROVIDERS.x.key'"),
        (f'[providers.x]\napi_key = ["{KEY}"]', "'CODY_PROVIDERS.x.api_key'"),
        ('[providers.x]\nkind = "smtp"', "'CODY_PROVIDERS.x.kind'"),
        (f'[providers.x]\nkey = "{KEY}"', r"\[providers.x\] in config.toml.* no such setting"),
        ('[agents.x]\nmodle = "m"', r"'CODY_AGENTS.x.modle' \(\[agents.x\] in config.toml\)"),
        ('[agents.x]\nmodle = "m"', "there is no such setting; did you mean 'model'"),
        ('[agents.x]\npolicy = "yolo"', "'CODY_AGENTS.x.policy'.*'read-only'"),
        ('[agents.x]\ntools = "shell"', "'CODY_AGENTS.x.tools'"),
        ("[agents.x]\nmax_iterations = 0", "'CODY_AGENTS.x.max_iterations'"),
        ('[agents.x]\nmodel = ""', "'CODY_AGENTS.x.model'"),
        ('[agents]\nmodel = "m"', "'CODY_AGENTS.model'"),
        (f'openai_api_key = "{KEY}', "config.toml"),
    ],
)
def test_a_setting_in_the_file_that_is_wrong_is_named(text: str, named: str) -> None:
    toml(text)
    with pytest.raises(SettingsError, match=named) as caught:
        load_settings()
    assert KEY not in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("CODY_PORT", KEY, "'PORT'|'CODY_PORT'"),
        ("CODY_LOG_TTL", "-1", "'CODY_LOG_TTL'"),
        ("CODY_HOME", f"~{KEY}/x", "'CODY_HOME' is not valid: nobody is known"),
        ("CODY_WORKSPACE", f"~{KEY}/x", "'CODY_WORKSPACE'.*nobody is known"),
        ("CODY_PROVIDERS", f'{{"x": {KEY}', "providers"),
        ("CODY_PROVIDERS", f'"{KEY}"', "'CODY_PROVIDERS'"),
        ("CODY_AGENTS", '{"x": {"tool": []}}', "'CODY_AGENTS.x.tool'.*did you mean 'tools'"),
        ("CODY_PROVIDERS", f'{{"x": {{"api_key": ["{KEY}"]}}}}', "'CODY_PROVIDERS.x.api_key'"),
    ],
)
def test_a_variable_that_is_wrong_is_named_without_its_value(
    name: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named) as caught:
        load_settings()
    assert KEY not in caught.value.message


def test_a_flag_that_is_wrong_is_named() -> None:
    with pytest.raises(SettingsError, match="'PORT'"):
        load_settings(port=-1)


@pytest.mark.parametrize("file", ["config", ".env"])
def test_a_file_that_is_no_text_is_an_error(file: str, directory: Path) -> None:
    path = config_path() if file == "config" else directory / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PORT = '\xff\xfe'\n")
    with pytest.raises(SettingsError, match=r"config\.toml"):
        load_settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(load_settings(), "port", 1)  # noqa: B010 - mypy would refuse the assignment
