"""``list_dir``: what is in a directory, as a tree."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from cody_core.tools.ignore import Folder
from cody_core.tools.reading import Stop, in_thread, label, printable, size, target
from cody_core.tools.workspace import private_below, resolve

DEFAULT_ENTRIES = 200
MOST_ENTRIES = 1000


class ListDirArguments(BaseModel):
    """What the model says."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[
        str, Field(description="The directory: relative to the workspace, or absolute.")
    ] = "."
    depth: Annotated[int, Field(ge=1, le=5, description="How many levels to show.")] = 2
    limit: Annotated[int, Field(ge=1, le=MOST_ENTRIES, description="How many entries to show.")] = (
        DEFAULT_ENTRIES
    )


class ListDir:
    """Lists a directory; the ``guarded`` ones below it are named and not entered."""

    name = "list_dir"
    description = (
        "List a directory as a tree: directories end in /, files have their size. What"
        " .gitignore names is left out."
    )
    kind: ToolKind = "read"
    arguments: type[BaseModel] = ListDirArguments

    def __init__(self, guarded: Sequence[Path] = ()) -> None:
        self._guarded = guarded

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Say which directory would be listed."""
        asked: ListDirArguments = arguments
        path = resolve(asked.path, context.workspace)
        return Intent(f"list {label(path, context.workspace)}", paths=(path,))

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """List it."""
        asked: ListDirArguments = arguments
        path = target(asked.path, context)
        name = label(path, context.workspace)
        skip = private_below(path, self._guarded)
        return ToolResult(await in_thread(partial(_list, path, name, asked, skip)))


@dataclass
class _Node:
    """A directory in the tree: what it is called, and what of it is shown."""

    shown: str
    children: list[_Node] = field(default_factory=list)
    left_out: int = 0

    def lines(self, indent: str = "") -> list[str]:
        found = [f"{indent}{self.shown}"]
        for child in self.children:
            found += child.lines(indent + "  ")
        if self.left_out:
            found.append(f"{indent}  … {self.left_out:,} more")
        return found


def _list(
    path: Path, name: str, asked: ListDirArguments, skip: Callable[[str], bool], stop: Stop
) -> str:
    try:
        folder = Folder.at(path)
        entries = folder.entries()
    except FileNotFoundError as error:
        raise ToolError(f"There is no directory {name}.") from error
    except NotADirectoryError as error:
        raise ToolError(f"{name} is not a directory; read_file shows what a file holds.") from error
    except OSError as error:
        raise ToolError(f"{name} cannot be listed: {error.strerror}") from error
    root = _Node(f"{name.rstrip('/')}/")
    if not entries:
        root.shown += "  (empty)"
    _grow(root, folder, entries, asked, lambda entry: stop() or skip(entry))
    return "\n".join(root.lines()) + "\n"


def _grow(
    root: _Node,
    folder: Folder,
    entries: list[os.DirEntry[str]],
    asked: ListDirArguments,
    skip: Callable[[str], bool],
) -> None:
    """Add what is in the tree, level by level, so that a full subdirectory hides nothing above.

    What ``skip`` tells of is named and not entered.
    """
    room = asked.limit
    level = deque([(root, folder, entries, 1)])
    while level:
        node, folder, entries, depth = level.popleft()
        node.left_out = max(0, len(entries) - room)
        for entry in entries[:room]:
            child = _Node(_shown(entry))
            node.children.append(child)
            is_entered = depth < asked.depth and entry.is_dir(follow_symlinks=False)
            if is_entered and not skip(entry.path):
                inner = folder.enter(entry.name)
                level.append((child, inner, _entries(inner, child), depth + 1))
        room -= len(node.children)


def _entries(folder: Folder, node: _Node) -> list[os.DirEntry[str]]:
    try:
        return folder.entries()
    except OSError as error:
        node.shown += f"  (cannot be read: {error.strerror})"
        return []


def _shown(entry: os.DirEntry[str]) -> str:
    name = printable(entry.name)
    try:
        if entry.is_symlink():
            return f"{name} -> {printable(os.readlink(entry.path))}"
        if entry.is_dir(follow_symlinks=False):
            return f"{name}/"
        if entry.is_file(follow_symlinks=False):
            return f"{name}  {size(entry.stat(follow_symlinks=False).st_size)}"
    except OSError as error:
        return f"{name}  ({error.strerror})"
    return f"{name}  (not a file)"
