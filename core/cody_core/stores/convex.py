"""The Convex store: threads, runs and items in a deployment that any number of machines share.

What it does is done by the functions in ``core/convex``, over HTTP; see their README for how a run
is kept. A save sends the items that changed and no others. One that is too large for a mutation is
sent in parcels first, which count once the save that names them is through. Every call that writes
carries a token, so that one whose answer was lost can be made again: it counts once, and says what
it said.

A thread made together with its runs is hidden until all of it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Self

from cody_core.errors import StoreCorrupt, StoreError, StoreUnavailable
from cody_core.ids import new_id
from cody_core.schema.events import offset_key
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadChanges, ThreadPage, ThreadState
from cody_core.stores import OpenRun, RunWrite
from cody_core.stores.convex_api import ConvexApi
from cody_core.stores.convex_presence import Presence
from cody_core.stores.convex_rows import (
    Fields,
    Reading,
    Rows,
    is_direct,
    parcels,
    rows_of,
    weight,
)
from cody_core.stores.cursors import cursor_after, page_size, read_cursor
from cody_core.stores.folding import fold, looked_up, phrases

KNOWN_RUNS: Final = 1000
"""Runs of which is remembered how much is stored, so that a save is complete the first time."""
LIGHT: Final = 50_000
"""Characters that are folded and cut on the loop; more are in a thread."""
AGAIN: Final = 10
"""How often a run is read or sent anew that others change meanwhile."""
FIRST_VERSION: Final = "0-1"
"""The version of a run that never was in a log."""
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

    def __init__(self, api: ConvexApi) -> None:
        self._api = api
        self._known: dict[str, int] = {}
        self._presence: Presence | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, key: str) -> AsyncIterator[Self]:
        """Open the store. Nothing is sent yet: the deployment may be away now and come back.

        Raises:
            SettingsError: the address is none, or not one to send a key to.
        """
        async with ConvexApi.open(url, key) as api:
            yield cls(api)

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
        token = new_id()
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
        if not is_new or not runs:
            return bool(is_new)
        for run in runs:
            await self._save(RunWrite(run, FIRST_VERSION))
        return bool(await self._api.mutation("threads:reveal", threadId=thread.id, token=token))

    async def get_thread(self, thread_id: str) -> Thread | None:
        """Return a thread."""
        found = await self._api.query("threads:get", threadId=thread_id)
        return None if found is None else self._thread(found, listed=False)

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
        written = await self._save(write)
        if presence is not None and (response.is_terminal or not written):
            presence.end(response.id)
        return written

    async def _save(self, write: RunWrite) -> bool:
        run_id = write.response.id
        known = self._known.get(run_id)
        for _ in range(AGAIN):
            outcome = await self._send(write, known or 0, with_inputs=known is None)
            match outcome["outcome"]:
                case "written":
                    self._remember(run_id, len(write.response.output_items))
                    return True
                case "refused":
                    self._known.pop(run_id, None)
                    return False
                case "incomplete":
                    known = None if outcome["isNew"] else int(outcome["outputs"])
                case _:  # what was sent ahead has been swept away, as it took so long
                    known = self._known.get(run_id)
        msg = f"run {run_id!r} is written to by others at the same time: try again"
        raise StoreUnavailable(msg)

    async def _send(self, write: RunWrite, stored: int, *, with_inputs: bool) -> Fields:
        """Send what has changed since so many output items were stored."""
        response = write.response
        total = len(response.output_items)
        changed = range(total) if write.changed is None else write.changed
        positions = [at for at in range(total) if at in changed or at >= stored]
        if weight(response, positions) > LIGHT:
            header, rows = await asyncio.to_thread(
                rows_of, response, positions, with_inputs=with_inputs
            )
        else:
            header, rows = rows_of(response, positions, with_inputs=with_inputs)
        sent, named = await self._send_ahead(response, rows)
        done: Fields = await self._api.mutation(
            "runs:save",
            run=_state(write, header),
            token=new_id(),
            tail=_tail(positions, total),
            whole=with_inputs,
            rows=sent.rows,
            chunks=sent.chunks,
            parcels=named,
        )
        return done

    async def _send_ahead(self, response: Response, rows: Rows) -> tuple[Rows, list[str]]:
        """Send what is too much for one mutation; return the rest, and the parcels of rows."""
        named: list[str] = []
        left = Rows(rows.rows, rows.chunks)
        if not is_direct([*rows.rows, *rows.chunks]):
            for chunks in parcels(rows.chunks):
                await self._send_parcel(response, Rows([], chunks))
            left = Rows(rows.rows, [])
        if not is_direct(left.rows):
            named = [await self._send_parcel(response, Rows(some)) for some in parcels(left.rows)]
            left = Rows([], left.chunks)
        return left, named

    async def _send_parcel(self, response: Response, rows: Rows) -> str:
        name = new_id()
        await self._api.mutation(
            "parcels:store",
            parcel=name,
            threadId=response.thread_id,
            runId=response.id,
            rows=rows.rows,
            chunks=rows.chunks,
        )
        return name

    def _remember(self, run_id: str, outputs: int) -> None:
        self._known.pop(run_id, None)
        self._known[run_id] = outputs
        if len(self._known) > KNOWN_RUNS:
            del self._known[next(iter(self._known))]

    # Reading

    async def get_run(self, run_id: str) -> Response | None:
        """Return a run as last saved.

        Raises:
            StoreCorrupt: what is stored is no run.
        """
        for _ in range(AGAIN):
            reading: Reading | None = None
            after: Fields | None = None
            while True:
                page = await self._api.query("runs:get", runId=run_id, after=after)
                if page is None:
                    return None
                if reading is None:
                    reading = Reading(page)
                elif not reading.take(page):
                    break
                if (after := page["next"]) is None:
                    if await self._complete(reading):
                        return self._response(reading)
                    break
        msg = f"run {run_id!r} changes faster than it can be read: try again"
        raise StoreUnavailable(msg)

    async def list_runs(self, thread_id: str) -> Sequence[Response]:
        """Return the runs of a thread in the order they were created.

        Raises:
            StoreCorrupt: what is stored is no run.
        """
        readings: dict[str, Reading] = {}
        torn: set[str] = set()
        place: Fields | None = {}
        while place is not None:
            found = await self._api.query("runs:list", threadId=thread_id, **place)
            for page in found["runs"]:
                known = readings.get(page["runId"])
                if known is None:
                    readings[page["runId"]] = Reading(page)
                elif not known.take(page):
                    torn.add(known.run_id)
            place = found["next"]
        runs: list[Response] = []
        for run_id, reading in readings.items():
            await asyncio.sleep(0)  # a long list is not put together in one go
            if run_id not in torn and await self._complete(reading):
                runs.append(self._response(reading))
            elif (run := await self.get_run(run_id)) is not None:
                runs.append(run)
        return runs

    async def _complete(self, reading: Reading) -> bool:
        """Fetch what is in chunks; tell whether all of it is still there."""
        for body, parts in reading.bodies.items():
            pieces: list[str] = []
            while len(pieces) < parts:
                place = {"from": len(pieces), "until": parts}
                more = await self._api.query("runs:body", body=body, **place)
                if not more:
                    return False
                pieces += more
            reading.complete(body, "".join(pieces))
        return True

    def _response(self, reading: Reading) -> Response:
        with self._readable(f"run {reading.run_id!r}"):
            return Response.model_validate_json(reading.json())

    def _thread(self, row: Fields, *, listed: bool) -> Thread:
        with self._readable(f"thread {row.get('threadId')!r}"):
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

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError) as error:
            where = f"the Convex deployment {self._api.url!r}"
            msg = f"{what} in {where} cannot be read by this version"
            raise StoreCorrupt(msg) from error

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


def _place(thread: Thread) -> tuple[int, str]:
    return thread.updated_at, thread.id


def _state(write: RunWrite, header: str) -> Fields:
    response = write.response
    fields: Fields = {
        "runId": response.id,
        "threadId": response.thread_id,
        "status": response.status,
        "createdAt": response.created_at,
        "updatedAt": response.updated_at,
        "modelId": response.model_id,
        "providerId": response.provider_id,
        "agentRole": response.agent_id,
        "version": write.version,
        "owner": write.owner,
        "header": header,
        "inputs": len(response.input_items),
        "outputs": len(response.output_items),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tail(positions: Sequence[int], total: int) -> int:
    """Return from which position on all of them are there."""
    tail = total
    for position in reversed(positions):
        if position != tail - 1:
            break
        tail = position
    return tail
