"""The workspace: the directory a conversation is about, and where a path leads."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cody_core.errors import ToolError


def resolve(path: str, workspace: Path) -> Path:
    """Return where a path really leads, all symbolic links followed.

    A relative path begins at the workspace, ``~`` is the home directory. The file need not exist.

    Raises:
        ToolError: it cannot be a path: empty, with a null character, or with links in a circle.
    """
    if not path.strip() or "\0" in path:
        msg = f"{path!r} is not a path"
        raise ToolError(msg)
    try:
        return (workspace / Path(path).expanduser()).resolve()
    except (OSError, RuntimeError) as error:
        msg = f"{path!r} leads nowhere: {error}"
        raise ToolError(msg) from error


def is_inside(path: Path, workspace: Path) -> bool:
    """Tell whether a resolved path is the workspace or lies below it."""
    return path.is_relative_to(workspace.resolve())


def shown(path: Path, workspace: Path) -> str:
    """Return a path as people and models read it: relative where it lies in the workspace."""
    root = workspace.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def digest(path: Path) -> str | None:
    """Return the SHA-256 of a file's bytes in hexadecimal, or ``None`` where there is no file.

    Raises:
        ToolError: there is something that cannot be read as a file.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{str(path)!r} cannot be read: {error.strerror}"
        raise ToolError(msg) from error
