"""What a runtime stands on: its log, its run queue and its store, opened as the settings say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cody_core.errors import SettingsError, StoreUnavailable
from cody_core.eventlog import EventLog
from cody_core.runqueue import RunQueue
from cody_core.runqueue.memory import MemoryRunQueue
from cody_core.settings import Settings
from cody_core.stores import Store

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
    """Open the store in the data directory.

    Raises:
        StoreUnavailable: the data directory cannot be written.
        StoreCorrupt: the database is damaged, or of a newer version.
    """
    from cody_core.stores.sqlite import SqliteStore

    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the data directory {str(settings.home)!r} cannot be made: {error.strerror}; "
        raise StoreUnavailable(msg + "set CODY_HOME to another place") from error
    async with SqliteStore.open(settings.home / DATABASE, busy_timeout=BUSY_SECONDS) as store:
        yield store
