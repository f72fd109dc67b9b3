"""The script sandbox: JavaScript or TypeScript of a model runs here, and reaches tools only.

The script runs in QuickJS, compiled to WebAssembly, in a child process that is killed when it
misbehaves. Nothing the script does can name a file, a socket or an object of ours.

What a script may rely on:

- Its body may ``await`` at the top level. Its result is what it returns, or, where it has no
  ``return`` at the top level, the value of its last statement; a promise there is awaited. The
  result leaves as JSON: ``undefined`` becomes ``null``, and what JSON would drop or cannot say (a
  function, a symbol, a BigInt, a promise, a Map, a Set, a cycle) is ``result_not_serializable``.
- It is in strict mode. TypeScript is stripped of its types when the text is no JavaScript.
- ``tools.NAME({...})`` returns a promise of the tool's result, which rejects with a ``ToolError``
  when the tool fails. ``console.log|info|warn|error|debug``, ``sleep(milliseconds)`` and a frozen
  ``context`` are there; files, network, environment, modules, ``eval`` and ``Function`` are not.
- Its clock counts what it computes and what it sleeps. It stands while the script has nothing to
  do but wait for a tool, however long that or its approval takes.
- More calls than may run at once wait for their turn; more than it may make are refused.
- When it ends well, calls it did not wait for are finished first, and then nothing of it runs any
  more. When it fails or is stopped, they are cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

ScriptErrorCode: TypeAlias = Literal[
    "source_too_large",  # nothing ran
    "syntax_error",  # nothing ran
    "script_error",  # it threw
    "tool_error",  # a tool failed, and the script let that pass
    "unknown_tool",  # it used a tool there is not
    "too_many_tool_calls",
    "arguments_too_large",
    "timeout",  # its own time is used up
    "memory_limit",
    "stack_overflow",
    "stalled",  # it waits for a promise that nothing can settle
    "result_not_serializable",
    "result_too_large",
    "sandbox_failed",  # the sandbox could not be started, or broke
]

Call: TypeAlias = Callable[[str, str], Awaitable[str]]
"""Calls a tool: its name and its arguments as JSON text, and JSON text is the answer."""

Log: TypeAlias = Callable[[str], Awaitable[None]]
"""Takes a line that the script wrote to its console, as it is written."""


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """A call that a script made; one that was cancelled is not ``ok``."""

    name: str
    ok: bool


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What came of a script.

    Attributes:
        success: Whether it came to its end.
        result: JSON text; ``null`` for a script that failed.
        error: What failed, for the model to act on: with the lines of its own source.
        error_code: What kind of failure it was.
        line: The line of its source that failed, where that is known. Of an access to a property of
            ``null`` or ``undefined`` the engine knows no more than the last call before it, or the
            beginning of the function.
        logs: The lines it wrote to the console, as far as the limit for them reaches.
        logs_cut: Whether it wrote more than that.
        calls: The calls it made, in order.
    """

    success: bool
    result: str = "null"
    error: str | None = None
    error_code: ScriptErrorCode | None = None
    line: int | None = None
    logs: tuple[str, ...] = ()
    logs_cut: bool = False
    calls: tuple[ScriptCall, ...] = ()


class Sandbox(Protocol):
    """Runs scripts."""

    def warm(self) -> None:
        """Say that a script is about to come; doing nothing is allowed."""
        ...

    async def run(
        self,
        code: str,
        *,
        tools: Sequence[str],
        call: Call,
        context: Mapping[str, Any],
        log: Log,
    ) -> ScriptResult:
        """Run a script to its end; whatever it does wrong is in the result, not an exception.

        Cancelling this stops the script at once, wherever it is.

        Args:
            code: JavaScript or TypeScript.
            tools: The names of the tools it may call.
            call: Makes a call; a ``ToolError`` rejects the script's promise.
            context: What the script finds as ``context``; must be JSON.
            log: Is given each console line, live.
        """
        ...
