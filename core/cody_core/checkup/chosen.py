"""What is chosen: the settings as a whole, the keys, the model and the agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cody_core.checkup import Finding
from cody_core.configured import ignored
from cody_core.errors import CodyError, SettingsError
from cody_core.glance import config_path, environment
from cody_core.ids import new_id
from cody_core.schema.requests import RunRequest, SubmitRequest
from cody_core.settings import Settings, traced_settings
from cody_core.sources import Origin, SettingPath
from cody_core.submission import decide
from cody_core.tools.builtin import builtin_tools

_FIELDS = {"openai": "openai_api_key", "anthropic": "anthropic_api_key"}


def read_settings() -> tuple[Finding, tuple[Settings, Mapping[SettingPath, Origin]] | None]:
    """Read the settings, with where they come from; return what is to be said of that, too."""
    try:
        found = traced_settings()
    except SettingsError as error:
        return Finding("settings", "problem", error.message, "mend that, then ask again"), None
    path = config_path()
    if path.is_file():
        return Finding("settings", "ok", f"{path} is in order"), found
    text = f"there is no {path}, and need not be"
    return Finding("settings", "ok", text, "cody config --edit makes one"), found


async def env_files() -> Sequence[Finding]:
    """Say what in the ``.env`` files of this directory does not count."""
    return [Finding("settings", "note", remark) for remark in ignored()]


async def keys(settings: Settings, origins: Mapping[SettingPath, Origin]) -> Sequence[Finding]:
    """Say which keys there are and where they come from, and never more of one."""
    found = []
    for name in settings.provider_names:
        provider = settings.provider(name)
        if provider is None or provider.api_key is None:
            continue
        paths = ((_FIELDS.get(name, ""),), ("providers", name, "api_key"))
        origin = next((origins[path] for path in paths if path in origins), "a setting")
        subject, key = f"key {name}", provider.api_key.get_secret_value()
        if key.isascii() and key.isprintable() and not set(key) & set(" '\""):
            found.append(Finding(subject, "ok", f"set by {origin}"))
        else:
            text = f"the one from {origin} has spaces, quotes or line breaks in it"
            found.append(Finding(subject, "problem", text, "copy it anew: a key has none of them"))
    if found:
        return found
    if settings.has_model:
        return [Finding("keys", "note", "none is set")]
    remedy = "set OPENAI_API_KEY or ANTHROPIC_API_KEY, or name a local model: cody -m ollama/NAME"
    return [Finding("keys", "note", "none is set, so the offline demo answers", remedy)]


async def model(settings: Settings) -> Sequence[Finding]:
    """Say who answers where nobody else is named.

    Raises:
        CodyError: nobody does.
    """
    run = _decided(settings, None)
    return [Finding("model", "ok", f"{run.provider_id}/{run.model_id}")]


async def agents(settings: Settings) -> Sequence[Finding]:
    """Say which agents cannot answer, and why."""
    found = []
    for name in settings.agents:
        try:
            run = _decided(settings, name)
        except CodyError as error:
            found.append(Finding(f"agent {name}", "problem", error.message))
        else:
            found.append(Finding(f"agent {name}", "ok", f"{run.provider_id}/{run.model_id}"))
    return found


def _decided(settings: Settings, agent: str | None) -> RunRequest:
    """Return what a prompt to an agent would come to."""
    request = SubmitRequest(prompt="?", agent_id=agent, system="")
    tools = [tool.name for tool in builtin_tools(environment(), secrets=())]
    return decide(settings, request, new_id(), None, tools=tools)
