"""Where settings come from: the sources, what each of them says, and which one counts.

Later ones win: ``config.toml`` < ``.env`` < ``.env.local`` < environment < flags. Tables are laid
over each other key by key, so that a setting in a table has a source of its own.

The ``.env`` files are of the directory the program is started in, which may be a clone of anybody's
repository, and a model may have written them. So only what neither grants nor redirects anything
counts there, ``HARMLESS``, and an address only together with the key that is sent to it.
"""

from __future__ import annotations

import difflib
import logging
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import AliasChoices
from pydantic_settings import BaseSettings, EnvSettingsSource

from cody_core.errors import SettingsError
from cody_core.glance import ENV_FILES, config_path, env_file, environment

logger = logging.getLogger(__name__)

DEFAULT: Final = "default"
FIRST_RUN: Final = "first run"
CONFIG_FILE: Final = "config.toml"
ENVIRONMENT: Final = "environment"
FLAG: Final = "flag"

# fmt: off
HARMLESS: Final = frozenset({
    "model", "provider_id", "system", "reasoning_effort", "tool_mode", "ui", "store", "port",
    "openai_api_key", "anthropic_api_key", "convex_deploy_key",
    "max_iterations", "max_runs", "max_retries", "max_output_tokens", "context_tokens",
    "claim_seconds", "log_ttl", "demo_delay",
})
# fmt: on
"""The settings that an ``.env`` file may make, by field."""
WITH_KEY: Final[Mapping[str, str]] = {
    "openai_base_url": "openai_api_key",
    "anthropic_base_url": "anthropic_api_key",
    "convex_url": "convex_deploy_key",
}
"""Addresses that it may name if the key that counts, and would be sent there, is in it, too."""

SettingPath: TypeAlias = tuple[str, ...]
"""The names that lead to a setting: its field, and further ones inside a table."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting has its value from.

    Attributes:
        source: The source: ``default``, ``first run``, ``config.toml``, the name of an ``.env``
            file, ``environment`` or ``flag``.
        name: The variable or the file that says it, where there is one.
    """

    source: str
    name: str | None = None

    def __str__(self) -> str:
        return self.source if self.name is None else f"{self.source} {self.name}"


@dataclass(frozen=True, slots=True)
class Source:
    """A source, what it says by field, and by which variables.

    Attributes:
        ignored: The fields of which it says something that does not count; see ``HARMLESS``.
    """

    name: str
    values: Mapping[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def origin(self, path: SettingPath) -> Origin:
        """Return the origin of what it says of a setting."""
        return Origin(self.name, self.variables.get(path[0]))


def read_sources(settings: type[BaseSettings], flags: Mapping[str, Any]) -> Sequence[Source]:
    """Read all sources, the one that counts least first; ``flags`` go by field.

    Raises:
        SettingsError: ``config.toml`` holds a setting that does not exist.
        OSError: a file cannot be read.
        UnicodeDecodeError: a file is no text.
        TOMLDecodeError: ``config.toml`` is no TOML.
        SettingsError: of pydantic-settings; a variable is no JSON where it should be.
    """
    sources = (
        Source(CONFIG_FILE, _read_toml(settings, config_path())),
        *(_of_variables(name, settings, _env_source(settings, name)) for name in ENV_FILES),
        _of_variables(ENVIRONMENT, settings, EnvSettingsSource(settings)),
        Source(FLAG, flags),
    )
    said_by = {each: source.name for source in sources for each in source.values}
    return [_harmless(s, said_by) if s.name in ENV_FILES else s for s in sources]


def remarks(sources: Sequence[Source]) -> Sequence[str]:
    """Say of each variable in an ``.env`` file that does not count where it would."""
    return [
        f"{source.variables[each]} in {source.name} is ignored: {_instead(each)}"
        for source in sources
        for each in source.ignored
    ]


def log_remarks(sources: Sequence[Source]) -> None:
    """Log them; as a warning where no project has a variable of that name for its own purposes."""
    for remark in remarks(sources):
        is_ours = remark.startswith(("CODY_", "CORE2_", "OPENAI_", "ANTHROPIC_"))
        logger.log(logging.WARNING if is_ours else logging.INFO, "%s", remark)


def merged(sources: Sequence[Source]) -> dict[str, Any]:
    """Return what they say together, by field."""
    said: dict[str, Any] = {}
    for source in sources:
        said = _laid_over(said, source.values)
    return said


def origins(sources: Sequence[Source]) -> dict[SettingPath, Origin]:
    """Return where each setting that any of them names has its value from."""
    found: dict[SettingPath, Origin] = {}
    for source in sources:
        for path in _paths(source.values):
            # What was no table there may be one here, or the other way round.
            found = {other: at for other, at in found.items() if not _overlap(path, other)}
            found[path] = source.origin(path)
    return found


def key_variables() -> Mapping[str, tuple[str, Origin]]:
    """Return all variables that are set to something, with where: providers name some for keys."""
    found: dict[str, tuple[str, Origin]] = {}
    read = [(name, env_file(name)) for name in ENV_FILES]
    for source, values in (*read, (ENVIRONMENT, environment())):
        found |= {name: (v, Origin(source, name)) for name, v in values.items() if v}
    return found


def see_where(sources: Sequence[Source], path: SettingPath) -> str:
    """Return a remark that says in which file a setting, or part of one, has its value."""
    found = origins(sources)
    known = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in found), None)
    if known is None or found[known].source in (ENVIRONMENT, FLAG):
        return ""
    if found[known].source != CONFIG_FILE:
        return f"; see {found[known].source!r}"
    return _see_line(config_path(), known)


