"""The runtime: the core in this process. It opens log, store and providers, and is a ``Client``.

Leaving it stops what runs: engines append their terminal events, persisters get a moment to store
them, and what the store does not take by then waits in the outbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

from cody_core.engine import Engine, EngineLimits
from cody_core.errors import (
    AppendedBefore,
    ApprovalResolvedBefore,
    InvalidRequest,
    RunClosed,
    RunNotFound,
    StoreUnavailable,
    ThreadNotFound,
)
from cody_core.eventlog import EventLog
from cody_core.ids import new_id, now_ms
from cody_core.mirror import Mirror
from cody_core.process import ProcessLock
from cody_core.providers.catalog import known_models
from cody_core.providers.pool import ProviderPool
from cody_core.reducer import replay
from cody_core.schema.events import (
    START,
    ApprovalResolved,
    Decision,
    Entry,
    TurnAbortedByUser,
    offset_key,
)
from cody_core.schema.models import ModelInfo
from cody_core.schema.requests import RunRequest, SubmitRequest, Submitted
from cody_core.schema.response import Response
from cody_core.schema.threads import (
    Thread,
    ThreadChanges,
    ThreadDetail,
    ThreadPage,
)
from cody_core.settings import Settings, environment
from cody_core.stores import Store
from cody_core.submission import decide, event_factory, new_thread, start_event
from cody_core.tasks import task_group
from cody_core.tools.builtin import builtin_tools
from cody_core.tools.grants import Grants
from cody_core.tools.registry import Registry
from cody_core.tools.sandbox.host import ProcessSandbox
from cody_core.workers.approvals import once_key
from cody_core.workers.outbox import Outbox
from cody_core.workers.persist import Persister
from cody_core.workers.recovery import recover
from cody_core.workers.tools import ToolWorker

logger = logging.getLogger(__name__)

BUSY_SECONDS = 1.0
"""How long a call waits for another process that writes; what saves runs tries again by itself."""
GRACE_SECONDS = 5.0
"""How long leaving the runtime waits for runs to be stored."""


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    providers: ProviderPool | None = None,
    tools: Registry | None = None,
) -> AsyncIterator[Runtime]:
    """Open everything a client needs in this process, and close it in order.

    Raises:
        SettingsError: a setting does not work.
        EventLogUnavailable: REDIS_URL is set and there is no server.
        StoreUnavailable: the data directory cannot be written.
        StoreCorrupt: the database is damaged, or of a newer version.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_open_store(settings))
        log = await stack.enter_async_context(_open_log(settings))
        process = stack.enter_context(ProcessLock(settings.home / "processes"))
        pool = providers or ProviderPool(settings)
        stack.push_async_callback(pool.aclose)
        registry = tools or Registry(builtin_tools(environment(), secrets=settings.secrets))
        sandbox = await stack.enter_async_context(ProcessSandbox(settings.home / "sandbox"))
        worker = ToolWorker(
            log,
            registry,
            sandbox,
            workspace=settings.workspace,
            grants=Grants.of(settings),
        )
        tasks = await stack.enter_async_context(task_group())
        runtime = Runtime(settings, log, store, pool, registry, worker, process, tasks)
        stack.push_async_callback(runtime.stop)
        runtime.start()
        yield runtime


@asynccontextmanager
async def _open_log(settings: Settings) -> AsyncIterator[EventLog]:
    if settings.redis_url:
        from cody_core.eventlog.redis import RedisEventLog  # a quarter of a second to import

        async with RedisEventLog.open(settings.redis_url) as shared:
            yield shared
    else:
        from cody_core.eventlog.memory import MemoryEventLog

        memory = MemoryEventLog()
        yield memory
        await memory.aclose()


@asynccontextmanager
async def _open_store(settings: Settings) -> AsyncIterator[Store]:
    from cody_core.stores.sqlite import SqliteStore

    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the data directory {str(settings.home)!r} cannot be made: {error.strerror}; "
        raise StoreUnavailable(msg + "set CODY_HOME to another place") from error
    database = settings.home / "cody.db"
    async with SqliteStore.open(database, busy_timeout=BUSY_SECONDS) as store:
        yield store


@dataclass(slots=True)
class _Live:
    """A run this process is working on."""

    request: RunRequest
    work: asyncio.Task[None] | None = None


