"""Writing a text in the user's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path


class EditorFailed(Exception):
    """The text is as it was; the message says why, for a user."""


def editor_of(environment: Mapping[str, str]) -> list[str]:
    """Return the command of the editor.

    Raises:
        EditorFailed: none is set, or it is no command.
    """
    said = environment.get("VISUAL") or environment.get("EDITOR") or ""
    try:
        command = shlex.split(said, posix=os.name != "nt")
    except ValueError as error:
        msg = f"VISUAL or EDITOR is no command: {error}"
        raise EditorFailed(msg) from error
    if not command:
        raise EditorFailed("No editor is set: set VISUAL or EDITOR to the one you like")
    return command


def edit(text: str, command: list[str]) -> str:
    """Let somebody edit a text; this blocks until the editor ends.

    Raises:
        EditorFailed: the editor could not be started, said that it failed, or left no text. What
            it did leave stays in a file, which the message names.
    """
    before = text.encode("utf-8", "replace")
    try:
        path = _file_with(before)
    except OSError as error:
        msg = f"There is no room for a file to edit: {error.strerror}"
        raise EditorFailed(msg) from error
    try:
        _run([*command, str(path)])
        edited = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EditorFailed(f"What the editor wrote is not UTF-8{_left(path, before)}") from error
    except OSError as error:
        msg = f"The editor {command[0]!r} does not work: {error.strerror}{_left(path, before)}"
        raise EditorFailed(msg) from error
    except EditorFailed as error:
        raise EditorFailed(f"{error}{_left(path, before)}") from error
    path.unlink(missing_ok=True)
    return edited.replace("\r\n", "\n").removesuffix("\n")


def _file_with(data: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(prefix="cody-", suffix=".md")  # nobody else can read it
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return Path(name)


def _run(command: list[str]) -> None:
    status = subprocess.run(command, check=False).returncode
    if status:
        msg = f"The editor {command[0]!r} ended with status {status}; nothing was changed"
        raise EditorFailed(msg)


def _left(path: Path, before: bytes) -> str:
    """Say where there is something that would be lost; without it, remove the file."""
    try:
        if path.read_bytes() != before:
            return f"; what it wrote is in {str(path)!r}"
        path.unlink()
    except OSError:
        return ""
    return ""
