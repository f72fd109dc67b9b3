"""What a starting process does for those that died: their outbox, and the runs they left open."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from cody_core.errors import CodyError, RunClosed, StoreUnavailable
from cody_core.eventlog import EventLog
from cody_core.ids import now_ms, traceparent
from cody_core.mirror import Mirror
from cody_core.schema.events import (
    EventFactory,
    ItemCancelled,
    ItemError,
    Payload,
    ResponseDone,
    ResponseError,
    TraceContext,
)
from cody_core.schema.requests import RunRequest
from cody_core.schema.response import ErrorInfo, Response
from cody_core.stores import OpenRun, RunWrite, Store
from cody_core.workers.outbox import Outbox

logger = logging.getLogger(__name__)

INTERRUPTED = ErrorInfo(
    code="interrupted",
    message="cody stopped before the answer was complete; what had come is kept",
)


FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0

IsAlive = Callable[[str | None, bool], bool | None]
"""Tells of the owner of a run, and whether the store has seen it lately, if it is alive."""


async def recover(
    log: EventLog,
    store: Store,
    outbox: Outbox,
    is_alive: IsAlive,
    *,
    taken: Callable[[], Awaitable[Sequence[RunRequest]]] | None = None,
    log_ttl: float = 3600.0,
) -> bool:
    """Put in order what others left, and return whether the store was there for all of it.

    Args:
        log: Where somebody may be following what is ended.
        store: Where it is found.
        outbox: What could not be stored.
        is_alive: Tells whether a process is, or ``None`` if that cannot be told.
        taken: Returns the runs that workers elsewhere have, or will take; without it, none.
        log_ttl: How many seconds the log keeps a run that is ended here.
    """
    away = _Away()
    with _reported("the outbox", away):
        await outbox.flush(store)
    open_runs: Sequence[OpenRun] = ()
    elsewhere: Collection[str] = ()
    with _reported("the list of open runs", away):
        elsewhere = {run.run_id for run in await taken()} if taken is not None else ()
        open_runs = await store.open_runs()
    for run in open_runs:
        with _reported(f"run {run.run_id}", away):
            alive = is_alive(run.owner, run.seen)
            if alive or (alive is None and run.run_id in elsewhere):
                continue
            await _end(log, store, run)
            await log.expire(run.run_id, seconds=log_ttl)
    return not away.was and not outbox.waits


async def until_recovered(recover: Callable[[], Awaitable[bool]], stopping: asyncio.Event) -> None:
    """Recover again and again while the store is away, until that is done or we are to stop."""
    pause = FIRST_PAUSE
    while not await recover():
        try:
            async with asyncio.timeout(pause * random.uniform(0.5, 1.0)):
                await stopping.wait()
        except TimeoutError:
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            return


class _Away:
    """Whether the store was away when it was needed."""

    was = False


@contextmanager
def _reported(what: str, away: _Away) -> Iterator[None]:
    """Log a failure that concerns only this, and go on."""
    try:
        yield
    except (CodyError, OSError, ValueError) as error:  # ValueError: a stored version that is none
        away.was |= isinstance(error, StoreUnavailable)
        logger.warning("%s, left by an earlier process, was not put in order: %s", what, error)


async def _end(log: EventLog, store: Store, run: OpenRun) -> None:
    """End a run as interrupted: in the log, which somebody may be following, and in the store."""
    mirror = await interrupt(log, run.run_id)
    response, version = mirror.reducer.response, mirror.reducer.last_offset
    if response is None and (stored := await store.get_run(run.run_id)) is not None:
        # The version it is stored in: if its owner is alive after all, what that saves is newer.
        response, version = _interrupted(stored), run.version
    if response is None or version is None:
        return
    await store.save_run(RunWrite(response, version))
    logger.info("run %s was left open by a process that is gone; it is ended", run.run_id)


async def interrupt(
    log: EventLog, run_id: str, mirror: Mirror | None = None, *, error: ErrorInfo = INTERRUPTED
) -> Mirror:
    """End a run in the log that nobody works on, and return it; one that has ended stays as it is.

    Args:
        log: Where it is.
        run_id: The run.
        mirror: What has been read of it already.
        error: Why it is ended, unless somebody had asked for that.

    Raises:
        EventLogUnavailable: the log is gone.
    """
    mirror = mirror or Mirror(log, run_id)
    await mirror.catch_up()
    if mirror.reducer.response is not None and not mirror.reducer.is_terminal:
        await _append_end(log, mirror, error)
        await mirror.catch_up()
    return mirror


async def _append_end(log: EventLog, mirror: Mirror, error: ErrorInfo) -> None:
    run_id = mirror.run_id
    event = EventFactory(run_id, TraceContext(traceparent=traceparent(run_id)))
    try:
        await log.append(run_id, [event(payload) for payload in _closing(mirror, error)])
    except RunClosed:
        logger.debug("run %s ended by itself in the meantime", run_id)


def _closing(mirror: Mirror, error: ErrorInfo) -> list[Payload]:
    """Return what ends a run: as it was wanted, where somebody had asked for the end."""
    ids, run_id = mirror.reducer.open_items, mirror.run_id
    if mirror.abort_reason is None:
        return [
            *(ItemError(item_id=item_id, error=error) for item_id in ids),
            ResponseError(response_id=run_id, error=error),
        ]
    return [
        *(ItemCancelled(item_id=item_id, reason="aborted") for item_id in ids),
        ResponseDone(response_id=run_id, status="aborted", finish_reason="aborted"),
    ]


def _interrupted(response: Response) -> Response:
    error = response.error or INTERRUPTED
    changes = {"status": "error", "error": error, "updated_at": now_ms()}
    return response.model_copy(update=changes)
