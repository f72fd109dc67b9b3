"""The Convex store: threads, runs and items in a deployment that any number of machines share.

What it does is done by the functions in ``core/convex``, over HTTP; see their README for how a run
is kept. A save sends the items that changed and no others. One that is too large for a mutation is
sent in parcels first, which count once the save that names them is through. Every call that writes
carries a token, so that one whose answer was lost can be made again: it counts once, and says what
it said.

A thread made together with its runs is hidden until all of it is there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

from cody_core.errors import (
    InvalidRequest,
    StoreError,
    StoreOutdated,
    StoreOverQuota,
    StoreRefused,
    StoreUnavailable,
)
from cody_core.ids import new_id
from cody_core.schema.events import offset_key
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadChanges, ThreadPage, ThreadState
from cody_core.stores import FIRST_VERSION, OpenRun, RunWrite
from cody_core.stores.convex_api import ConvexApi
from cody_core.stores.convex_presence import Presence
from cody_core.stores.convex_reading import RunReader, readable
from cody_core.stores.convex_recent import Recent
from cody_core.stores.convex_rows import Fields
from cody_core.stores.convex_saving import RunSender
from cody_core.stores.convex_watch import watch
from cody_core.stores.cursors import cursor_after, page_size, read_cursor
from cody_core.stores.folding import fold, looked_up, phrases

MOST_BYTES: Final = 256 * 1024
"""Bytes of a thread's title and summary; its words, to be searched, have as many again."""
_SEARCHED: Final[Mapping[str, int]] = {"titles": 128, "messages": 64, "chunks": 16}
"""The functions that search, and how many documents each may look at: they differ in size."""
_STATES: Final[Mapping[str, ThreadState]] = {
    "queued": "running",
    "in_progress": "running",
    "error": "failed",
    "aborted": "stopped",
}


