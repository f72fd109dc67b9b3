"""The workspace: the directory a conversation is about, where a path leads, and what is private.

Cody's own keys, grants and settings are nobody's work: the directories that hold them are guarded,
and count as outside whatever the workspace is. So does what is hidden in the user's home directory
(keys, logins, what a shell runs at its start) where the workspace is all of that directory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from cody_core.errors import ToolError
from cody_core.glance import config_path
from cody_core.settings import Settings


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


def guarded_places(settings: Settings) -> tuple[Path, ...]:
    """Return the directories that are never inside: of data, and of ``config.toml``."""
    return (settings.home.resolve(), config_path().parent.resolve())


def is_inside(path: Path, workspace: Path, guarded: Iterable[Path] = ()) -> bool:
    """Tell whether a resolved path is the workspace or lies below it, and is not private."""
    root = workspace.resolve()
    if not path.is_relative_to(root) or is_guarded(path, guarded):
        return False
    return not (_home().is_relative_to(root) and _is_hidden_at_home(path))


def is_above_home(workspace: Path) -> bool:
    """Tell whether a workspace is so wide that nothing in it goes without saying."""
    return workspace.resolve() in _home().parents


def is_guarded(path: Path, guarded: Iterable[Path]) -> bool:
    """Tell whether a path is a guarded directory or leads into one, however it is spelled."""
    marks = _marks(guarded)
    above = (path, *path.parents)
    return any(place in guarded for place in above) or any(_mark(each) in marks for each in above)


def private_below(root: Path, guarded: Iterable[Path]) -> Callable[[str], bool]:
    """Return what tells of a folder below a root whether a look at all of that leaves it out.

    What lies in a private folder is looked at where that itself, or something in it, is named.
    """
    marks = frozenset() if is_guarded(root, guarded) else _marks(guarded)
    home = None if _is_hidden_at_home(root) else str(_home())

    def is_private(folder: str) -> bool:
        above, _, name = folder.rpartition("/")
        return (name.startswith(".") and above == home) or (bool(marks) and _mark(folder) in marks)

    return is_private


def _home() -> Path:
    return Path(os.path.expanduser("~")).resolve()


def _is_hidden_at_home(path: Path) -> bool:
    home = _home()
    below = path.relative_to(home).parts if path.is_relative_to(home) else ()
    return bool(below) and below[0].startswith(".")


def _marks(places: Iterable[Path]) -> frozenset[tuple[int, int]]:
    return frozenset(mark for place in places if (mark := _mark(place)) is not None)


def _mark(path: Path | str) -> tuple[int, int] | None:
    """Return what a file system knows a directory by: where case does not count it has many names.

    ``None`` if there is none.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
