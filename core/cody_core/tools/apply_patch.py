"""The ``apply_patch`` tool: several files changed by one patch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.tools.edits import Change, EditTool, change_file, read_file
from cody_core.tools.edits_text import Text
from cody_core.tools.patch import AddFile, DeleteFile, Operation, UpdateFile, parse
from cody_core.tools.patch_apply import apply
from cody_core.tools.workspace import resolve, shown

DESCRIPTION = """\
Change files with a patch; all of it is applied or nothing. The format:

*** Begin Patch
*** Add File: path/new.py
+every line of the new file
*** Delete File: path/old.py
*** Update File: path/a.py
*** Move to: path/b.py
@@ class A
@@     def method(self):
 a line that stays
-a line that goes
+a line that comes
*** End Patch

Give about three unchanged lines before and after each change. A change must fit in exactly one \
place: if need be add '@@' lines that name the class or function above it. '*** Move to' is \
optional. End a hunk with '*** End of File' if its lines are the last of the file. \
Each file may appear once."""


class Arguments(BaseModel):
    """What the tool is called with."""

    model_config = ConfigDict(extra="forbid")

    input: str = Field(
        validation_alias=AliasChoices("input", "patch"),
        description="The patch, from '*** Begin Patch' to '*** End Patch'.",
    )


class ApplyPatch(EditTool):
    """Applies patches."""

    name = "apply_patch"
    description = DESCRIPTION
    arguments: type[BaseModel] = Arguments

    def plan(self, arguments: Any, workspace: Path) -> Sequence[Change]:
        """Read the patch and apply it in memory."""
        seen: dict[Path, int] = {}
        return [_plan(operation, workspace, seen) for operation in parse(arguments.input)]


def _plan(operation: Operation, workspace: Path, seen: dict[Path, int]) -> Change:
    path = _claim(operation.path, operation.number, workspace, seen)
    name = shown(path, workspace)
    before = read_file(path, name)
    match operation:
        case AddFile():
            if before is not None:
                msg = (
                    f"Line {operation.number} of the patch adds {name!r}, which exists. "
                    "Update it, or replace it with write_file."
                )
                raise ToolError(msg)
            return change_file(path, None, Text(operation.text).encode(name), workspace)
        case DeleteFile():
            return Change(path, _existing(before, operation, name), None, name)
        case UpdateFile():
            return _update(operation, path, _existing(before, operation, name), workspace, seen)


def _update(
    operation: UpdateFile, path: Path, before: bytes, workspace: Path, seen: dict[Path, int]
) -> Change:
    name = shown(path, workspace)
    after = before
    if operation.hunks:
        text = Text.decode(before, name)
        after = text.with_text(apply(text.text, operation.hunks, name)).encode(name)
    if operation.move_to is not None and resolve(operation.move_to, workspace) != path:
        target = _claim(operation.move_to, operation.number, workspace, seen)
        target_name = shown(target, workspace)
        if read_file(target, target_name) is not None:
            msg = f"{name!r} cannot be moved to {target_name!r}, which exists. Delete it first."
            raise ToolError(msg)
        return change_file(path, before, after, workspace, target)
    if after == before:
        msg = f"The update of {name!r} at line {operation.number} of the patch changes nothing."
        raise ToolError(msg)
    return change_file(path, before, after, workspace)


def _claim(named: str, number: int, workspace: Path, seen: dict[Path, int]) -> Path:
    """Resolve a path that no other part of the patch may touch."""
    path = resolve(named, workspace)
    if path in seen:
        msg = (
            f"Line {number} of the patch is about {shown(path, workspace)!r} as line {seen[path]} "
            "is. A patch may touch each file once: put all its hunks under one header."
        )
        raise ToolError(msg)
    seen[path] = number
    return path


def _existing(before: bytes | None, operation: Operation, name: str) -> bytes:
    if before is None:
        msg = f"Line {operation.number} of the patch is about {name!r}, which does not exist."
        raise ToolError(msg)
    return before