class ConvexStore:
    """Threads and runs in a Convex deployment. Get one with ``open``."""

    def __init__(self, api: ConvexApi, key: str) -> None:
        self._api = api
        self._key = key
        self._sender = RunSender(api)
        self._reader = RunReader(api)
        self._recent = Recent()
        self._presence: Presence | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, key: str) -> AsyncIterator[Self]:
        """Open the store. Nothing is sent yet: the deployment may be away now and come back.

        Raises:
            SettingsError: the address is none, or not one to send a key to.
        """
        async with ConvexApi.open(url, key) as api:
            yield cls(api, key)

    def changes(self) -> AsyncGenerator[bool]:
        """Yield whenever others may have changed the list of threads; see ``Store.changes``."""
        return watch(self._api, self._key)

    async def version(self) -> int | None:
        """Return the version of the deployed functions; ``None`` if there are none of ours.

        Raises:
            StoreUnavailable: the deployment cannot be reached, or does not take the key.
        """
        return await self._api.version()

    async def aclose(self) -> None:
        """Close the store; what was saved before is durable."""
        await self._api.aclose()

    @asynccontextmanager
    async def presence(self, owner: str) -> AsyncIterator[None]:
        """Let other machines know that ``owner`` works on the runs it has not ended."""
        async with Presence.open(self._api, owner) as presence:
            self._presence = presence
            try:
                yield
            finally:
                self._presence = None

    # Threads

    async def create_thread(self, thread: Thread, runs: Sequence[Response] = ()) -> bool:
        """Store a new thread and its runs; return whether it was new. One deleted stays so."""
        if any(run.thread_id != thread.id for run in runs):
            msg = f"runs of other threads cannot be stored with thread {thread.id!r}"
            raise StoreError(msg)
        _refuse_large(thread.title, thread.summary)
        token = new_id()
        with self._recent.creating(thread) as created:
            is_new = await self._api.mutation(
                "threads:create",
                threadId=thread.id,
                token=token,
                hidden=bool(runs),
                title=thread.title,
                text=fold(thread.title),
                summary=thread.summary,
                tags=thread.tags,
                agentRole=thread.agent_role,
                modelId=thread.model_id,
                providerId=thread.provider_id,
                createdAt=thread.created_at,
                updatedAt=thread.updated_at,
            )
            if is_new and not runs:
                created()
        if not is_new or not runs:
            return bool(is_new)
        for run in runs:
            await self._sender.save(RunWrite(run, FIRST_VERSION))
        return bool(await self._api.mutation("threads:reveal", threadId=thread.id, token=token))

    async def get_thread(self, thread_id: str) -> Thread | None:
        """Return a thread."""
        try:
            found = await self._api.query("threads:get", threadId=thread_id)
        except StoreUnavailable as error:
            if (known := self._recent.thread(thread_id)) is None or not _is_away(error):
                raise
            return known
        if found is None:
            self._recent.forget(thread_id)
            return None
        thread = self._thread(found, listed=False)
        self._recent.keep_thread(thread)
        return thread

    async def list_threads(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        tag: str | None = None,
        query: str | None = None,
    ) -> ThreadPage:
        """List threads by last change, newest first, all of the filters applied.

        A blank ``query`` is no filter; one without a letter or digit finds nothing. Of messages
        with the words of a query, the 1,024 that fit it best are looked at.

        Raises:
            InvalidRequest: ``cursor`` was not made by an earlier call, or ``limit`` is not
            positive.
        """
        limit = page_size(limit)
        before = None if cursor is None else read_cursor(cursor)
        tag = None if tag is None else tag.encode(errors="replace").decode()
        if query is not None and query.strip():
            found = await self._search(phrases(query))
            kept = [t for t in found if tag is None or tag in t.tags]
            threads = [t for t in kept if before is None or _place(t) < before]
            more = len(threads) > limit
        else:
            threads, more = await self._list(limit, before, tag)
        page = tuple(threads[:limit])
        return ThreadPage(threads=page, next_cursor=cursor_after(page[-1]) if more else None)

    async def update_thread(self, thread_id: str, changes: ThreadChanges, *, now: int) -> bool:
        """Apply changes, set ``updated_at`` to ``now`` (ms); return whether the thread exists."""
        _refuse_large(changes.title, changes.summary)
        said: Fields = {
            "title": changes.title,
            "text": None if changes.title is None else fold(changes.title),
            "summary": changes.summary,
            "tags": changes.tags,
            "agentRole": changes.agent_role,
        }
        given = {name: value for name, value in said.items() if value is not None}
        done = await self._api.mutation(
            "threads:update", threadId=thread_id, now=now, changes=given
        )
        return bool(done)

    async def delete_thread(self, thread_id: str) -> bool:
        """Delete a thread and its runs; return whether it existed. Its id is never used again."""
        done = await self._api.mutation("threads:remove", threadId=thread_id, token=new_id())
        self._recent.forget(thread_id)
        return bool(done)

    async def _list(
        self, limit: int, before: tuple[int, str] | None, tag: str | None
    ) -> tuple[list[Thread], bool]:
        threads: list[Thread] = []
        while True:
            found = await self._api.query(
                "threads:list",
                limit=limit - len(threads),
                before=before and {"updatedAt": before[0], "threadId": before[1]},
                tag=tag,
            )
            threads += [self._thread(row, listed=True) for row in found["threads"]]
            if not found["more"] or len(threads) >= limit:
                return threads, found["more"]
            before = _place(threads[-1])

    async def _search(self, wanted: list[str]) -> list[Thread]:
        """Return the threads that have all phrases in one place, newest change first."""
        if not wanted:
            return []
        found: dict[str, Thread] = {}
        for where, size in _SEARCHED.items():
            cursor: str | None = None
            is_done = False
            while not is_done:
                page = await self._api.query(
                    f"search:{where}",
                    words=looked_up(wanted),
                    phrases=wanted,
                    page={"numItems": size, "cursor": cursor},
                )
                for row in page["threads"]:
                    found[row["threadId"]] = self._thread(row, listed=True)
                cursor, is_done = page["continueCursor"], page["isDone"]
        return sorted(found.values(), key=_place, reverse=True)

    # Saving

    async def save_run(self, write: RunWrite) -> bool:
        """Save a run's state, if it is newer than what is stored; return whether it was written."""
        offset_key(write.version)  # a malformed version is the caller's mistake, not the store's
        response, presence = write.response, self._presence
        if presence is not None and not response.is_terminal:
            await presence.begin(response.id, write.owner)
        written = await self._sender.save(write)
        if presence is not None and (response.is_terminal or not written):
            presence.end(response.id)
        # One that was not written is there: the answer to an earlier try may have been lost.
        self._recent.keep_run(response, newer=written)
        return written

    # Reading

    async def get_run(self, run_id: str) -> Response | None:
        """Return a run as last saved."""
        return await self._reader.get(run_id)

    async def list_runs(self, thread_id: str) -> Sequence[Response]:
        """Return the runs of a thread in the order they were created."""
        try:
            runs = await self._reader.list(thread_id)
        except StoreUnavailable as error:
            if (known := self._recent.runs(thread_id)) is None or not _is_away(error):
                raise
            return known
        self._recent.keep_runs(thread_id, runs)
        return runs

    async def open_runs(self) -> Sequence[OpenRun]:
        """Return the runs that have no end yet, oldest first."""
        runs: list[OpenRun] = []
        after: Fields | None = None
        while True:
            found = await self._api.mutation("owners:open", after=after)
            for row in found["runs"]:
                owner = row.get("owner")
                runs.append(OpenRun(row["runId"], row["version"], owner, seen=row["seen"]))
            if (after := found["next"]) is None:
                return runs

    def _thread(self, row: Fields, *, listed: bool) -> Thread:
        with readable(f"thread {row.get('threadId')!r}", self._api):
            return Thread(
                id=row["threadId"],
                title=row["title"],
                summary=row.get("summary"),
                tags=tuple(row["tags"]),
                agent_role=row.get("agentRole"),
                model_id=row.get("modelId"),
                provider_id=row.get("providerId"),
                created_at=int(row["createdAt"]),
                updated_at=int(row["updatedAt"]),
                state=_STATES.get(row.get("newest") or "") if listed else None,
            )


def _refuse_large(*texts: str | None) -> None:
    """Refuse what is too large for a document.

    Raises:
        InvalidRequest: it is.
    """
    if sum(len(text.encode()) for text in texts if text is not None) > MOST_BYTES:
        msg = f"the title and summary of a thread may have {MOST_BYTES:,} bytes in Convex"
        raise InvalidRequest(msg)


def _is_away(error: StoreUnavailable) -> bool:
    """Tell whether the deployment is only away: what is wrong with it otherwise must be said."""
    return not isinstance(error, StoreRefused | StoreOutdated | StoreOverQuota)


def _place(thread: Thread) -> tuple[int, str]:
    return thread.updated_at, thread.id
