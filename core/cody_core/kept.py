"""What the first run keeps below ``home``: keys in a file for its owner alone, and a model.

Both are the lowest of all sources of settings: whatever says something else wins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cody_core.errors import SettingsError

KEYS_FILE: Final = "keys.json"
MODEL_FILE: Final = "first_run.json"


def kept_keys(home: Path) -> Mapping[str, str]:
    """Return the keys by provider.

    Raises:
        SettingsError: the file cannot be read, or is not what was written.
    """
    return _read(home / KEYS_FILE)


def kept_model(home: Path) -> str | None:
    """Return the model that was chosen when there was none.

    Raises:
        SettingsError: the file cannot be read, or is not what was written.
    """
    return _read(home / MODEL_FILE).get("model")


def keep_key(home: Path, provider_id: str, key: str) -> None:
    """Keep a provider's key, readable by its owner alone, beside those that are kept.

    Raises:
        SettingsError: the file cannot be written.
    """
    _write(home / KEYS_FILE, {**kept_keys(home), provider_id: key})


def keep_model(home: Path, model: str) -> None:
    """Keep the model to answer with where nothing else names one.

    Raises:
        SettingsError: the file cannot be written.
    """
    _write(home / MODEL_FILE, {"model": model})


def _read(path: Path) -> Mapping[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{str(path)!r} cannot be read: {type(error).__name__}"
        raise SettingsError(msg) from None
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    # Nothing of what stands in it is said, and no cause is kept: it may be a key.
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        msg = f"{str(path)!r} is not a JSON object of strings: mend it, or delete it"
        raise SettingsError(msg)
    return values


def _write(path: Path, values: Mapping[str, str]) -> None:
    """Write the file whole or not at all; at no time can anybody else read it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(values, file, indent=1)
            file.write("\n")
        draft.replace(path)
    except OSError as error:
        msg = f"{str(path)!r} cannot be written: {error.strerror or error}"
        raise SettingsError(msg) from error
