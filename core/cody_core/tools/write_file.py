"""The ``write_file`` tool: a whole file written, whatever was there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.tools.edits import Change, EditTool, change_file, read_file
from cody_core.tools.edits_text import Text
from cody_core.tools.workspace import resolve, shown


class Arguments(BaseModel):
    """What the tool is called with."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The file to write; directories are created as needed.")
    content: str = Field(description="All of its text.")


class WriteFile(EditTool):
    """Writes files."""

    name = "write_file"
    description = (
        "Write a whole file: a new one, or one whose text is replaced. To change a part of a file "
        "use apply_patch or str_replace."
    )
    arguments: type[BaseModel] = Arguments

    def plan(self, arguments: Any, workspace: Path) -> Sequence[Change]:
        """Return the file with its new text, in the encoding and with the line ends it has."""
        path = resolve(arguments.path, workspace)
        name = shown(path, workspace)
        before = read_file(path, name)
        text = Text() if before is None else Text.decode(before, name)
        if text.encoding == "latin-1":
            # Nothing of the old text stays, so there is nothing that UTF-8 could damage.
            text = Text(crlf=text.crlf)
        after = text.with_text(arguments.content).encode(name)
        if after == before:
            msg = f"{name!r} has this very content already."
            raise ToolError(msg)
        return [change_file(path, before, after, workspace)]
