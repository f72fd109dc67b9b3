"""One script, seen from the parent: its calls, its clock, its log, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cody_core.errors import ToolError
from cody_core.schema.base import whole
from cody_core.tasks import task_group
from cody_core.tools.sandbox import Call, Log, ScriptCall, ScriptResult
from cody_core.tools.sandbox.child import Child, ChildGone
from cody_core.tools.sandbox.limits import Limits


class Session:
    """Runs one script in a child. The child is killed if the script does not end by itself."""

    def __init__(
        self, child: Child, limits: Limits, tools: Sequence[str], call: Call, log: Log
    ) -> None:
        self._child = child
        self._limits = limits
        self._tools = tuple(tools)
        self._call = call
        self._log = log
        self._logs: list[str] = []
        self._logs_cut = False
        self._calls: list[ScriptCall] = []
        self._open = 0
        self._at_once = asyncio.Semaphore(limits.calls_at_once)
        self._clock = _Clock(limits.seconds)
        self._sent = 0
        self._over = False

    async def run(self, code: str, context: Mapping[str, Any]) -> ScriptResult:
        """Run it to its end."""
        async with task_group() as tasks:
            calls: set[asyncio.Task[None]] = set()
            try:
                async with self._clock.limit as limit:
                    done = await self._converse(code, context, tasks, calls)
            except TimeoutError:
                if not limit.expired():
                    raise
                done = _failure(
                    f"the script was stopped after {self._limits.seconds:g} s of its own time",
                    "timeout",
                )
            except ChildGone as error:
                done = _failure(str(error), "sandbox_failed")
            except asyncio.CancelledError:
                # Before its calls are cancelled, which may take a while.
                self._child.kill()
                raise
            self._over = True
            if done.get("retire", True):
                self._child.kill()
            if not done["success"]:
                for task in calls:
                    task.cancel()
        return self._result(done)

    async def _converse(
        self,
        code: str,
        context: Mapping[str, Any],
        tasks: asyncio.TaskGroup,
        calls: set[asyncio.Task[None]],
    ) -> dict[str, Any]:
        """Follow the script until it is done, and return what the child says of it."""
        await self._send({"run": self._order(code, context)})
        while True:
            message = await self._child.receive()
            match message:
                case {"done": dict() as done}:
                    return done
                case {"ready": int() as resident}:
                    self._child.note(resident)
                case {"log": str() as said}:
                    self._logs.append(line := whole(said))
                    await self._log(line)
                case {"call": int() as number, "name": str() as name, "arguments": str() as text}:
                    if (refusal := self._refusal(name)) is not None:
                        await self._answer(number, *refusal)
                        continue
                    self._calls.append(ScriptCall(name, ok=False))
                    self._open += 1
                    serve = self._serve(number, len(self._calls) - 1, name, text)
                    calls.add(tasks.create_task(serve))
                case {"idle": int() as heard}:
                    # It may not have seen yet what was sent since.
                    if heard == self._sent and self._open:
                        self._clock.stop()
                case {"log_full": True}:
                    self._logs_cut = True
                case _:
                    self._child.kill()
                    raise ChildGone(f"the sandbox's process sent {str(message)[:80]!r}")

    def _order(self, code: str, context: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "code": code,
            "tools": self._tools,
            "context": json.dumps(dict(context)),
            "argument_chars": self._limits.argument_chars,
            "log_bytes": self._limits.log_bytes,
            "result_bytes": self._limits.result_bytes,
        }

    def _refusal(self, name: str) -> tuple[str, str] | None:
        """Say why a call is not made, and the code for it. The script cannot be trusted to."""
        if name not in self._tools:
            return f"there is no tool named {name!r}", "unknown_tool"
        if len(self._calls) >= self._limits.calls:
            text = f"a script may call tools {self._limits.calls} times, and this was once more"
            return text, "too_many_tool_calls"
        return None

    async def _serve(self, number: int, index: int, name: str, arguments: str) -> None:
        code = None
        try:
            async with self._at_once:
                text = await self._call(name, arguments)
        except ToolError as error:
            text, code = error.message, "tool_error"
        else:
            self._calls[index] = ScriptCall(name, ok=True)
        self._open -= 1
        if not self._over:
            # Whoever listens to the child hears of its end, and says so.
            with contextlib.suppress(ChildGone):
                await self._answer(number, text, code)

    async def _answer(self, number: int, text: str, code: str | None) -> None:
        answer = {"id": number, "ok": code is None, "text": whole(text), "code": code or ""}
        await self._send({"answer": answer})

    async def _send(self, message: Mapping[str, Any]) -> None:
        self._sent += 1
        self._clock.go()
        await self._child.send(message)

    def _result(self, done: Mapping[str, Any]) -> ScriptResult:
        success = done["success"]
        return ScriptResult(
            success=success,
            result=done["result"] if success else "null",
            error=None if success else whole(done["error"]),
            error_code=None if success else done["code"],
            line=None if success else done.get("line"),
            logs=tuple(self._logs),
            logs_cut=self._logs_cut,
            calls=tuple(self._calls),
        )


class _Clock:
    """A time limit that can be stopped and go on."""

    def __init__(self, seconds: float) -> None:
        self.limit = asyncio.timeout(seconds)
        self._left: float | None = None

    def stop(self) -> None:
        if self._left is None and (when := self.limit.when()) is not None:
            self._left = when - asyncio.get_running_loop().time()
            self.limit.reschedule(None)

    def go(self) -> None:
        if self._left is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + self._left)
        self._left = None


def _failure(message: str, code: str) -> dict[str, Any]:
    return {"success": False, "error": message, "code": code}
