"""Providers of the user's own: one file each, in ``providers/`` beside ``config.toml``.

``NAME.py`` there is the provider ``NAME``. It is a module with what every adapter has:
``create(settings, *, name) -> Provider``. Nothing but the file says that it is there, so no
setting, and no ``.env`` of a project that somebody else wrote, can have another file run.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

from cody_core.errors import SettingsError
from cody_core.glance import config_path

FOLDER: Final = "providers"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""What a provider may be called; a file whose name begins otherwise is for the others to import."""


def provider_files() -> Mapping[str, Path]:
    """Return the files that are there, by the name of their provider."""
    found = sorted((config_path().parent / FOLDER).glob("*.py"))
    return {path.stem: path for path in found if _NAME.fullmatch(path.stem)}


def load(name: str) -> ModuleType:
    """Import the file of a provider, anew.

    Raises:
        SettingsError: there is none, or it cannot be imported, or has no ``create``.
    """
    path = provider_files().get(name)
    if path is None:
        expected = str(config_path().parent / FOLDER / f"{name}.py")
        msg = f"provider {name!r} is of the kind 'file', and there is no {expected!r}"
        raise SettingsError(msg)
    module_name = f"cody_provider_{name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # where its dataclasses look up their annotations
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise broken(name, path, error) from error
    if not callable(getattr(module, "create", None)):
        msg = f"provider {name!r}: {str(path)!r} has no function 'create(settings, *, name)'"
        raise SettingsError(msg)
    return module


def broken(name: str, path: Path | str, error: Exception) -> SettingsError:
    """Return the error for a file that fails."""
    said = f"{type(error).__name__}: {error}"
    return SettingsError(f"provider {name!r}: {str(path)!r} does not work: {said}")
