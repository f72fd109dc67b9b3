"""One call of one run: its output item is opened, streamed and closed in the log."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cody_core.eventlog import EventLog
from cody_core.eventlog.writer import LogWriter
from cody_core.ids import new_id
from cody_core.schema.base import whole
from cody_core.schema.events import EventFactory, ItemCancelled, ItemDelta, ItemDone, ItemStart
from cody_core.schema.items import FunctionCall, FunctionCallOutput
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from cody_core.tools.registry import Registry
from cody_core.workers.approvals import Approvals


class Calls:
    """Makes the calls of one run, whoever wants them made."""

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        run_id: str,
        workspace: Path,
        approvals: Approvals,
    ) -> None:
        self._log = log
        self._registry = registry
        self._run_id = run_id
        self._workspace = workspace
        self._approvals = approvals

    async def serve(
        self, call: FunctionCall, event: EventFactory, turn: asyncio.Lock
    ) -> ToolResult:
        """Make a call and append its output; a call that does not only read waits for its turn.

        Cancelling it stops the call and leaves a cancelled output.

        Raises:
            RunClosed: the run ended before the call did.
            EventLogUnavailable: the log is gone.
        """
        if self._registry.kind(call.name) == "read":
            return await self._make(call, event)
        async with turn:
            return await self._make(call, event)

    async def _make(self, call: FunctionCall, event: EventFactory) -> ToolResult:
        item_id = new_id()
        async with LogWriter.open(self._log, self._run_id) as out:

            async def emit(text: str) -> None:
                await out.put(event(ItemDelta(item_id=item_id, delta_content=whole(text))))

            start = ItemStart(
                item_id=item_id,
                item_type="function_call_output",
                call_id=call.call_id,
                origin="system",
                correlation_id=call.correlation_id,
            )
            await out.put(event(start))
            context = ToolContext(
                run_id=self._run_id, call_id=call.call_id, emit=emit, workspace=self._workspace
            )

            async def consent(kind: ToolKind, intent: Intent) -> str | None:
                await out.flush()
                return await self._approvals.consent(call, kind, intent, event)

            try:
                result = await self._registry.call(call, context, consent)
            except asyncio.CancelledError:
                await out.put(event(ItemCancelled(item_id=item_id, reason="stopped")))
                raise
            output = FunctionCallOutput(
                id=item_id,
                call_id=call.call_id,
                correlation_id=call.correlation_id,
                output=whole(result.output),
                success=result.success,
            )
            await out.put(event(ItemDone(item_id=item_id, final_item=output)))
            await out.flush()
        return result
