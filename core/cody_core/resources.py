"""What a runtime stands on, opened as the settings say: log, queue, store, providers and tools."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cody_core.deployment import deployment
from cody_core.errors import SettingsError, StoreUnavailable
from cody_core.eventlog import EventLog
from cody_core.glance import environment
from cody_core.process import ProcessLock
from cody_core.providers.pool import ProviderPool
from cody_core.runqueue import RunQueue
from cody_core.runqueue.memory import MemoryRunQueue
from cody_core.settings import Settings
from cody_core.stores import Store
from cody_core.tasks import task_group
from cody_core.tools.builtin import builtin_tools
from cody_core.tools.registry import Registry
from cody_core.tools.sandbox import Sandbox
from cody_core.tools.sandbox.host import ProcessSandbox
from cody_core.tools.workspace import guarded_places

if TYPE_CHECKING:
    from cody_core.stores.convex import ConvexStore

BUSY_SECONDS = 1.0
"""How long a call waits for another process that writes; what saves runs tries again by itself."""
DATABASE = "cody.db"
"""The file of the store, in the data directory."""


@dataclass(frozen=True, slots=True)
class Resources:
    """All of it. ``tasks`` owns what runs until it is closed, ``process`` says who we are."""

    settings: Settings
    log: EventLog
    queue: RunQueue
    store: Store
    providers: ProviderPool
    tools: Registry
    sandbox: Sandbox
    process: ProcessLock
    tasks: asyncio.TaskGroup


@asynccontextmanager
async def open_resources(
    settings: Settings,
    *,
    providers: ProviderPool | None = None,
    tools: Registry | None = None,
    shared: bool = False,
) -> AsyncIterator[Resources]:
    """Open what is not given, and close everything in order; see ``open_runtime``.

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
        await stack.enter_async_context(store.presence(process.id))
        pool = providers or ProviderPool(settings)
        stack.push_async_callback(pool.aclose)
        yield Resources(
            settings=settings,
            log=log,
            queue=queue,
            store=store,
            providers=pool,
            tools=tools or _tools(settings),
            sandbox=await stack.enter_async_context(ProcessSandbox(settings.home / "sandbox")),
            process=process,
            tasks=await stack.enter_async_context(task_group()),
        )


def _tools(settings: Settings) -> Registry:
    guarded = guarded_places(settings)
    return Registry(builtin_tools(environment(), secrets=settings.secrets, guarded=guarded))


@asynccontextmanager
async def open_log(settings: Settings, *, shared: bool) -> AsyncIterator[tuple[EventLog, RunQueue]]:
    """Open the log and the queue: in Redis where there is one, in this process otherwise.

    Runs are queued in Redis only with ``shared``: who works on them then is any worker, with a
    workspace and a store of its own.

    Raises:
        SettingsError: REDIS_URL is malformed, or missing though runs are to be shared.
        EventLogUnavailable: there is no server.
    """
    limit = settings.serve.max_live
    if settings.redis_url:
        from cody_core.eventlog.redis import RedisEventLog  # a quarter of a second to import
        from cody_core.runqueue.redis import RedisRunQueue

        async with RedisEventLog.open(settings.redis_url) as log:
            if not shared:
                yield log, MemoryRunQueue(log, limit=limit)
                return
            async with RedisRunQueue.open(log, limit=limit, lost=settings.claim_seconds) as queue:
                yield log, queue
        return
    if shared:
        msg = "runs can be shared through Redis only: set REDIS_URL, or give --redis"
        raise SettingsError(msg)
    from cody_core.eventlog.memory import MemoryEventLog

    memory = MemoryEventLog()
    yield memory, MemoryRunQueue(memory, limit=limit)
    await memory.aclose()


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the store: the Convex deployment that is set, else the database in the data directory.

    The data directory is made in any case: what cannot be stored in time is kept there.

    Raises:
        SettingsError: CONVEX_URL is set to what is no deployment, or without a key.
        StoreUnavailable: the data directory cannot be written.
        StoreCorrupt: the database is damaged, or of a newer version.
    """
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the data directory {str(settings.home)!r} cannot be made: {error.strerror}; "
        raise StoreUnavailable(msg + "set CODY_HOME to another place") from error
    async with open_convex(settings) if settings.is_on_convex else open_sqlite(settings) as store:
        yield store


def place_of_store(settings: Settings) -> str:
    """Return the file or the address that threads are stored in."""
    in_convex = settings.convex_url if settings.is_on_convex else None
    return in_convex or str(settings.home / DATABASE)


@asynccontextmanager
async def open_convex(settings: Settings) -> AsyncIterator[ConvexStore]:
    """Open the Convex deployment that is set, whether or not it can be reached now.

    Raises:
        SettingsError: none is set, it is no address of a deployment, or the key is missing or of
        another one.
    """
    url, key = deployment(settings)
    # A quarter of a second to import, in a thread: the screen is there already.
    convex = await asyncio.to_thread(importlib.import_module, "cody_core.stores.convex")
    async with convex.ConvexStore.open(url, key) as store:
        yield store


@asynccontextmanager
async def open_sqlite(settings: Settings) -> AsyncIterator[Store]:
    """Open the database in the data directory, which is there.

    Raises:
        StoreUnavailable: the database cannot be opened or written now.
        StoreCorrupt: it is damaged, or of a newer version.
    """
    from cody_core.stores.sqlite import SqliteStore

    async with SqliteStore.open(settings.home / DATABASE, busy_timeout=BUSY_SECONDS) as store:
        yield store
