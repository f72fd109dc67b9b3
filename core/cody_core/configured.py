"""The settings as people look at them: one row for each, where it comes from, and no secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from cody_core.hiding import address
from cody_core.settings import Settings
from cody_core.sources import DEFAULT, Origin, SettingPath, read_sources, remarks, variables

MASK: Final = "********"
"""Stands for a secret that is set, whatever its length."""
_ADDRESSES: Final = ("server", "redis_url", "convex_url", "base_url")


@dataclass(frozen=True, slots=True)
class Row:
    """A setting.

    Attributes:
        path: The names that lead to it in ``config.toml``.
        value: What it is, as JSON could say it; ``None`` where it is not set.
        origin: Where that comes from.
        sought: The variables that were looked for, where it is not set.
    """

    path: SettingPath
    value: Any
    origin: Origin
    sought: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path as ``config.toml`` would have it."""
        return ".".join(part if part.replace("-", "_").isidentifier() else f'"{part}"'
                        for part in self.path)  # fmt: skip


def rows(settings: Settings, origins: Mapping[SettingPath, Origin]) -> Sequence[Row]:
    """Return all settings, in their order; of tables that anybody may fill, what is in them.

    Keys of providers that there could be are among them.
    """
    return [row for field in Settings.model_fields for row in _rows(settings, field, origins)]


def ignored() -> Sequence[str]:
    """Return a remark on each variable that does not count in the ``.env`` file it is in.

    Raises:
        SettingsError: a source cannot be read.
    """
    return remarks(read_sources(Settings, {}))


def _rows(settings: Settings, field: str, origins: Mapping[SettingPath, Origin]) -> Iterator[Row]:
    value = getattr(settings, field)
    paths: list[SettingPath] = [(field,)]
    if isinstance(value, BaseModel):
        paths = [(field, name) for name in type(value).model_fields]
    elif isinstance(value, Mapping) and value:
        paths = [path for path in origins if path[0] == field]
    for path in paths:
        said = origins.get(path) or origins.get(path[:1]) or Origin(DEFAULT)
        found = _plain(_at(settings, path), path[-1])
        sought = variables(Settings, field) if found is None and len(path) == 1 else ()
        yield Row(path, found, said, tuple(sought))
    if field == "providers":
        yield from _missing_keys(settings)


def _missing_keys(settings: Settings) -> Iterator[Row]:
    """Yield the keys that are looked for by a variable of their own, and were not found."""
    for name in settings.provider_names:
        provider = settings.provider(name)
        if provider is None or provider.api_key is not None or name in ("openai", "anthropic"):
            continue
        if provider.api_key_env is not None:
            path = ("providers", name, "api_key")
            yield Row(path, None, Origin(DEFAULT), (provider.api_key_env,))


def _at(value: Any, path: SettingPath) -> Any:
    for name in path:
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value


def _plain(value: Any, name: str) -> Any:
    match value:
        case SecretStr():
            return MASK
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case BaseModel():  # a table without anything in it
            return {}
        case str() if "://" in value and name.endswith(_ADDRESSES):
            return address(value)
    return value
