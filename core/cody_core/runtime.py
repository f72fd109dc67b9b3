"""The runtime: the core in this process. It opens log, store and providers, and is a ``Client``.

Leaving it stops what runs: engines append their terminal events, persisters get a moment to store
them, and what the store does not take by then waits in the outbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cody_core import __version__
from cody_core.bulletin import Bulletin
from cody_core.errors import (
    AppendedBefore,
    ApprovalResolvedBefore,
    CodyError,
    InvalidRequest,
    RunClosed,
    ThreadExists,
    ToolError,
)
from cody_core.forking import fork
from cody_core.hiding import address
from cody_core.ids import new_id, now_ms
from cody_core.patience import ANSWER_SECONDS, impatient
from cody_core.providers.catalog import known_models
from cody_core.providers.offered import offered_models
from cody_core.providers.pool import ProviderPool
from cody_core.resources import Resources, open_resources, place_of_store
from cody_core.run_worker import RunWorker
from cody_core.runs import Runs, thread_not_found, up_to_date
from cody_core.schema.changes import Changes
from cody_core.schema.events import (
    START,
    ApprovalResolved,
    Decision,
    Entry,
    TurnAbortedByUser,
)
from cody_core.schema.files import Attachment
from cody_core.schema.models import AgentInfo, CoreInfo, ModelList
from cody_core.schema.news import RunNews
from cody_core.schema.requests import RunRequest, SubmitRequest, Submitted
from cody_core.schema.response import Response
from cody_core.schema.threads import (
    Thread,
    ThreadChanges,
    ThreadDetail,
    ThreadPage,
    ThreadRequest,
)
from cody_core.settings import AgentSettings, Settings
from cody_core.submission import (
    empty_thread,
    event_factory,
    never_begun,
)
from cody_core.submitting import Submissions
from cody_core.tools.attachment import attachment
from cody_core.tools.file_search import Listing
from cody_core.tools.registry import Registry
from cody_core.tools.workspace import guarded_places
from cody_core.workers.approvals import once_key
from cody_core.workers.outbox import Outbox
from cody_core.workers.persist import Persister
from cody_core.workers.recovery import recover, until_recovered

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
    async with open_resources(
        settings, providers=providers, tools=tools, shared=shared
    ) as resources:
        runtime = Runtime(resources)
        try:
            runtime.start(works=works)
            yield runtime
        finally:
            await runtime.stop()


class Runtime:
    """The local client, from ``open_runtime``. See ``Client`` for what its methods promise."""

    def __init__(self, resources: Resources) -> None:
        settings = resources.settings
        self._resources = resources
        self._settings = settings
        self._log = resources.log
        self._queue = resources.queue
        self._store = resources.store
        self._outbox = Outbox(settings.home / "outbox")
        self._bulletin = Bulletin(resources.store, resources.tasks, unsaved=self._unsaved)
        self._persister = Persister(
            resources.log,
            resources.store,
            self._outbox,
            owner=resources.process.id,
            log_ttl=settings.log_ttl,
            tell=self._bulletin.look,
        )
        self._settled = asyncio.Event()
        self._runs = Runs(resources.log, resources.store, self._persister, self._settled)
        self._worker = RunWorker(resources, self._persister, history=self._history)
        self._guarded = guarded_places(settings)
        self._files = Listing(settings.workspace, guarded=self._guarded)
        self._recovery: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._submissions = Submissions(
            resources, self._persister, self._runs, self._worker, self._stopping
        )

    def start(self, *, works: bool = True) -> None:
        """Put in order what an earlier process left behind, and begin to work on runs."""
        recovering = until_recovered(self._recover, self._stopping)
        self._recovery = self._resources.tasks.create_task(recovering)
        if works:
            self._worker.start()

    async def _recover(self) -> bool:
        try:
            return await recover(
                self._log,
                self._store,
                self._outbox,
                self._resources.process.is_alive,
                taken=self._queue.waiting,
                log_ttl=self._settings.log_ttl,
            )
        finally:
            self._settled.set()
            self._bulletin.look()

    def _unsaved(self) -> int:
        return len(self._persister.pending | self._outbox.kept)

    def warm(self) -> None:
        """Make ready whom the first run would have to wait for: to import an SDK takes seconds."""
        self._warming = self._resources.tasks.create_task(self._warm())

    async def _warm(self) -> None:
        settings = self._settings
        keys = {"openai": settings.openai_api_key, "anthropic": settings.anthropic_api_key}
        try:
            usual = [model.provider_id for model in known_models(settings) if model.is_default]
            for name in dict.fromkeys([*usual, *(name for name, key in keys.items() if key)]):
                await self._resources.providers.get(name)
        except CodyError as error:  # whoever submits to it is told
            logger.warning("a provider cannot be made ready: %s", error)

    async def stop(self, *, grace: float = 0.0) -> None:
        """End all runs, wait a moment for them to be stored, then leave the rest to the outbox.

        ``grace`` is how many seconds they may go on for before that. Stopping twice is allowed.
        """
        self._stopping.set()
        self._bulletin.close()
        await self._worker.stop(grace=grace, storing=GRACE_SECONDS)
        if self._warming is not None:
            self._warming.cancel()
        if self._recovery is not None:
            _, late = await asyncio.wait({self._recovery}, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()

    @property
    def trouble(self) -> str | None:
        """What does not answer; see ``Client.trouble``."""
        return self._log.trouble

    async def submit(self, request: SubmitRequest) -> Submitted:
        """Start a run; see ``Client.submit``."""
        with impatient(ANSWER_SECONDS):
            return await self._submissions.submit(request)

    def follow(self, run_id: str, *, after: str = START) -> AsyncGenerator[Sequence[Entry]]:
        """Yield a run's events; see ``Client.follow``."""
        return self._runs.follow(run_id, after=after)

    def watch(
        self, thread_id: str, *, after: str | None = None
    ) -> AsyncGenerator[Sequence[RunNews]]:
        """Yield word of the runs of a thread; see ``Client.watch``."""
        return self._runs.watch(thread_id, after=after)

    async def cancel(self, run_id: str, *, reason: str = "cancelled by user") -> None:
        """Append the request to end; see ``Client.cancel``.

        A run that nobody has begun is ended at once: its turn may be a long time away. We begin it
        for that, so that nobody else does; who has begun it before ends it as well.
        """
        with impatient(ANSWER_SECONDS):
            if (mirror := await self._runs.mirror(run_id)) is None:
                await self._refuse_unless_ended(run_id)
                return
            response = mirror.reducer.response
            if response is None or mirror.reducer.is_terminal:
                return
            event = event_factory(run_id)
            abort = TurnAbortedByUser(turn_id=response.turn_id, reason=reason)
            try:
                await self._log.append(run_id, [event(abort)])
                if response.status != "queued":
                    return
                if await self._log.begin(run_id, new_id()) != "first":
                    return
                await self._log.append(run_id, [event(never_begun(run_id))])
            except RunClosed:
                logger.debug("run %s ended before it could be cancelled", run_id)
                return
        self._worker.store(run_id)

    async def _refuse_unless_ended(self, run_id: str) -> None:
        if not (await self._runs.get(run_id)).is_terminal:
            msg = f"run {run_id!r} is at work in another Cody, out of reach of this one: "
            raise InvalidRequest(msg + "stop it there")

    async def resolve_approval(
        self, run_id: str, approval_id: str, decision: Decision, *, reason: str | None = None
    ) -> None:
        """Answer a question; see ``Client.resolve_approval``."""
        msg = f"approval {approval_id!r} was answered before, or is not asked for (any more)"
        with impatient(ANSWER_SECONDS):
            mirror = await self._runs.mirror(run_id)
            if mirror is None:
                await self._runs.get(run_id)
            if mirror is None or approval_id not in mirror.asked:
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
        with impatient(ANSWER_SECONDS):
            return await self._runs.get(run_id)

    async def create_thread(self, request: ThreadRequest) -> Thread:
        """Make a thread; see ``Client.create_thread``."""
        thread = empty_thread(self._settings, request)
        if not await self._store.create_thread(thread):
            msg = f"there is a thread {thread.id!r}, or was one: leave its id out to be given one"
            raise ThreadExists(msg)
        return thread

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
        with impatient(ANSWER_SECONDS):
            if (thread := await self._runs.thread(thread_id)) is None:
                raise thread_not_found(thread_id)
            runs = tuple(await self._runs.all_of_thread(thread_id))
        return ThreadDetail(thread=up_to_date(thread, runs), runs=runs)

    async def update_thread(self, thread_id: str, changes: ThreadChanges) -> Thread:
        """Change a thread; see ``Client.update_thread``.

        Its runs are not read: the log, which may be away, has no part in it.
        """
        if not changes.model_fields_set:
            msg = "nothing to change: give a title, a summary, tags or an agent role"
            raise InvalidRequest(msg)
        changed = await self._store.update_thread(thread_id, changes, now=now_ms())
        if not changed or (thread := await self._runs.thread(thread_id)) is None:
            raise thread_not_found(thread_id)
        return thread

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
        with impatient(ANSWER_SECONDS):
            waiting = await self._queue.waiting()
        for run in [*waiting, *self._worker.live.values()]:
            if run.thread_id == thread_id:
                await self.cancel(run.run_id, reason="thread deleted")
        if not await self._store.delete_thread(thread_id):
            raise thread_not_found(thread_id)

    def changes(self, *, threads: bool = False) -> AsyncGenerator[Changes]:
        """Yield how things stand beside the runs; see ``Client.changes``."""
        return self._bulletin.read(threads=threads)

    async def models(self, *, refresh: bool = False) -> ModelList:
        """Return the models there are; see ``Client.models``."""
        if refresh:
            return await offered_models(self._settings, self._resources.providers)
        return ModelList(models=tuple(known_models(self._settings)))

    async def info(self) -> CoreInfo:
        """Return where things are, and what counts by default; see ``Client.info``."""
        settings = self._settings
        return CoreInfo(
            version=__version__,
            log=address(settings.redis_url) if settings.redis_url else "memory",
            store=place_of_store(settings),
            workspace=str(settings.workspace),
            home=str(settings.home),
            policy=settings.policy,
            reasoning_effort=settings.reasoning_effort,
            agents=tuple(_told(name, agent) for name, agent in settings.agents.items()),
        )

    async def find_files(self, query: str, *, limit: int = 20) -> Sequence[str]:
        """Return paths of workspace files; see ``Client.find_files``."""
        try:
            return await self._files.find(query, limit)
        except ToolError as error:
            raise InvalidRequest(str(error)) from error

    async def read_attachment(self, path: str) -> Attachment:
        """Return the text of a workspace file; see ``Client.read_attachment``."""
        return await attachment(path, self._settings.workspace, self._guarded)

    async def _history(self, run: RunRequest) -> Sequence[Response]:
        runs = await self._runs.of_thread(run.thread_id)
        return [response for response in runs if response.id != run.run_id]


def _told(name: str, agent: AgentSettings) -> AgentInfo:
    """Return what anybody may know of an agent: not its prompt."""
    return AgentInfo(
        name=name,
        model=agent.model,
        policy=agent.policy,
        reasoning_effort=agent.reasoning_effort,
        tools=agent.tools,
    )
