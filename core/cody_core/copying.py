"""Copying threads from one store into another, as often as one likes.

A thread that is new there comes with all its runs or not at all. One that is there gets the runs it
has not, and, if it is the older one, title, summary and tags. What was deleted there stays deleted.
Runs that have not ended are left for the next time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadChanges
from cody_core.stores import FIRST_VERSION, RunWrite, Store
from cody_core.stores.cursors import MAX_PAGE


@dataclass(slots=True)
class Copied:
    """How far copying has come."""

    threads: int = 0
    """Threads that were looked at."""
    new: int = 0
    """Threads that were new."""
    runs: int = 0
    """Runs that were new, those of new threads included."""
    deleted: int = 0
    """Threads that had been deleted there, and were not copied."""


async def copy_threads(source: Store, target: Store, tell: Callable[[Copied], None]) -> Copied:
    """Copy all threads, oldest change first; ``tell`` is told of each.

    Raises:
        StoreError: a store failed; what was copied by then is there, and is passed over next time.
    """
    copied = Copied()
    async for thread in _threads(source):
        await _copy(thread, source, target, copied)
        copied.threads += 1
        tell(copied)
    return copied


async def _threads(source: Store) -> AsyncIterator[Thread]:
    """Yield all threads there are now, oldest change first: what changes meanwhile moves back."""
    threads: list[Thread] = []
    cursor: str | None = None
    while True:
        page = await source.list_threads(limit=MAX_PAGE, cursor=cursor)
        threads += page.threads
        if (cursor := page.next_cursor) is None:
            break
    for thread in reversed(threads):
        yield thread


async def _copy(thread: Thread, source: Store, target: Store, copied: Copied) -> None:
    known = await target.get_thread(thread.id)
    if known is not None and known.updated_at == thread.updated_at:
        return  # nothing has happened to either since it was copied
    thread = thread.model_copy(update={"state": None})
    runs = [run for run in await source.list_runs(thread.id) if run.is_terminal]
    if known is None:
        if await target.create_thread(thread, runs):
            copied.new += 1
            copied.runs += len(runs)
        else:
            copied.deleted += 1
        return
    await _add(known, thread, runs, target, copied)


async def _add(
    known: Thread, thread: Thread, runs: list[Response], target: Store, copied: Copied
) -> None:
    there = {run.id for run in await target.list_runs(thread.id) if run.is_terminal}
    for run in runs:
        if run.id not in there:
            copied.runs += await target.save_run(RunWrite(run, FIRST_VERSION))
    if known.updated_at < thread.updated_at:
        changes = ThreadChanges.model_construct(
            title=thread.title, summary=thread.summary, tags=thread.tags
        )
        await target.update_thread(thread.id, changes, now=thread.updated_at)
