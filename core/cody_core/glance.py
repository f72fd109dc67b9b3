"""A glance at the settings: what a first frame needs of them, read without pydantic.

To import what validates the settings takes longer than to draw that frame. What is found here is
what ``load_settings`` finds: where a source is out of the ordinary, or wrong, there is no glance,
and the settings have to be waited for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

ENV_FILES: Final = (".env", ".env.local")
"""Read from the directory the program is started in; the second wins."""
_REFERENCE: Final = re.compile(r"\$\{(?P<name>[^}:]*)(?::-(?P<otherwise>[^}]*))?\}")


class Glance(NamedTuple):
    """How the screen begins to look, and where what it remembers is."""

    home: Path | None
    theme: str = "auto"
    reduced_motion: bool = False
    screen_reader: bool = False


def glance() -> Glance | None:
    """Return what the settings say, or ``None`` if that takes ``load_settings`` to tell."""
    try:
        toml = _read_toml(config_path())
        variables = _by_name(os.environ)
        if "cody_ui" in variables or _looks_in_env_files():  # laid over what config.toml says
            return None
        home = variables.get("cody_home")
        return _checked(toml.get("home") if home is None else home, toml.get("ui", {}))
    except (OSError, ValueError, RuntimeError):
        return None


def environment() -> dict[str, str]:
    """Return the variables this program was started with."""
    return dict(os.environ)


def env_file(path: str) -> dict[str, str]:
    """Return the variables that an ``.env`` file sets to something; none if it is not there.

    ``${NAME}`` stands for what the file itself has set before. It is no way to the variables of
    the environment: whoever wrote the file could have one of them sent somewhere.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
    """
    if not os.path.exists(path):
        return {}
    from dotenv import dotenv_values

    found: dict[str, str] = {}

    def said(match: re.Match[str]) -> str:
        return found.get(match["name"], match["otherwise"] or "")

    for name, value in dotenv_values(path, encoding="utf-8", interpolate=False).items():
        found[name] = _REFERENCE.sub(said, value or "")
    return {name: value for name, value in found.items() if value}


def config_path() -> Path:
    """Return where ``config.toml`` is looked for: below ``XDG_CONFIG_HOME`` or ``~/.config``."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "cody" / "config.toml"


def default_home() -> Path:
    """Return the directory for what is kept where no setting names one."""
    import platformdirs

    return platformdirs.user_data_path("cody", appauthor=False)


def _checked(home: object, ui: object) -> Glance | None:
    if not (home is None or isinstance(home, str)) or not isinstance(ui, dict):
        return None
    usual = Glance(default_home() if home is None else Path(home).expanduser())
    said: dict[str, Any] = {}
    for name in ("theme", "reduced_motion", "screen_reader"):
        value = ui.get(name, getattr(usual, name))
        if type(value) is not type(getattr(usual, name)):
            return None
        said[name] = value
    return Glance(usual.home, **said)


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    import tomllib

    with path.open("rb") as file:
        return tomllib.load(file)


def _looks_in_env_files() -> bool:
    for path in ENV_FILES:
        if Path(path).is_fifo():  # what is in it can be read once
            raise OSError(path)
        if "cody_ui" in _by_name(env_file(path)):
            return True
    return False


def _by_name(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing; to the settings, the case of a name makes no difference."""
    return {name.lower(): value for name, value in variables.items() if value not in ("", None)}