class Runtime:
    """The local client, from ``open_runtime``. See ``Client`` for what its methods promise."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        store: Store,
        providers: ProviderPool,
        tools: Registry,
        tool_worker: ToolWorker,
        process: ProcessLock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._log = log
        self._store = store
        self._providers = providers
        self._process = process
        self._tasks = tasks
        self._outbox = Outbox(settings.home / "outbox")
        self._persister = Persister(
            log, store, self._outbox, owner=process.id, log_ttl=settings.log_ttl
        )
        self._tools = tools
        self._tool_worker = tool_worker
        self._engine = Engine(
            log,
            provider=providers.get,
            history=self._history,
            tools=tools,
            limits=EngineLimits(settings.max_iterations, settings.max_retries),
        )
        self._live: dict[str, _Live] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._recovery: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to put in order what an earlier process left behind."""
        self._recovery = self._tasks.create_task(
            recover(
                self._log,
                self._store,
                self._outbox,
                self._process.is_alive,
                log_ttl=self._settings.log_ttl,
            )
        )

    async def stop(self) -> None:
        """End all runs, wait a moment for them to be stored, then leave the rest to the outbox."""
        for live in self._live.values():
            if live.work is not None:
                live.work.cancel()
        if ending := self._serving | ({self._recovery} if self._recovery else set()):
            _, late = await asyncio.wait(ending, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()

    async def submit(self, request: SubmitRequest) -> Submitted:
        """Start a run; see ``Client.submit``."""
        run_id = request.run_id or new_id()
        if (known := await self._submitted(run_id)) is not None:
            return known
        thread = await self._thread_of(request)
        run = decide(self._settings, request, run_id, thread, tools=self._tools.names)
        self._live[run_id] = live = _Live(run)
        try:
            unstored = await self._create(run, request.prompt) if thread is None else None
            await self._log.append(run_id, [start_event(run)])
        except BaseException:
            del self._live[run_id]
            raise
        task = self._tasks.create_task(self._serve(live, unstored))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return Submitted(run_id=run_id, thread_id=run.thread_id, turn_id=run.turn_id)

    async def follow(self, run_id: str, *, after: str = START) -> AsyncGenerator[Sequence[Entry]]:
        """Yield a run's events; see ``Client.follow``.

        Of a run the log has forgotten, resuming in the middle yields nothing: ``run`` has it all.
        """
        if await self._log.exists(run_id):
            async with aclosing(self._log.read(run_id, after=after)) as batches:
                async for batch in batches:
                    yield batch
            return
        if (response := await self._store.get_run(run_id)) is None:
            raise _run_not_found(run_id)
        entries = [Entry(f"0-{at}", event=event) for at, event in enumerate(replay(response), 1)]
        if rest := [e for e in entries if offset_key(e.offset) > offset_key(after)]:
            yield rest

    async def cancel(self, run_id: str, *, reason: str = "cancelled by user") -> None:
        """Append the request to end; see ``Client.cancel``."""
        response = await self.run(run_id)
        if response.is_terminal and not await self._goes_on(run_id):
            return
        abort = TurnAbortedByUser(turn_id=response.turn_id, reason=reason)
        try:
            await self._log.append(run_id, [event_factory(run_id)(abort)])
        except RunClosed:
            logger.debug("run %s ended before it could be cancelled", run_id)

    async def resolve_approval(
        self, run_id: str, approval_id: str, decision: Decision, *, reason: str | None = None
    ) -> None:
        """Answer a question; see ``Client.resolve_approval``."""
        await self.run(run_id)
        mirror = Mirror(self._log, run_id)
        await mirror.catch_up()
        msg = f"approval {approval_id!r} was answered before, or is not asked for (any more)"
        if approval_id not in {asked.approval_id for asked in mirror.reducer.approvals}:
            raise ApprovalResolvedBefore(msg)
        answer = ApprovalResolved(
            approval_id=approval_id, decision=decision, by="user", reason=reason
        )
        try:
            await self._log.append(
                run_id, [event_factory(run_id)(answer)], once=once_key(approval_id)
            )
        except (AppendedBefore, RunClosed) as error:
            raise ApprovalResolvedBefore(msg) from error

    async def run(self, run_id: str) -> Response:
        """Return a run so far; see ``Client.run``."""
        if (response := await self._reduced(run_id)) is not None:
            return response
        if (response := await self._store.get_run(run_id)) is not None:
            return response
        raise _run_not_found(run_id)

    async def threads(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        tag: str | None = None,
        query: str | None = None,
    ) -> ThreadPage:
        """List threads; see ``Client.threads``."""
        return await self._store.list_threads(limit=limit, cursor=cursor, tag=tag, query=query)

    async def thread(self, thread_id: str) -> ThreadDetail:
        """Return a thread and its runs; see ``Client.thread``."""
        if (thread := await self._store.get_thread(thread_id)) is None:
            raise _thread_not_found(thread_id)
        return ThreadDetail(thread=thread, runs=tuple(await self._runs_of(thread_id)))

    async def update_thread(self, thread_id: str, changes: ThreadChanges) -> None:
        """Change a thread; see ``Client.update_thread``."""
        if not changes.model_fields_set:
            msg = "nothing to change: give a title, a summary, tags or an agent role"
            raise InvalidRequest(msg)
        if not await self._store.update_thread(thread_id, changes, now=now_ms()):
            raise _thread_not_found(thread_id)

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread; see ``Client.delete_thread``."""
        for run_id, live in list(self._live.items()):
            if live.request.thread_id == thread_id:
                await self.cancel(run_id, reason="thread deleted")
        if not await self._store.delete_thread(thread_id):
            raise _thread_not_found(thread_id)

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models there are; see ``Client.models``."""
        return known_models(self._settings)

    async def _serve(self, live: _Live, unstored: Thread | None) -> None:
        """Work on a run, and store it. Stopping the work leaves the storing to end by itself."""
        run_id = live.request.run_id
        try:
            async with task_group() as tasks:
                tasks.create_task(self._persister.run(run_id, unstored))
                live.work = tasks.create_task(self._work(live.request))
        except Exception:
            logger.exception("run %s could not be stored", run_id)
        finally:
            del self._live[run_id]

    async def _work(self, run: RunRequest) -> None:
        """Run engine and tools side by side: if one fails the other stops, and other runs go on."""
        try:
            async with task_group() as tasks:
                tasks.create_task(self._tool_worker.run(run))
                tasks.create_task(self._engine.run(run))
        except Exception:
            logger.exception("run %s could not be worked on", run.run_id)

    async def _submitted(self, run_id: str) -> Submitted | None:
        """Return where a run is that was submitted before."""
        if live := self._live.get(run_id):
            known: Response | RunRequest = live.request
        elif response := await self._reduced(run_id) or await self._store.get_run(run_id):
            known = response
        else:
            return None
        return Submitted(run_id=run_id, thread_id=known.thread_id, turn_id=known.turn_id)

    async def _thread_of(self, request: SubmitRequest) -> Thread | None:
        if request.thread_id is None:
            return None
        if (thread := await self._store.get_thread(request.thread_id)) is None:
            raise _thread_not_found(request.thread_id)
        return thread

    async def _create(self, run: RunRequest, prompt: str) -> Thread | None:
        """Store a new thread. If the store is away, return it: it is stored along with the run."""
        thread = new_thread(run, prompt)
        try:
            await self._store.create_thread(thread)
        except StoreUnavailable as error:
            logger.warning("saving is pending: %s", error)
            return thread
        return None

    async def _reduced(self, run_id: str) -> Response | None:
        if not await self._log.exists(run_id):
            return None
        mirror = Mirror(self._log, run_id)
        await mirror.catch_up()
        return mirror.reducer.response

    async def _goes_on(self, run_id: str) -> bool:
        """Tell whether the log waits for more: a run with an error in its stream is not over."""
        if not await self._log.exists(run_id):
            return False
        mirror = Mirror(self._log, run_id)
        await mirror.catch_up()
        return not mirror.reducer.is_terminal

    async def _history(self, run: RunRequest) -> Sequence[Response]:
        runs = await self._runs_of(run.thread_id)
        return [response for response in runs if response.id != run.run_id]

    async def _runs_of(self, thread_id: str) -> Sequence[Response]:
        """Return the stored runs of a thread, with what is not stored yet laid over them."""
        runs = {response.id: response for response in await self._store.list_runs(thread_id)}
        runs |= {response.id: response for response in self._persister.unsaved(thread_id)}
        return sorted(runs.values(), key=lambda response: (response.created_at, response.id))


def _run_not_found(run_id: str) -> RunNotFound:
    return RunNotFound(f"there is no run {run_id!r}, neither in the log nor in the store")


def _thread_not_found(thread_id: str) -> ThreadNotFound:
    return ThreadNotFound(f"there is no thread {thread_id!r}: see 'cody threads list'")
