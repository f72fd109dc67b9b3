"""The tool worker: it reads calls and scripts from the log of a run and sees to them.

A call starts the moment its ``item_done`` is read. Calls that only read run at the same time, all
others and the scripts one after the other in the order they came. What has an output in the log is
never done again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from cody_core.errors import RunClosed
from cody_core.eventlog import EventLog
from cody_core.schema.events import (
    START,
    ApprovalResolved,
    Entry,
    EventFactory,
    ItemDone,
    ItemStart,
    TurnAbortedByUser,
)
from cody_core.schema.items import (
    FunctionCall,
    FunctionCallOutput,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.requests import RunRequest
from cody_core.tasks import task_group
from cody_core.tools.grants import Grants
from cody_core.tools.registry import Registry
from cody_core.tools.sandbox import Sandbox
from cody_core.workers.approvals import Approvals
from cody_core.workers.calls import Calls
from cody_core.workers.scripts import Scripts

logger = logging.getLogger(__name__)


class ToolWorker:
    """Does what the models of the runs it is given want done."""

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        sandbox: Sandbox,
        *,
        workspace: Path,
        grants: Grants,
    ) -> None:
        """Build a worker for one workspace, in which ``grants`` say what was approved before."""
        self._log = log
        self._registry = registry
        self._sandbox = sandbox
        self._workspace = workspace
        self._grants = grants

    async def run(self, request: RunRequest) -> None:
        """Serve a run until its terminal event; what is under way then is cancelled.

        Raises:
            EventLogUnavailable: the log is gone.
        """
        seen: list[Entry] = []
        async for batch in self._log.read(request.run_id, follow=False):
            seen += batch
        after = seen[-1].offset if seen else START
        answered = {key for entry in seen if (key := _answers(_done(entry))) is not None}
        async with task_group() as tasks:
            work = self._work(request, tasks)
            work.take(seen, answered)
            if not any(entry.is_terminal for entry in seen):
                async with aclosing(self._log.read(request.run_id, after=after)) as batches:
                    async for batch in batches:
                        work.take(batch, set())
            work.stop()

    def _work(self, request: RunRequest, tasks: asyncio.TaskGroup) -> _Work:
        run_id, workspace = request.run_id, self._workspace
        registry = self._registry.only(request.tools)
        approvals = Approvals(self._log, run_id, request.policy, workspace, self._grants)
        calls = Calls(self._log, registry, run_id, workspace, approvals)
        context = {
            "thread_id": request.thread_id,
            "run_id": run_id,
            "workspace": str(workspace),
            "model": request.model_id,
        }
        scripts = Scripts(
            self._log, self._sandbox, calls, tools=registry.names, request=request, context=context
        )
        return _Work(tasks, run_id, calls, scripts, approvals, self._sandbox)


class _Work:
    """What is to be done for one run."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        run_id: str,
        calls: Calls,
        scripts: Scripts,
        approvals: Approvals,
        sandbox: Sandbox,
    ) -> None:
        self._tasks = tasks
        self._run_id = run_id
        self._calls = calls
        self._scripts = scripts
        self._approvals = approvals
        self._sandbox = sandbox
        self._running: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._aborted = False

    def take(self, entries: Sequence[Entry], answered: set[str]) -> None:
        for entry in entries:
            match entry.payload:
                case ItemDone(final_item=FunctionCall() | ScriptExecution() as item):
                    # The model may have written more before it heard that nobody wants it any more.
                    if not self._aborted and _key(item) not in answered:
                        self._start(item, EventFactory(self._run_id, entry.event.trace_context))
                case ItemStart(item_type="script_execution"):
                    self._sandbox.warm()
                case ApprovalResolved() as answer:
                    self._approvals.hear(answer)
                case TurnAbortedByUser() if not self._aborted:
                    self._aborted = True
                    self.stop()

    def stop(self) -> None:
        for task in self._running:
            task.cancel()

    def _start(self, item: FunctionCall | ScriptExecution, event: EventFactory) -> None:
        if item.correlation_id is not None:
            return  # a script makes it itself
        task = self._tasks.create_task(self._see_to(item, event))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _see_to(self, item: FunctionCall | ScriptExecution, event: EventFactory) -> None:
        try:
            if isinstance(item, FunctionCall):
                await self._calls.serve(item, event, self._turn)
            else:
                async with self._turn:
                    await self._scripts.run(item, event)
        except RunClosed:
            logger.debug("run %s ended before item %s was done", self._run_id, item.id)


def _done(entry: Entry) -> object:
    """Return the item that an entry completes, if it completes one."""
    payload = entry.payload
    return payload.final_item if isinstance(payload, ItemDone) else None


def _key(item: FunctionCall | ScriptExecution) -> str:
    """Return what an output names the item by."""
    return item.call_id if isinstance(item, FunctionCall) else item.id


def _answers(item: object) -> str | None:
    match item:
        case FunctionCallOutput(call_id=key) | ScriptExecutionOutput(script_id=key):
            return key
        case _:
            return None