def variable(settings: type[BaseSettings], name: str) -> str:
    """Return the variable that a field is set by; the first one, where it has several."""
    return variables(settings, name)[0]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question for the name that somebody may have meant, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def line_of(text: str, path: SettingPath) -> int | None:
    """Return the line in which a setting begins, counted from 1, in the text of a TOML file."""
    lines, before = text.split("\n"), 0
    for number in range(1, len(lines) + 1):
        try:
            values = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value of several lines
        if _has(values, path):
            return before + 1
        before = number
    return None


def _has(values: Any, path: SettingPath) -> bool:
    for name in path:
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return True


def variables(settings: type[BaseSettings], name: str) -> Sequence[str]:
    """Return all variables that a field is set by."""
    alias = settings.model_fields[name].validation_alias
    return [str(a) for a in (alias.choices if isinstance(alias, AliasChoices) else [alias])]


def _env_source(settings: type[BaseSettings], path: str) -> EnvSettingsSource:
    source = EnvSettingsSource(settings)
    source.env_vars = {name.lower(): value for name, value in env_file(path).items()}
    return source


def _harmless(source: Source, said_by: Mapping[str, str]) -> Source:
    """Leave out what does not count in a file; ``said_by`` says whose word on each field does."""
    counts = {
        each: value
        for each, value in source.values.items()
        if each in HARMLESS or said_by.get(WITH_KEY.get(each, "")) == source.name
    }
    ignored = tuple(each for each in source.values if each not in counts)
    return replace(source, values=counts, ignored=ignored)


def _instead(field_name: str) -> str:
    where = f"set it in the environment, or as {field_name!r} in {str(config_path())!r}"
    if field_name in WITH_KEY:
        return f"its key is not in that file; {where}"
    return f"whoever wrote that file must not decide about it; {where}"


def _of_variables(name: str, settings: type[BaseSettings], source: EnvSettingsSource) -> Source:
    """Return a source of variables; it gives them by the first name of each field."""
    said = source()
    values, used = {}, {}
    for each in settings.model_fields:
        names = variables(settings, each)
        if names[0] in said:
            values[each] = said[names[0]]
            used[each] = next((n for n in names if n.lower() in source.env_vars), names[0])
    return Source(name, values, used)


def _read_toml(settings: type[BaseSettings], path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        values = tomllib.load(file)
    if unknown := sorted(set(values) - set(settings.model_fields)):
        hint = did_you_mean(unknown[0], settings.model_fields)
        line = line_of(path.read_text(encoding="utf-8"), (unknown[0],))
        msg = f"unknown setting {unknown[0]!r} in line {line} of {str(path)!r}{hint}"
        raise SettingsError(msg)
    return values


def _see_line(path: Path, of: SettingPath) -> str:
    return f"; see line {line_of(path.read_text(encoding='utf-8'), of)} of {str(path)!r}"


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    laid = dict(below)
    for name, value in above.items():
        under = laid.get(name)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        laid[name] = _laid_over(under or {}, value) if both else value
    return laid


def _paths(values: Mapping[str, Any], above: SettingPath = ()) -> Iterator[SettingPath]:
    """Yield the path of each value that is no table, or an empty one."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _paths(value, (*above, name))
        else:
            yield (*above, name)


def _overlap(path: SettingPath, other: SettingPath) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter] and path != other
