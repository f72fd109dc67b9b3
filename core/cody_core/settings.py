"""Settings: one typed object, read in one place and passed in.

No module reads the environment but this one, ``sources`` and ``glance``. Later sources win:
defaults < what the first run kept < ``config.toml`` < ``.env`` < ``.env.local`` < environment <
flags; ``sources`` says what does not count in ``.env`` files. In ``config.toml`` settings go by
their field names, in the environment by the names listed at each field.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SourceError

from cody_core.errors import SettingsError
from cody_core.glance import config_path, default_home
from cody_core.kept import KEYS_FILE, MODEL_FILE, kept_keys, kept_model
from cody_core.provider_files import provider_files
from cody_core.sources import (
    FIRST_RUN,
    Origin,
    SettingPath,
    Source,
    did_you_mean,
    key_variables,
    log_remarks,
    merged,
    origins,
    read_sources,
    see_where,
    variable,
)
from cody_core.ui_settings import UiSettings

ProviderKind = Literal["openai", "openai_chat", "anthropic", "demo", "file"]
PolicyName = Literal["ask", "auto-edit", "full-auto", "read-only"]
EffortName = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ToolModeName = Literal["calls", "script", "both"]
StoreName = Literal["auto", "sqlite", "convex"]
DEFAULT_AGENT = "default"
"""The agent that answers when none is named; ``[agents.default]`` may say how."""


class ProviderSettings(BaseModel):
    """How to reach one provider: ``[providers.NAME]`` in ``config.toml``."""

    model_config = ConfigDict(extra="forbid")

    kind: ProviderKind = "openai_chat"
    """The adapter that speaks its protocol; ``file`` for a file of its name in ``providers/``."""
    base_url: str | None = None
    """Where its API begins; without it, the address its SDK knows."""
    api_key: SecretStr | None = None
    """Its key. Better kept in the environment: see ``api_key_env``."""
    api_key_env: str | None = None
    """The environment variable that holds its key."""
    models: tuple[str, ...] = ()
    """Models to offer that the program does not know of."""
    timeout: float = Field(default=600.0, gt=0)
    """Seconds between two bytes of an answer before the provider counts as gone."""


class AgentSettings(BaseModel):
    """A named way to answer: ``[agents.NAME]`` in ``config.toml``. What is left out is as usual."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = Field(default=None, min_length=1)
    """The model to answer with, as ``name`` or ``provider/name``."""
    system: str | None = None
    """The system prompt; ``""`` for none."""
    tools: tuple[str, ...] | None = None
    """The names of the tools it has; ``[]`` for none."""
    tool_mode: ToolModeName | None = None
    """How it reaches them: function calls, scripts in its text, or calls and a script tool."""
    policy: PolicyName | None = None
    """Which calls of tools need consent, and which are refused."""
    reasoning_effort: EffortName | None = None
    """How hard it thinks, where it can be told."""
    max_iterations: int | None = Field(default=None, ge=1)
    """How often one run may ask the model."""


class ServerSettings(BaseModel):
    """How ``cody serve`` works, and for whom: ``[serve]`` in ``config.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed_hosts: tuple[str, ...] = ()
    """Names the server goes by besides ``localhost`` and the one it binds, without a port."""
    allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may use the server, such as ``https://ui.example.org``."""
    grace: float = Field(default=30.0, ge=0)
    """Seconds that runs have to finish by themselves when the server is told to end."""
    max_live: int = Field(default=10_000, ge=1)
    """How many runs may be worked on or wait for that; the next one is refused."""
    max_body: int = Field(default=20_000_000, ge=1)
    """Bytes a request may have."""


