"""The runtime: the core in this process. It opens log, store and providers, and is a ``Client``.

Leaving it stops what runs: engines append their terminal events, persisters get a moment to store
them, and what the store does not take by then waits in the outbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from urllib.parse import urlsplit

from cody_core import __version__
from cody_core.engine import Engine, EngineLimits
from cody_core.errors import (
    AppendedBefore,
    ApprovalResolvedBefore,
    InvalidRequest,
    RunClosed,
    RunNotFound,
    StoreUnavailable,
    ThreadNotFound,
    ToolError,
)
from cody_core.eventlog import EventLog
from cody_core.forking import fork
from cody_core.glance import environment
from cody_core.ids import new_id, now_ms
from cody_core.mirror import Mirror
from cody_core.process import ProcessLock
from cody_core.providers.catalog import known_models
from cody_core.providers.offered import offered_models
from cody_core.providers.pool import ProviderPool
from cody_core.reducer import replay
from cody_core.resources import DATABASE, open_log, open_store
from cody_core.run_worker import RunWorker
from cody_core.runqueue import RunQueue
from cody_core.schema.events import (
    START,
    ApprovalResolved,
    Decision,
    Entry,
    TurnAbortedByUser,
    offset_key,
)
from cody_core.schema.files import Attachment
from cody_core.schema.models import CoreInfo, ModelList
from cody_core.schema.requests import RunRequest, SubmitRequest, Submitted
from cody_core.schema.response import Response
from cody_core.schema.threads import (
    Thread,
    ThreadChanges,
    ThreadDetail,
    ThreadPage,
)
from cody_core.settings import Settings
from cody_core.stores import Store
from cody_core.submission import decide, event_factory, new_thread, start_event
from cody_core.tasks import task_group
from cody_core.tools.attachment import attachment
from cody_core.tools.builtin import builtin_tools
from cody_core.tools.file_search import Listing
from cody_core.tools.grants import Grants
from cody_core.tools.registry import Registry
from cody_core.tools.sandbox.host import ProcessSandbox
from cody_core.workers.approvals import once_key
from cody_core.workers.outbox import Outbox
from cody_core.workers.persist import Persister
from cody_core.workers.recovery import recover
from cody_core.workers.tools import ToolWorker

logger = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""How long leaving the runtime waits for runs to be stored."""


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    providers: ProviderPool | None = None,
    tools: Registry | None = None,
    shared: bool = False,
    works: bool = True,
) -> AsyncIterator[Runtime]:
    """Open everything a client needs in this process, and close it in order.

    Args:
        settings: Where everything is.
        providers: Who answers, in place of those that the settings name.
        tools: What models can have done, in place of what is built in.
        shared: Whether runs go to any worker on the same Redis, and come from there.
        works: Whether this process works on runs at all; without that, another must.

    Raises:
        SettingsError: a setting does not work.
        EventLogUnavailable: REDIS_URL is set and there is no server.
        StoreUnavailable: the data directory cannot be written.
        StoreCorrupt: the database is damaged, or of a newer version.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        log, queue = await stack.enter_async_context(open_log(settings, shared=shared))
        process = stack.enter_context(ProcessLock(settings.home / "processes"))
        pool = providers or ProviderPool(settings)
        stack.push_async_callback(pool.aclose)
        registry = tools or Registry(builtin_tools(environment(), secrets=settings.secrets))
        sandbox = await stack.enter_async_context(ProcessSandbox(settings.home / "sandbox"))
        grants = Grants.of(settings)
        tool_worker = ToolWorker(
            log, registry, sandbox, workspace=settings.workspace, grants=grants
        )
        tasks = await stack.enter_async_context(task_group())
        runtime = Runtime(settings, log, queue, store, pool, registry, tool_worker, process, tasks)
        stack.push_async_callback(runtime.stop)
        runtime.start(works=works)
        yield runtime


class Runtime:
    """The local client, from ``open_runtime``. See ``Client`` for what its methods promise."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        queue: RunQueue,
        store: Store,
        providers: ProviderPool,
        tools: Registry,
        tool_worker: ToolWorker,
        process: ProcessLock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._log = log
        self._queue = queue
        self._store = store
        self._providers = providers
        self._process = process
        self._tasks = tasks
        self._tools = tools
        self._outbox = Outbox(settings.home / "outbox")
        self._persister = Persister(
            log, store, self._outbox, owner=process.id, log_ttl=settings.log_ttl
        )
        self._new_threads: dict[str, Thread] = {}
        engine = Engine(
            log,
            provider=providers.get,
            history=self._history,
            tools=tools,
            limits=EngineLimits(settings.max_iterations, settings.max_retries),
        )
        self._worker = RunWorker(
            log,
            queue,
            engine,
            tool_worker,
            self._persister,
            tasks,
            at_once=settings.max_runs,
            new_threads=self._new_threads,
        )
        self._files = Listing(settings.workspace)
        self._submitting: dict[str, RunRequest] = {}
        self._recovery: asyncio.Task[None] | None = None

    def start(self, *, works: bool = True) -> None:
        """Put in order what an earlier process left behind, and begin to work on runs."""
        self._recovery = self._tasks.create_task(
            recover(
                self._log,
                self._store,
                self._outbox,
                self._process.is_alive,
                log_ttl=self._settings.log_ttl,
            )
        )
        if works:
            self._worker.start()

    async def stop(self, *, grace: float = 0.0) -> None:
        """End all runs, wait a moment for them to be stored, then leave the rest to the outbox.

        ``grace`` is how many seconds they may go on for before that. Stopping twice is allowed.
        """
        await self._worker.stop(grace=grace, storing=GRACE_SECONDS)
        if self._recovery is not None:
            _, late = await asyncio.wait({self._recovery}, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()

    @property
    def trouble(self) -> str | None:
        """What does not answer; see ``Client.trouble``."""
        return self._log.trouble or self._persister.trouble

    async def submit(self, request: SubmitRequest) -> Submitted:
        """Start a run; see ``Client.submit``."""
        run_id = request.run_id or new_id()
        if (known := await self._submitted(run_id)) is not None:
            return known
        thread = await self._thread_of(request)
        run = decide(self._settings, request, run_id, thread, tools=self._tools.names)
        self._submitting[run_id] = run
        try:
            await self._announce(run, request.prompt, is_new=thread is None)
        except AppendedBefore:  # by another process, at the same moment
            if (known := await self._submitted(run_id)) is not None:
                return known
            raise
        finally:
            del self._submitting[run_id]
        return Submitted(run_id=run_id, thread_id=run.thread_id, turn_id=run.turn_id)

    async def _announce(self, run: RunRequest, prompt: str, *, is_new: bool) -> None:
        if is_new and (unstored := await self._create(run, prompt)) is not None:
            self._new_threads[run.run_id] = unstored
        start = start_event(run, queued=self._worker.is_full)
        try:
            await self._log.append(run.run_id, [start], once="start")
            await self._queue.put(run)
        except BaseException:
            self._new_threads.pop(run.run_id, None)
            raise

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
        if not await self._log.exists(run_id):
            msg = f"run {run_id!r} is at work in another Cody, out of reach of this one: "
            raise InvalidRequest(msg + "stop it there")
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
        page = await self._store.list_threads(limit=limit, cursor=cursor, tag=tag, query=query)
        return self._persister.marked(page)

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

    async def fork(
        self,
        thread_id: str,
        *,
        until: str | None = None,
        before: str | None = None,
        title: str | None = None,
    ) -> Thread:
        """Copy a thread up to a run; see ``Client.fork``."""
        copy = fork(await self.thread(thread_id), until=until, before=before, title=title)
        await self._store.create_thread(copy.thread, copy.runs)
        return copy.thread

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread; see ``Client.delete_thread``."""
        for run in [*await self._queue.waiting(), *self._worker.live.values()]:
            if run.thread_id == thread_id:
                await self.cancel(run.run_id, reason="thread deleted")
        if not await self._store.delete_thread(thread_id):
            raise _thread_not_found(thread_id)

    async def models(self, *, refresh: bool = False) -> ModelList:
        """Return the models there are; see ``Client.models``."""
        if refresh:
            return await offered_models(self._settings, self._providers)
        return ModelList(models=tuple(known_models(self._settings)))

    async def info(self) -> CoreInfo:
        """Return where things are; see ``Client.info``."""
        settings = self._settings
        return CoreInfo(
            version=__version__,
            log=_without_password(settings.redis_url) if settings.redis_url else "memory",
            store=str(settings.home / DATABASE),
            workspace=str(settings.workspace),
            home=str(settings.home),
        )

    async def find_files(self, query: str, *, limit: int = 20) -> Sequence[str]:
        """Return paths of workspace files; see ``Client.find_files``."""
        try:
            return await self._files.find(query, limit)
        except ToolError as error:
            raise InvalidRequest(str(error)) from error

    async def read_attachment(self, path: str) -> Attachment:
        """Return the text of a workspace file; see ``Client.read_attachment``."""
        return await attachment(path, self._settings.workspace)

    async def _submitted(self, run_id: str) -> Submitted | None:
        """Return where a run is that was submitted before."""
        if run := self._submitting.get(run_id) or self._worker.live.get(run_id):
            known: Response | RunRequest = run
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


def _without_password(url: str) -> str:
    """Return where a server is, and nothing of how to get in: that may be in the query, too."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _run_not_found(run_id: str) -> RunNotFound:
    return RunNotFound(f"there is no run {run_id!r}, neither in the log nor in the store")


def _thread_not_found(thread_id: str) -> ThreadNotFound:
    return ThreadNotFound(f"there is no thread {thread_id!r}: see 'cody threads list'")
