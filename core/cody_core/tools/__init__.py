"""Tools: what a model can have done. A tool takes validated arguments and returns text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel

ToolKind: TypeAlias = Literal["read", "write", "execute"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What a call would do, found out without doing it: what a person is asked to approve.

    Attributes:
        summary: One line: the command, or the file and what becomes of it.
        preview: The whole of it where the line is not enough: a command, a unified diff.
        command: What is executed, to the letter, where something is.
        paths: The files and directories it names, resolved; outside the workspace it needs consent.
        basis: What it was worked out from: for each path a digest of the file's bytes, or ``None``
            for no file. A call must not change a file that is not what its preview showed.
    """

    summary: str
    preview: str | None = None
    command: str | None = None
    paths: tuple[Path, ...] = ()
    basis: Mapping[Path, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a call knows of its surroundings.

    Attributes:
        run_id: The run it belongs to.
        call_id: The call.
        emit: Shows output while the call goes on; what was emitted is the beginning of its output.
        workspace: The directory the conversation is about; relative paths begin there.
        intent: What was approved, if anybody had to be asked.
    """

    run_id: str
    call_id: str
    emit: Callable[[str], Awaitable[None]]
    workspace: Path = field(default_factory=Path.cwd)
    intent: Intent | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call; ``output`` is the whole of it, what was emitted included."""

    output: str
    success: bool = True


class Tool(Protocol):
    """Something a model can have done.

    Attributes:
        name: What the model calls it; letters, digits, ``_`` and ``-``, at most 64.
        description: What the model is told about it.
        kind: What it does to the world: calls that only read may run at the same time.
        arguments: The model of its arguments; its JSON schema is what the language model sees.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class

    @property
    def description(self) -> str: ...  # noqa: D102 - see the class

    @property
    def kind(self) -> ToolKind: ...  # noqa: D102 - see the class

    @property
    def arguments(self) -> type[BaseModel]: ...  # noqa: D102 - see the class

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Find out what a call would do, and change nothing.

        Raises:
            ToolError: it cannot be done; the message tells the model why, and nobody is asked.
        """
        ...

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Do it. ``arguments`` is an instance of the model that ``arguments`` names.

        Cancelling the call must stop whatever it started.

        Raises:
            ToolError: it cannot be done; the message tells the model why.
        """
        ...


class BaseTool:
    """For tools whose name says all there is to approve."""

    name: str

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Return the name."""
        return Intent(summary=self.name)
