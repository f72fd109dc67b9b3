"""One script of one run: it is run in the sandbox, and all it does is in the log.

Each call a script makes is a ``function_call`` item and its output, which name the script in their
``correlation_id``; they are approved, limited and cancelled as any other call.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

from cody_core.errors import ToolError
from cody_core.eventlog import EventLog
from cody_core.eventlog.writer import LogWriter
from cody_core.ids import new_id
from cody_core.schema.events import (
    EventFactory,
    ItemCancelled,
    ItemDelta,
    ItemDone,
    ItemStart,
    Payload,
    ScriptExecutionDone,
    ScriptExecutionError,
    ScriptExecutionStart,
)
from cody_core.schema.items import FunctionCall, ScriptExecution, ScriptExecutionOutput
from cody_core.schema.requests import RunRequest
from cody_core.schema.response import ErrorInfo
from cody_core.tools.sandbox import Sandbox, ScriptResult
from cody_core.workers.calls import Calls

UNCLOSED = (
    "unclosed_script: it ended before </script>, or its JSON before the closing brace, so nothing "
    "was run. Write the whole script again, and shorter if it was cut off."
)


class Scripts:
    """Runs the scripts of one run."""

    def __init__(
        self,
        log: EventLog,
        sandbox: Sandbox,
        calls: Calls,
        *,
        tools: Sequence[str],
        request: RunRequest,
        context: Mapping[str, str],
    ) -> None:
        self._log = log
        self._sandbox = sandbox
        self._calls = calls
        self._tools = tuple(tools)
        self._run_id = request.run_id
        self._context = context

    async def run(self, script: ScriptExecution, event: EventFactory) -> None:
        """Run a script and append what comes of it.

        Cancelling it stops script and calls, and leaves a cancelled output.

        Raises:
            RunClosed: the run ended before the script did.
            EventLogUnavailable: the log is gone.
        """
        output_id = new_id()
        async with LogWriter.open(self._log, self._run_id) as out:
            start = ItemStart(
                item_id=output_id,
                item_type="script_execution_output",
                script_id=script.id,
                origin="system",
            )
            await out.put(event(start))
            if script.unclosed:
                result = ScriptResult(success=False, error=UNCLOSED)
            else:
                try:
                    result = await self._execute(script, output_id, event, out)
                except asyncio.CancelledError:
                    await out.put(event(ItemCancelled(item_id=output_id, reason="stopped")))
                    raise
            for payload in _end(script, output_id, result):
                await out.put(event(payload))
            await out.flush()

    async def _execute(
        self, script: ScriptExecution, output_id: str, event: EventFactory, out: LogWriter
    ) -> ScriptResult:
        turn = asyncio.Lock()
        await out.put(event(ScriptExecutionStart(item_id=script.id, code=script.code)))

        async def log(line: str) -> None:
            await out.put(event(ItemDelta(item_id=output_id, delta_content=f"{line}\n")))

        async def call(name: str, arguments: str) -> str:
            made = FunctionCall(
                id=new_id(),
                name=name,
                arguments=arguments,
                call_id=f"call_{new_id()}",
                correlation_id=script.id,
            )
            await out.put(event(_start(made)))
            await out.put(event(ItemDone(item_id=made.id, final_item=made)))
            await out.flush()  # what comes of it is written by somebody else, and comes after
            result = await self._calls.serve(made, event, turn)
            if not result.success:
                raise ToolError(result.output)
            return json.dumps(result.output)

        return await self._sandbox.run(
            script.code, tools=self._tools, call=call, context=self._context, log=log
        )


def _start(call: FunctionCall) -> ItemStart:
    return ItemStart(
        item_id=call.id,
        item_type="function_call",
        name=call.name,
        call_id=call.call_id,
        correlation_id=call.correlation_id,
    )


def _end(script: ScriptExecution, output_id: str, result: ScriptResult) -> list[Payload]:
    logs = "".join(f"{line}\n" for line in result.logs)
    if result.logs_cut:
        logs += "[more was written than is kept]\n"
    output = ScriptExecutionOutput(
        id=output_id,
        script_id=script.id,
        result=result.result,
        success=result.success,
        error=_error(result),
        logs=logs or None,
    )
    milestone: Payload = ScriptExecutionDone(item_id=script.id, result=result.result, success=True)
    if not result.success:
        code, message = result.error_code or "unclosed_script", result.error or "it failed"
        error = ErrorInfo(code=code, message=message)
        milestone = ScriptExecutionError(item_id=script.id, error=error)
    return [milestone, ItemDone(item_id=output_id, final_item=output)]


def _error(result: ScriptResult) -> str | None:
    """Say what failed, and which calls were made by then: they are not undone."""
    if result.success:
        return None
    parts = [f"{result.error_code}: {result.error}" if result.error_code else str(result.error)]
    if result.calls:
        made = ", ".join(f"{call.name} ({'ok' if call.ok else 'failed'})" for call in result.calls)
        parts.append(f"Calls made before: {made}.")
    return "\n".join(parts)
