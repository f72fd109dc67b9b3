"""What the terminal program remembers from one time to the next, in small files of its own.

Losing one costs a habit and nothing else: a file that cannot be read counts as empty, and one that
cannot be written is let be. What a user decides in ``config.toml`` is never written here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

logger = logging.getLogger(__name__)

RECENT: Final = "recent.json"
UI: Final = "ui.json"
MOST_RECENT: Final = 8


def read(path: Path) -> Mapping[str, Any]:
    """Return what a file says; nothing if it says nothing that can be understood."""
    try:
        text = path.read_text(encoding="utf-8")
        import json  # there is nothing to read before anything was chosen

        said = json.loads(text)
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def write(path: Path, said: Mapping[str, Any]) -> None:
    """Replace a file, in one step: another window may read it."""
    import json

    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        logger.warning("%s cannot be written: %s", path, error)


def recent_models(home: Path) -> Sequence[str]:
    """Return the models that were chosen, the last one first."""
    names = read(home / RECENT).get("models")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def model_used(home: Path, name: str) -> None:
    """Remember that a model was chosen."""
    names = [name, *(other for other in recent_models(home) if other != name)]
    write(home / RECENT, {"models": names[:MOST_RECENT]})


def theme(home: Path) -> str | None:
    """Return the theme that was chosen, if one was."""
    name = read(home / UI).get("theme")
    return name if isinstance(name, str) else None


def theme_used(home: Path, name: str) -> None:
    """Remember the theme that was chosen."""
    write(home / UI, {**read(home / UI), "theme": name})
