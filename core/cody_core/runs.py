"""The runs, wherever they are: in the log, in the store, or on their way from the one to the other.

Runs of other processes are among them. What one of those has not stored yet is read from the log,
where the two share one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from cody_core.errors import RunNotFound, StoreError, ThreadNotFound
from cody_core.eventlog import EventLog
from cody_core.mirror import Mirror
from cody_core.patience import ANSWER_SECONDS, impatient
from cody_core.reducer import replay
from cody_core.schema.events import START, Entry, offset_key
from cody_core.schema.news import RunNews
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.stores import Store
from cody_core.workers.persist import Persister

OVERLAP_MS = 10_000
"""How far back word of runs is looked at for those that have begun and are not stored yet."""
AFTER_ALL = 2**63 - 1
"""The sequence number of an end that is told again: nothing in a log has it."""


class Runs:
    """What there is to know of runs."""

    def __init__(
        self, log: EventLog, store: Store, persister: Persister, settled: asyncio.Event
    ) -> None:
        """Build it; ``settled`` is set when what dead processes left has been put in order."""
        self._log = log
        self._store = store
        self._persister = persister
        self._settled = settled

    async def mirror(self, run_id: str) -> Mirror | None:
        """Return a run as the log has it by now, or ``None`` if the log does not know it."""
        if (mirror := self._persister.mirror(run_id)) is None:
            if not await self._log.exists(run_id):
                return None
            mirror = Mirror(self._log, run_id)
        await mirror.catch_up()
        return mirror

    async def find(self, run_id: str) -> Response | None:
        """Return a run as far as it has come, or ``None`` if neither log nor store knows it.

        What is stored to its end is not read from the log, event by event. The log is enough while
        the store fails.
        """
        if self._persister.mirror(run_id) is not None:
            return await self._logged(run_id)
        was_settled = self._settled.is_set()
        try:
            stored = await self._store.get_run(run_id)
        except StoreError:
            if (response := await self._logged(run_id)) is None:
                raise
            return response
        if stored is not None and stored.is_terminal:
            return stored
        return await self._logged(run_id) or await self._when_settled(stored, was_settled)

    async def _logged(self, run_id: str) -> Response | None:
        mirror = await self.mirror(run_id)
        return None if mirror is None else mirror.reducer.response

    async def get(self, run_id: str) -> Response:
        """Return a run as far as it has come.

        Raises:
            RunNotFound: neither log nor store knows the run.
        """
        if (response := await self.find(run_id)) is None:
            raise _not_found(run_id)
        return response

    async def thread(self, thread_id: str) -> Thread | None:
        """Return a thread, also one that is still to be stored."""
        unstored = self._persister.new_thread(thread_id)
        return unstored or await self._store.get_thread(thread_id)

    async def of_thread(self, thread_id: str) -> Sequence[Response]:
        """Return the stored runs of a thread in the order they began, as far as they came."""
        return _in_order(await self._known(thread_id))

    async def all_of_thread(self, thread_id: str) -> Sequence[Response]:
        """Return those, and what others have just begun and not stored yet."""
        runs = await self._known(thread_id)
        milliseconds, _ = offset_key(await self._log.newest())
        recent = f"{max(0, milliseconds - OVERLAP_MS)}-0"
        async for batch in self._log.news(after=recent, follow=False):
            for run_id in {word.run_id for word in batch if word.thread_id == thread_id}:
                if run_id not in runs and (found := await self.find(run_id)) is not None:
                    runs[run_id] = found
        return _in_order(runs)

    async def _known(self, thread_id: str) -> dict[str, Response]:
        was_settled = self._settled.is_set()
        is_stored = self._persister.new_thread(thread_id) is None
        stored = await self._store.list_runs(thread_id) if is_stored else ()
        runs = {response.id: response for response in stored}
        unsaved = {response.id: response for response in self._persister.unsaved(thread_id)}
        for run in [run for run in stored if not run.is_terminal and run.id not in unsaved]:
            found = await self._logged(run.id) or await self._when_settled(run, was_settled)
            runs[run.id] = found or run
        return runs | unsaved

    async def follow(self, run_id: str, *, after: str = START) -> AsyncGenerator[Sequence[Entry]]:
        """Yield a run's events; see ``Client.follow``."""
        with impatient(ANSWER_SECONDS):
            is_logged = await self._log.exists(run_id)
        if is_logged:
            async with aclosing(self._log.read(run_id, after=after)) as batches:
                async for batch in batches:
                    yield batch
            return
        was_settled = self._settled.is_set()
        stored = await self._store.get_run(run_id)
        if (response := await self._when_settled(stored, was_settled)) is None:
            raise _not_found(run_id)
        if rest := _replayed(response, after):
            yield rest

    async def watch(
        self, thread_id: str, *, after: str | None = None
    ) -> AsyncGenerator[Sequence[RunNews]]:
        """Yield word of the runs of a thread; see ``Client.watch``."""
        if await self.thread(thread_id) is None:
            raise thread_not_found(thread_id)
        told: set[str] = set()
        if after is None:
            with impatient(ANSWER_SECONDS):
                after = await self._log.newest()
                runs = await self.all_of_thread(thread_id)
            live = [RunNews(after, run.id, thread_id) for run in runs if not run.is_terminal]
            told = {word.run_id for word in live}
            yield live
        async with aclosing(self._log.news(after=after)) as batches:
            async for batch in batches:
                mine = (word for word in batch if word.thread_id == thread_id)
                # One that began while we looked is among the live ones, too.
                if new := [word for word in mine if word.status or word.run_id not in told]:
                    yield new

    async def _when_settled(self, stored: Response | None, was_settled: bool) -> Response | None:
        """Return a run as stored; one that a dead process left is looked at when it is ended.

        ``was_settled`` says whether it was read after all of those had been.
        """
        if stored is None or stored.is_terminal or was_settled:
            return stored
        await self._settled.wait()
        return await self._store.get_run(stored.id)


def up_to_date(thread: Thread, runs: Sequence[Response]) -> Thread:
    """Return a thread as it is once the newest of its runs, the last one, is stored, too."""
    if not runs:
        return thread
    newest = runs[-1]
    changes = {
        "updated_at": max(thread.updated_at, newest.updated_at),
        "model_id": newest.model_id,
        "provider_id": newest.provider_id,
    }
    return thread.model_copy(update=changes)


def _in_order(runs: Mapping[str, Response]) -> Sequence[Response]:
    return sorted(runs.values(), key=lambda response: (response.created_at, response.id))


def _replayed(response: Response, after: str) -> list[Entry]:
    """Return the events that a stored run is replayed as, from an offset of an earlier replay on.

    After an offset that a log gave there is only the end: what came between cannot be told.
    """
    *before, last = [Entry(f"0-{at}", event=event) for at, event in enumerate(replay(response), 1)]
    milliseconds, sequence = key = offset_key(after)
    if milliseconds == 0:
        return [entry for entry in [*before, last] if offset_key(entry.offset) > key]
    if sequence == AFTER_ALL or not last.is_terminal:
        return []
    return [Entry(f"{milliseconds}-{AFTER_ALL}", event=last.event)]


def _not_found(run_id: str) -> RunNotFound:
    return RunNotFound(f"there is no run {run_id!r}, neither in the log nor in the store")


def thread_not_found(thread_id: str) -> ThreadNotFound:
    """Return what is raised for a thread that does not exist."""
    return ThreadNotFound(f"there is no thread {thread_id!r}: see 'cody threads list'")
