"""Tools: what a model can have done. A tool takes validated arguments and returns text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel

from cody_core.errors import CodyError

ToolKind: TypeAlias = Literal["read", "write", "execute"]


class ToolError(CodyError):
    """A tool could not do what it was asked; the message is for the model to act on."""

    code = "tool_error"


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a call knows of its surroundings.

    Attributes:
        run_id: The run it belongs to.
        call_id: The call.
        emit: Shows output while the call goes on; what was emitted is the beginning of its output.
    """

    run_id: str
    call_id: str
    emit: Callable[[str], Awaitable[None]]


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

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Do it. ``arguments`` is an instance of the model that ``arguments`` names.

        Cancelling the call must stop whatever it started.

        Raises:
            ToolError: it cannot be done; the message tells the model why.
        """
        ...
