"""The ``str_replace`` tool: one piece of a file replaced by another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.tools.edits import Change, EditTool, change_file, read_file
from cody_core.tools.edits_text import Text
from cody_core.tools.nearby import excerpt, nearest
from cody_core.tools.workspace import resolve, shown

_LINES_NAMED = 10
_LINES_SHOWN = 8


class Arguments(BaseModel):
    """What the tool is called with."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The file to change.")
    old_str: str = Field(
        description="The text to replace, exactly as in the file, with its indentation and enough "
        "of its surroundings to occur only once."
    )
    new_str: str = Field(description="The text to put in its place; empty to delete it.")
    replace_all: bool = Field(default=False, description="Replace every occurrence.")


class StrReplace(EditTool):
    """Replaces text."""

    name = "str_replace"
    description = (
        "Replace a text in a file by another. The text must occur exactly once, unless all its "
        "occurrences are to be replaced."
    )
    arguments: type[BaseModel] = Arguments

    def plan(self, arguments: Any, workspace: Path) -> Sequence[Change]:
        """Replace it in memory."""
        path = resolve(arguments.path, workspace)
        name = shown(path, workspace)
        before = read_file(path, name)
        if before is None:
            msg = f"{name!r} does not exist. To create it use write_file."
            raise ToolError(msg)
        text = Text.decode(before, name)
        replaced = _replace(text, arguments, name)
        return [change_file(path, before, text.with_text(replaced).encode(name), workspace)]


def _replace(text: Text, arguments: Arguments, name: str) -> str:
    old, new = arguments.old_str, arguments.new_str
    if not old:
        msg = "old_str is empty: give the text to replace. To write a whole file use write_file."
        raise ToolError(msg)
    if text.crlf:
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    if old == new:
        msg = "old_str and new_str are the same: nothing would change."
        raise ToolError(msg)
    if old not in text.text and "\r\n" in text.text:
        # Line ends are mixed in this file, and models see none of that.
        old, new = _with_returns(old), _with_returns(new)
    if old not in text.text:
        _refuse_none(text.text, arguments.old_str, name)
    if not arguments.replace_all and (starts := _occurrences(text.text, old))[1:]:
        _refuse_several(text.text, starts, name)
    return text.text.replace(old, new)


def _with_returns(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _occurrences(text: str, old: str) -> list[int]:
    """Return where it occurs; occurrences that overlap count, for any of them may be meant."""
    starts = []
    start = text.find(old)
    while start >= 0:
        starts.append(start)
        start = text.find(old, start + 1)
    return starts


def _refuse_several(text: str, starts: Sequence[int], name: str) -> NoReturn:
    numbers = [str(text.count("\n", 0, start) + 1) for start in starts[:_LINES_NAMED]]
    more = ", …" if len(starts) > _LINES_NAMED else ""
    msg = (
        f"old_str occurs {len(starts)} times in {name!r}, at lines {', '.join(numbers)}{more}. "
        "Give more of its surroundings, or set replace_all."
    )
    raise ToolError(msg)


def _refuse_none(text: str, old: str, name: str) -> NoReturn:
    lines, wanted = text.split("\n"), old.split("\n")
    near = nearest(lines, wanted)
    if near is None:
        msg = f"old_str does not occur in {name!r}, nor anything like it. Read the file again."
        raise ToolError(msg)
    shown_lines = excerpt(lines, near, min(len(wanted), _LINES_SHOWN))
    msg = (
        f"old_str does not occur in {name!r}. The nearest is at line {near + 1}; compare it "
        f"character by character:\n{shown_lines}"
    )
    raise ToolError(msg)
