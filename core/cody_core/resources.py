"""What a runtime stands on: its log, its run queue and its store, opened as the settings say."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cody_core.errors import SettingsError, StoreUnavailable
from cody_core.eventlog import EventLog
from cody_core.runqueue import RunQueue
from cody_core.runqueue.memory import MemoryRunQueue
from cody_core.settings import Settings
from cody_core.stores import Store

if TYPE_CHECKING:
    from cody_core.stores.convex import ConvexStore

BUSY_SECONDS = 1.0
"""How long a call waits for another process that writes; what saves runs tries again by itself."""
DATABASE = "cody.db"
"""The file of the store, in the data directory."""


@asynccontextmanager
async def open_log(settings: Settings, *, shared: bool) -> AsyncIterator[tuple[EventLog, RunQueue]]:
    """Open the log and the queue: in Redis where there is one, in this process otherwise.

    Runs are queued in Redis only with ``shared``: who works on them then is any worker, with a
    workspace and a store of its own.

    Raises:
        SettingsError: REDIS_URL is malformed, or missing though runs are to be shared.
        EventLogUnavailable: there is no server.
    """
    if settings.redis_url:
        from cody_core.eventlog.redis import RedisEventLog  # a quarter of a second to import
        from cody_core.runqueue.redis import RedisRunQueue

        async with RedisEventLog.open(settings.redis_url) as log:
            if not shared:
                yield log, MemoryRunQueue()
                return
            async with RedisRunQueue.open(
                log.client, log.call, lost=settings.claim_seconds
            ) as queue:
                yield log, queue
        return
    if shared:
        msg = "runs can be shared through Redis only: set REDIS_URL"
        raise SettingsError(msg)
    from cody_core.eventlog.memory import MemoryEventLog

    memory = MemoryEventLog()
    yield memory, MemoryRunQueue()
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
    async with open_convex(settings) if settings.convex_url else open_sqlite(settings) as store:
        yield store


def place_of_store(settings: Settings) -> str:
    """Return the file or the address that threads are stored in."""
    return settings.convex_url or str(settings.home / DATABASE)


@asynccontextmanager
async def open_convex(settings: Settings) -> AsyncIterator[ConvexStore]:
    """Open the Convex deployment that is set, whether or not it can be reached now.

    Raises:
        SettingsError: none is set, it is no address of a deployment, or the key is missing.
    """
    if not settings.convex_url:
        msg = "no Convex deployment is set: set CONVEX_URL"
        raise SettingsError(msg)
    if settings.convex_deploy_key is None:
        msg = (
            f"CONVEX_URL is set to {settings.convex_url!r} without a key: set CONVEX_DEPLOY_KEY to"
            " a deploy key of that deployment"
        )
        raise SettingsError(msg)
    # A quarter of a second to import, in a thread: the screen is there already.
    convex = await asyncio.to_thread(importlib.import_module, "cody_core.stores.convex")
    key = settings.convex_deploy_key.get_secret_value()
    async with convex.ConvexStore.open(settings.convex_url, key) as store:
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