class Settings(BaseSettings):
    """Everything that can be set. Build it with ``load_settings``."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    model: str | None = Field(None, validation_alias=AliasChoices("CORE2_MODEL", "CODY_MODEL"))
    """The model to answer with, as ``name`` or ``provider/name``."""
    provider_id: str | None = Field(
        None, validation_alias=AliasChoices("CORE2_PROVIDER_ID", "CODY_PROVIDER_ID")
    )
    """The provider of the model, where its name does not tell."""
    system: str | None = Field(None, validation_alias="CODY_SYSTEM")
    """The system prompt."""
    reasoning_effort: EffortName | None = Field(None, validation_alias="CODY_REASONING_EFFORT")
    """How hard models think, where they can be told."""

    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    """OpenAI's key."""
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    """Another address for OpenAI's API."""
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    """Anthropic's key."""
    anthropic_base_url: str | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")
    """Another address for Anthropic's API."""
    providers: dict[str, ProviderSettings] = Field(
        default_factory=dict, validation_alias="CODY_PROVIDERS"
    )
    """Further providers by name."""

    host: str = Field("127.0.0.1", validation_alias=AliasChoices("HOST", "CODY_HOST"))
    """The address ``cody serve`` binds."""
    port: int = Field(4010, ge=0, le=65535, validation_alias=AliasChoices("PORT", "CODY_PORT"))
    """The port ``cody serve`` listens on."""
    token: SecretStr | None = Field(None, validation_alias="CODY_TOKEN")
    """The secret that ``cody serve`` asks its clients for, and that a client shows."""
    server: str | None = Field(None, validation_alias="CODY_SERVER")
    """The address of a ``cody serve`` to work on; without it, all is done in this process."""
    serve: ServerSettings = Field(default_factory=ServerSettings, validation_alias="CODY_SERVE")
    """What ``cody serve`` lets in, and how it ends."""
    redis_url: str | None = Field(None, validation_alias="REDIS_URL", repr=False)
    """The Redis server that holds the event log; without it the log lives in this process."""
    store: StoreName = Field("auto", validation_alias="CODY_STORE")
    """Where threads are: in Convex, in a file of this machine, or where ``CONVEX_URL`` tells."""
    convex_url: str | None = Field(None, validation_alias="CONVEX_URL")
    """The Convex deployment that stores threads; without it they are in a file of this machine."""
    convex_deploy_key: SecretStr | None = Field(None, validation_alias="CONVEX_DEPLOY_KEY")
    """The deploy key of that deployment, or the admin key of one that is self-hosted."""

    home: Path = Field(default_factory=default_home, validation_alias="CODY_HOME")
    """The directory that holds the database, logs and everything else cody keeps."""

    workspace: Path = Field(default_factory=Path.cwd, validation_alias="CODY_WORKSPACE")
    """The directory that tools work in; without it, the one the program is started in."""
    policy: PolicyName = Field("ask", validation_alias="CODY_POLICY")
    """Which calls of tools need consent, and which are refused."""
    tool_mode: ToolModeName = Field("both", validation_alias="CODY_TOOL_MODE")
    """How models reach tools: function calls, scripts in their text, or calls and a script tool."""
    agents: dict[str, AgentSettings] = Field(default_factory=dict, validation_alias="CODY_AGENTS")
    """Named ways to answer; ``cody --agent NAME`` takes one."""

    ui: UiSettings = Field(default_factory=UiSettings, validation_alias="CODY_UI")
    """How the terminal program looks and behaves."""
    bindings: dict[str, str] = Field(default_factory=dict, validation_alias="CODY_BINDINGS")
    """Other keys for actions, by their ids, such as ``"chat.new" = "ctrl+t"``; F1 lists them."""

    max_iterations: int = Field(50, ge=1, validation_alias="CODY_MAX_ITERATIONS")
    """How often one run may ask the model, tool calls answered in between."""
    max_runs: int = Field(256, ge=1, validation_alias="CODY_MAX_RUNS")
    """How many runs one process works on at the same time; further ones are queued."""
    claim_seconds: float = Field(20.0, gt=0, validation_alias="CODY_CLAIM_SECONDS")
    """Seconds without a sign of life after which another worker takes a run over."""
    max_retries: int = Field(4, ge=0, validation_alias="CODY_MAX_RETRIES")
    """How often a request that failed before its first token is sent again."""
    max_output_tokens: int | None = Field(None, gt=0, validation_alias="CODY_MAX_OUTPUT_TOKENS")
    """How long an answer may be; without it, as long as the model can."""
    context_tokens: int | None = Field(None, gt=0, validation_alias="CODY_CONTEXT_TOKENS")
    """How much of a thread a model is sent, where its window is not known or too dear."""
    log_ttl: float = Field(3600.0, ge=0, validation_alias="CODY_LOG_TTL")
    """Seconds the log keeps a run after it has ended and is stored."""
    demo_delay: float = Field(0.015, ge=0, validation_alias="CODY_DEMO_DELAY")
    """Seconds between two tokens of the demo provider."""

    @field_validator("home", "workspace")
    @classmethod
    def _expand(cls, path: Path) -> Path:
        try:
            return path.expanduser()
        except RuntimeError as error:
            msg = "nobody is known by the name behind ~"
            raise ValueError(msg) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take nothing but what ``load_settings`` has found in all the sources."""
        return (init_settings,)

    @property
    def secrets(self) -> frozenset[str]:
        """Every key there is: what must not reach a tool's child process, or a log."""
        found = [self.openai_api_key, self.anthropic_api_key, self.token, self.convex_deploy_key]
        found += [provider.api_key for provider in self.providers.values()]
        return frozenset(key.get_secret_value() for key in found if key is not None)

    @property
    def has_model(self) -> bool:
        """Tell whether there is a model to talk to, or only the demo."""
        return bool(self.model or self.provider_id or self.openai_api_key or self.anthropic_api_key)

    @property
    def is_on_convex(self) -> bool:
        """Tell whether threads are stored in Convex."""
        return self.store == "convex" or (self.store == "auto" and bool(self.convex_url))

    def agent(self, name: str) -> AgentSettings | None:
        """Return an agent, or ``None`` if there is none of that name; a default one always is."""
        return self.agents.get(name) or (AgentSettings() if name == DEFAULT_AGENT else None)

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The names of all providers, built in and configured."""
        return tuple(dict.fromkeys([*BUILT_IN_PROVIDERS, *self.providers]))

    def provider(self, name: str) -> ProviderSettings | None:
        """Return how to reach a provider, or ``None`` if there is none of that name.

        What ``[providers.NAME]`` says is laid over what is built in.
        """
        built_in, configured = BUILT_IN_PROVIDERS.get(name), self.providers.get(name)
        if built_in is None or configured is None:
            chosen = configured or built_in
        else:
            said = {field: getattr(configured, field) for field in configured.model_fields_set}
            chosen = built_in.model_copy(update=said)
        if chosen is None:
            return None
        own = {
            "openai": {"api_key": self.openai_api_key, "base_url": self.openai_base_url},
            "anthropic": {"api_key": self.anthropic_api_key, "base_url": self.anthropic_base_url},
        }.get(name, {})
        return chosen.model_copy(update={key: value for key, value in own.items() if value})


BUILT_IN_PROVIDERS: Mapping[str, ProviderSettings] = MappingProxyType(
    {
        "openai": ProviderSettings(kind="openai", api_key_env="OPENAI_API_KEY"),
        "anthropic": ProviderSettings(kind="anthropic", api_key_env="ANTHROPIC_API_KEY"),
        "openrouter": ProviderSettings(
            base_url="https://openrouter.ai/api/v1", api_key_env="OPENROUTER_API_KEY"
        ),
        "ollama": ProviderSettings(base_url="http://127.0.0.1:11434/v1"),
        "lmstudio": ProviderSettings(base_url="http://127.0.0.1:1234/v1"),
        "vllm": ProviderSettings(base_url="http://127.0.0.1:8000/v1"),
        "llamacpp": ProviderSettings(base_url="http://127.0.0.1:8080/v1"),
        "demo": ProviderSettings(kind="demo"),
    }
)
"""Providers that need no configuration beyond a key, or a server on its usual port."""


def load_settings(**flags: Any) -> Settings:
    """Read the settings from all their sources; ``flags`` that are not ``None`` win.

    Raises:
        SettingsError: a source cannot be read or a value is malformed; the message names which.
    """
    settings, _, sources = _read(flags)
    log_remarks(sources)
    return settings


def traced_settings(**flags: Any) -> tuple[Settings, Mapping[SettingPath, Origin]]:
    """Read the settings as ``load_settings`` does, and say where those have their values from.

    What no source names is not in there: it has its default.

    Raises:
        SettingsError: a source cannot be read or a value is malformed; the message names which.
    """
    settings, found, _ = _read(flags)
    return settings, found


def _read(
    flags: Mapping[str, Any],
) -> tuple[Settings, Mapping[SettingPath, Origin], Sequence[Source]]:
    said = {name: value for name, value in flags.items() if value is not None}
    sources: Sequence[Source] = ()
    try:
        sources = read_sources(Settings, said)
        values = {variable(Settings, name): v for name, v in merged(sources).items()}
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_describe(error, sources)) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, SourceError) as error:
        msg = f"settings cannot be read from {str(config_path())!r} or the environment: {error}"
        raise SettingsError(msg) from error
    found = origins(sources)
    settings = settings.model_copy(update={"providers": _with_files(settings)})
    settings = settings.model_copy(update={"providers": _with_keys(settings, found)})
    return _with_kept(settings, found), found, sources


def _with_kept(settings: Settings, found: dict[SettingPath, Origin]) -> Settings:
    """Fill in what the first run kept, where no other source says anything."""
    keys = kept_keys(settings.home)
    fields = {"openai": "openai_api_key", "anthropic": "anthropic_api_key"}
    missing = {}
    for name, field in fields.items():
        provider = settings.provider(name)
        if keys.get(name) and provider is not None and provider.api_key is None:
            missing[field] = SecretStr(keys[name])
            found[(field,)] = Origin(FIRST_RUN, KEYS_FILE)
    settings = settings.model_copy(update=missing)
    if settings.has_model or not (model := kept_model(settings.home)):
        return settings
    found[("model",)] = Origin(FIRST_RUN, MODEL_FILE)
    return settings.model_copy(update={"model": model})


def _with_files(settings: Settings) -> dict[str, ProviderSettings]:
    """Add the providers that are files, unless it is said that one of that name is another."""
    providers = dict(settings.providers)
    for name in provider_files():
        said = providers.get(name, ProviderSettings())
        if "kind" not in said.model_fields_set:
            providers[name] = said.model_copy(update={"kind": "file"})
    return providers


def _with_keys(settings: Settings, found: dict[SettingPath, Origin]) -> dict[str, ProviderSettings]:
    """Look up the keys that providers name by variable: nobody else reads the environment."""
    variables = key_variables()
    providers = dict(settings.providers)
    for name in settings.provider_names:
        provider = settings.provider(name)
        if provider is None or provider.api_key or not provider.api_key_env:
            continue
        if provider.api_key_env in variables:
            key, found["providers", name, "api_key"] = variables[provider.api_key_env]
            providers[name] = provider.model_copy(update={"api_key": SecretStr(key)})
    return providers


def _describe(error: ValidationError, sources: Sequence[Source]) -> str:
    """Name the setting and what is wrong with it, without its value: it may be a key.

    What stands in a table, such as ``[agents.NAME]``, is named as there too, and where in a file a
    value is found is said.
    """
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    by_variable, *inner = map(str, first["loc"])
    name, problem = ".".join((by_variable, *inner)), first["msg"].removeprefix("Value error, ")
    field = next(f for f in Settings.model_fields if variable(Settings, f) == by_variable)
    place, table = "", _TABLES.get(field)
    if table is not None and len(inner) > 1:
        place = f" ([{field}.{inner[0]}] in config.toml)"
        if first["type"] == "extra_forbidden":
            problem = f"there is no such setting{did_you_mean(inner[1], table.model_fields)}"
    return f"setting {name!r}{place} is not valid: {problem}{see_where(sources, (field, *inner))}"


_TABLES: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"agents": AgentSettings, "providers": ProviderSettings}
)
"""The settings that are tables of tables, and what is in a table."""
