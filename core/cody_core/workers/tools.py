"""The tool worker: it reads calls from the log of a run, makes them, and appends what came of them.

A call starts the moment its ``item_done`` is read. Calls that only read run at the same time, all
others one after the other in the order they came. A call that has an output in the log is never
made again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from cody_core.errors import RunClosed
from cody_core.eventlog import EventLog
from cody_core.eventlog.writer import LogWriter
from cody_core.ids import new_id
from cody_core.schema.events import (
    START,
    ApprovalResolved,
    Entry,
    EventFactory,
    ItemCancelled,
    ItemDelta,
    ItemDone,
    ItemStart,
    TraceContext,
    TurnAbortedByUser,
)
from cody_core.schema.items import FunctionCall, FunctionCallOutput
from cody_core.schema.requests import Policy
from cody_core.tasks import task_group
from cody_core.tools import Intent, ToolContext, ToolKind
from cody_core.tools.grants import Grants
from cody_core.tools.registry import Registry
from cody_core.workers.approvals import Approvals

logger = logging.getLogger(__name__)


class ToolWorker:
    """Makes the calls of the runs it is given."""

    def __init__(
        self, log: EventLog, registry: Registry, *, workspace: Path, grants: Grants
    ) -> None:
        """Build a worker for one workspace, in which ``grants`` say what was approved before."""
        self._log = log
        self._registry = registry
        self._workspace = workspace
        self._grants = grants

    async def run(self, run_id: str, policy: Policy = "ask") -> None:
        """Serve a run until its terminal event; calls that are under way then are cancelled.

        Raises:
            EventLogUnavailable: the log is gone.
        """
        seen: list[Entry] = []
        async for batch in self._log.read(run_id, follow=False):
            seen += batch
        after = seen[-1].offset if seen else START
        answered = {
            item.call_id for entry in seen if isinstance(item := _done(entry), FunctionCallOutput)
        }
        async with task_group() as tasks:
            approvals = Approvals(self._log, run_id, policy, self._workspace, self._grants)
            calls = _Calls(self._log, self._registry, tasks, run_id, self._workspace, approvals)
            calls.take(seen, answered)
            if not any(entry.is_terminal for entry in seen):
                async with aclosing(self._log.read(run_id, after=after)) as batches:
                    async for batch in batches:
                        calls.take(batch, set())
            calls.stop()


class _Calls:
    """The calls of one run."""

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        tasks: asyncio.TaskGroup,
        run_id: str,
        workspace: Path,
        approvals: Approvals,
    ) -> None:
        self._log = log
        self._registry = registry
        self._tasks = tasks
        self._run_id = run_id
        self._workspace = workspace
        self._approvals = approvals
        self._running: set[asyncio.Task[None]] = set()
        self._in_order = asyncio.Lock()
        self._aborted = False

    def take(self, entries: Sequence[Entry], answered: set[str]) -> None:
        for entry in entries:
            item = _done(entry)
            if isinstance(item, FunctionCall):
                # The model may have written more before it heard that nobody wants it any longer.
                if item.call_id not in answered and not self._aborted:
                    self._start(item, entry.event.trace_context)
            elif isinstance(entry.payload, ApprovalResolved):
                self._approvals.hear(entry.payload)
            elif isinstance(entry.payload, TurnAbortedByUser) and not self._aborted:
                self._aborted = True
                self.stop()

    def stop(self) -> None:
        for task in self._running:
            task.cancel()

    def _start(self, call: FunctionCall, trace: TraceContext) -> None:
        task = self._tasks.create_task(self._serve(call, EventFactory(self._run_id, trace)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, call: FunctionCall, event: EventFactory) -> None:
        try:
            if self._registry.kind(call.name) == "read":
                await self._make(call, event)
            else:
                async with self._in_order:
                    await self._make(call, event)
        except RunClosed:
            logger.debug("run %s ended before call %s did", self._run_id, call.call_id)

    async def _make(self, call: FunctionCall, event: EventFactory) -> None:
        item_id = new_id()
        async with LogWriter.open(self._log, self._run_id) as out:

            async def emit(text: str) -> None:
                await out.put(event(ItemDelta(item_id=item_id, delta_content=text)))

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
                output=result.output,
                success=result.success,
            )
            await out.put(event(ItemDone(item_id=item_id, final_item=output)))
            await out.flush()


def _done(entry: Entry) -> object:
    """Return the item that an entry completes, if it completes one."""
    payload = entry.payload
    return payload.final_item if isinstance(payload, ItemDone) else None
