"""The tool worker: it reads calls and scripts from the log of a run and sees to them.

A call starts the moment its ``item_done`` is read. Calls that only read run at the same time, all
others and the scripts one after the other in the order they came. What has an output in the log is
never done again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cody_core.errors import RunClosed
from cody_core.eventlog import EventLog
from cody_core.mirror import Mirror
from cody_core.schema.events import (
    ApprovalResolved,
    Entry,
    EventFactory,
    ItemDelta,
    ItemDone,
    ItemStart,
    ResponseDone,
    ResponseError,
    TurnAbortedByUser,
)
from cody_core.schema.items import FunctionCall, ScriptExecution
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
        """Serve a run until its end, from wherever it is; what is under way then is cancelled.

        Raises:
            EventLogUnavailable: the log is gone.
        """
        mirror, seen = Mirror(self._log, request.run_id), list[Entry]()
        with mirror.told(seen.extend):
            await mirror.catch_up()
        async with task_group() as tasks:
            with self.serving(request, mirror, tasks, seen=seen):
                await mirror.follow()

    @contextmanager
    def serving(
        self,
        request: RunRequest,
        mirror: Mirror,
        tasks: asyncio.TaskGroup,
        *,
        seen: Sequence[Entry] = (),
    ) -> Iterator[None]:
        """Serve a run while the block runs; what is under way at its end is cancelled.

        Args:
            request: The run.
            mirror: Is followed by somebody else.
            tasks: Owns the calls.
            seen: What the mirror has read before.
        """
        work = self._work(request, mirror, tasks)
        with mirror.told(work.take):
            work.take(seen)
            try:
                yield
            finally:
                work.stop()

    def _work(self, request: RunRequest, mirror: Mirror, tasks: asyncio.TaskGroup) -> _Work:
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
        return _Work(tasks, mirror, calls, scripts, approvals, self._sandbox)


class _Work:
    """What is to be done for one run."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        mirror: Mirror,
        calls: Calls,
        scripts: Scripts,
        approvals: Approvals,
        sandbox: Sandbox,
    ) -> None:
        self._tasks = tasks
        self._mirror = mirror
        self._calls = calls
        self._scripts = scripts
        self._approvals = approvals
        self._sandbox = sandbox
        self._running: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._aborted = False

    def take(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            match entry.payload:
                case ItemDelta():  # nearly all are
                    pass
                case ItemDone(final_item=FunctionCall() | ScriptExecution() as item):
                    # The model may have written more before it heard that nobody wants it any more.
                    if not self._aborted and _key(item) not in self._mirror.answered:
                        self._start(
                            item, EventFactory(self._mirror.run_id, entry.event.trace_context)
                        )
                case ItemStart(item_type="script_execution"):
                    self._sandbox.warm()
                case ApprovalResolved() as answer:
                    self._approvals.hear(answer)
                case TurnAbortedByUser() if not self._aborted:
                    self._aborted = True
                    self.stop()
                case ResponseDone() | ResponseError():
                    self._aborted = True
                    self.stop()
                case _:
                    pass

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
            logger.debug("run %s ended before item %s was done", self._mirror.run_id, item.id)


def _key(item: FunctionCall | ScriptExecution) -> str:
    """Return what an output names the item by."""
    return item.call_id if isinstance(item, FunctionCall) else item.id
