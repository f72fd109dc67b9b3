"""The SQLite store: threads, runs and items in tables, one short transaction for each call.

A run is a header, the response as JSON without its items, and one row for each item, so that a save
writes what changed and not the whole answer. A deleted thread leaves its id behind: a late save of
one of its runs must not bring it back. Stored rows are validated when they are read.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from cody_core.schema.events import offset_key
from cody_core.schema.items import Item
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadChanges, ThreadPage
from cody_core.stores import FIRST_VERSION, OpenRun, RunWrite
from cody_core.stores.cursors import cursor_after, page_size, read_cursor
from cody_core.stores.database import Database, Transaction
from cody_core.stores.migrations import migrate
from cody_core.stores.search import expression, indexed, text_of

_THREAD = "id, title, summary, tags, agent_role, model_id, provider_id, created_at, updated_at"
_STATE = (
    "(SELECT CASE status WHEN 'queued' THEN 'running' WHEN 'in_progress' THEN 'running'"
    " WHEN 'error' THEN 'failed' WHEN 'aborted' THEN 'stopped' END FROM runs"
    " WHERE thread_id = threads.id ORDER BY created_at DESC, id DESC LIMIT 1) AS state"
)
_Kind = Literal["input", "output"]


class SqliteStore:
    """Threads and runs in a SQLite database. Get one with ``open``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, busy_timeout: float = 5.0) -> AsyncIterator[Self]:
        """Open the store in the file at ``path``, made and brought up to date where need be.

        Only its owner can read what is made. ``busy_timeout`` is how many seconds a call waits for
        another process that writes.

        Raises:
            StoreUnavailable: the file cannot be made, opened or written now.
            StoreCorrupt: the file is no database, or one of a newer version.
        """
        async with Database.open(path, busy_timeout=busy_timeout) as database:
            await migrate(database)
            yield cls(database)

    async def aclose(self) -> None:
        """Close the store once calls under way are through; what was saved before is durable."""
        await self._database.aclose()

    async def create_thread(self, thread: Thread, runs: Sequence[Response] = ()) -> bool:
        """Store a new thread and its runs; return whether it was new. One deleted stays so."""
        row = (
            *(thread.id, thread.title, thread.summary, _json(thread.tags), thread.agent_role),
            *(thread.model_id, thread.provider_id, thread.created_at, thread.updated_at),
        )

        def create(db: Transaction) -> bool:
            made = db.rows(
                f"INSERT INTO threads ({_THREAD}) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM deleted_threads WHERE id = ?)"
                " ON CONFLICT (id) DO NOTHING RETURNING key",
                (*row, thread.id),
            )
            for (key,) in made:
                _index(db, "title_index", key, thread.title, is_new=True)
            for run in runs if made else ():
                _save(db, RunWrite(run, FIRST_VERSION), _Stored(is_new=True))
            return bool(made)

        return await self._database.write(create)

    async def get_thread(self, thread_id: str) -> Thread | None:
        """Return a thread."""

        def get(db: Transaction) -> Thread | None:
            rows = db.rows(f"SELECT {_THREAD} FROM threads WHERE id = ?", (thread_id,))
            return _thread(db, rows[0]) if rows else None

        return await self._database.read(get)

    async def list_threads(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        tag: str | None = None,
        query: str | None = None,
    ) -> ThreadPage:
        """List threads by last change, newest first, all of the filters applied.

        A blank ``query`` is no filter; one without a letter or digit finds nothing.

        Raises:
            InvalidRequest: ``cursor`` was not made by an earlier call, or ``limit`` is not
            positive.
        """
        limit = page_size(limit)
        where, values = _filters(cursor, tag, query)

        def page(db: Transaction) -> list[Thread]:
            rows = db.rows(
                f"SELECT {_THREAD}, {_STATE} FROM threads WHERE {where}"
                " ORDER BY updated_at DESC, id DESC LIMIT ?",
                (*values, limit + 1),
            )
            return [_thread(db, row) for row in rows]

        threads = await self._database.read(page)
        shown, more = tuple(threads[:limit]), len(threads) > limit
        return ThreadPage(threads=shown, next_cursor=cursor_after(shown[-1]) if more else None)

    async def update_thread(self, thread_id: str, changes: ThreadChanges, *, now: int) -> bool:
        """Apply changes, set ``updated_at`` to ``now`` (ms); return whether the thread exists."""
        tags = None if changes.tags is None else _json(changes.tags)

        def update(db: Transaction) -> bool:
            updated = db.rows(
                "UPDATE threads SET title = coalesce(?, title), summary = coalesce(?, summary),"
                " tags = coalesce(?, tags), agent_role = coalesce(?, agent_role), updated_at = ?"
                " WHERE id = ? RETURNING key, title",
                (changes.title, changes.summary, tags, changes.agent_role, now, thread_id),
            )
            for key, title in updated:
                _index(db, "title_index", key, title)
            return bool(updated)

        return await self._database.write(update)

    async def delete_thread(self, thread_id: str) -> bool:
        """Delete a thread and its runs; return whether it existed. Its id is never used again."""

        def delete(db: Transaction) -> bool:
            db.rows(
                "DELETE FROM title_index WHERE rowid IN (SELECT key FROM threads WHERE id = ?)",
                (thread_id,),
            )
            db.rows(
                "DELETE FROM message_index WHERE rowid IN (SELECT items.key FROM items"
                " JOIN runs ON runs.id = items.run_id WHERE runs.thread_id = ?)",
                (thread_id,),
            )
            deleted = db.rows("DELETE FROM threads WHERE id = ? RETURNING id", (thread_id,))
            db.many("INSERT OR IGNORE INTO deleted_threads (id) VALUES (?)", deleted)
            return bool(deleted)

        return await self._database.write(delete)

    async def save_run(self, write: RunWrite) -> bool:
        """Save a run's state, if it is newer than what is stored; return whether it was written.

        Items are written when they changed, or when they are not stored yet.
        """
        offset_key(write.version)  # a malformed version is the caller's mistake, not the file's

        def save(db: Transaction) -> bool:
            stored = _admitted(db, write)
            if stored is None:
                return False
            _save(db, write, stored)
            _touch_thread(db, write.response, begins=stored.is_new)
            return True

        return await self._database.write(save)

    async def get_run(self, run_id: str) -> Response | None:
        """Return a run as last saved."""
        runs = await self._database.read(lambda db: _read_runs(db, "runs.id = ?", run_id))
        return runs[0] if runs else None

    async def list_runs(self, thread_id: str) -> Sequence[Response]:
        """Return the runs of a thread in the order they were created."""
        return await self._database.read(lambda db: _read_runs(db, "runs.thread_id = ?", thread_id))

    async def open_runs(self) -> Sequence[OpenRun]:
        """Return the runs that have no end yet, oldest first."""
        rows = await self._database.read(
            lambda db: db.rows(
                "SELECT id, version, owner FROM runs WHERE status IN ('queued', 'in_progress')"
                " ORDER BY created_at, id"
            )
        )
        return [OpenRun(*row) for row in rows]

    @asynccontextmanager
    async def presence(self, owner: str) -> AsyncIterator[None]:
        """Do nothing: who is at work here holds a lock, and everybody can see that."""
        yield

    async def changes(self) -> AsyncGenerator[bool]:
        """Tell of nothing: whoever wants to know reads the list again, which costs little here."""
        told: tuple[bool, ...] = ()
        for is_told in told:
            yield is_told


class _Stored(NamedTuple):
    """What there is of a run before it is written."""

    is_new: bool
    outputs: int = 0


def _admitted(db: Transaction, write: RunWrite) -> _Stored | None:
    """Return what is stored of the run, or ``None`` if this is not to be written.

    That is where there is no such thread, or something as new as this, or final, is stored.
    """
    response = write.response
    outputs = "SELECT count(*) FROM items WHERE run_id = runs.id AND kind = 'output'"
    rows = db.rows(
        f"SELECT runs.version, runs.status, ({outputs}) FROM threads"
        " LEFT JOIN runs ON runs.id = ? WHERE threads.id = ?",
        (response.id, response.thread_id),
    )
    if not rows:
        return None
    version, status, count = rows[0]
    if version is None:
        return _Stored(is_new=True)
    if status not in ("queued", "in_progress") and not response.is_terminal:
        return None
    ends = response.is_terminal and status in ("queued", "in_progress")
    with db.readable(f"run {response.id!r}"):
        new, old = offset_key(write.version), offset_key(version)
    return _Stored(is_new=False, outputs=count) if new > old or (ends and new == old) else None


def _save(db: Transaction, write: RunWrite, stored: _Stored) -> None:
    response = write.response
    _save_header(db, write)
    if stored.is_new:
        for position, item in enumerate(response.input_items):
            _save_item(db, response.id, "input", position, item, is_new=True)
    if stored.outputs > len(response.output_items):
        _drop_items(db, response.id, len(response.output_items))
    for position, item in enumerate(response.output_items):
        is_new = position >= stored.outputs
        if is_new or write.changed is None or position in write.changed:
            _save_item(db, response.id, "output", position, item, is_new=is_new)


def _save_header(db: Transaction, write: RunWrite) -> None:
    """Write all of a run but its items."""
    response = write.response
    db.rows(
        "INSERT INTO runs (id, thread_id, turn_id, status, created_at, updated_at, version,"
        " owner, header) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " thread_id = excluded.thread_id, turn_id = excluded.turn_id,"
        " status = excluded.status, created_at = excluded.created_at,"
        " updated_at = excluded.updated_at, version = excluded.version,"
        " owner = excluded.owner, header = excluded.header",
        (
            *(response.id, response.thread_id, response.turn_id, response.status),
            *(response.created_at, response.updated_at, write.version, write.owner),
            response.model_dump_json(exclude={"input_items", "output_items"}),
        ),
    )


def _drop_items(db: Transaction, run_id: str, first: int) -> None:
    """Drop the output items from a position on."""
    surplus = "FROM items WHERE run_id = ? AND kind = 'output' AND position >= ?"
    place = (run_id, first)
    db.rows(f"DELETE FROM message_index WHERE rowid IN (SELECT key {surplus})", place)
    db.rows(f"DELETE {surplus}", place)


def _save_item(
    db: Transaction, run_id: str, kind: _Kind, position: int, item: Item, *, is_new: bool
) -> None:
    [(key,)] = db.rows(
        "INSERT INTO items (run_id, kind, position, item_id, type, json)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, kind, position) DO UPDATE SET"
        " item_id = excluded.item_id, type = excluded.type, json = excluded.json RETURNING key",
        (run_id, kind, position, item.id, item.type, item.model_dump_json()),
    )
    _index(db, "message_index", key, text_of(item), is_new=is_new)


def _touch_thread(db: Transaction, response: Response, *, begins: bool) -> None:
    """Let the thread follow the run, if that is its newest; to its agent when it begins."""
    db.rows(
        "UPDATE threads SET updated_at = max(updated_at, ?), model_id = ?, provider_id = ?,"
        " agent_role = coalesce(?, agent_role) WHERE id = ? AND NOT EXISTS (SELECT 1 FROM runs"
        " WHERE thread_id = threads.id AND (created_at, id) > (?, ?))",
        (
            *(response.updated_at, response.model_id, response.provider_id),
            response.agent_id if begins else None,
            *(response.thread_id, response.created_at, response.id),
        ),
    )


def _index(
    db: Transaction,
    table: Literal["title_index", "message_index"],
    key: int,
    text: str | None,
    *,
    is_new: bool = False,
) -> None:
    """Replace what is searched under a key; ``None`` is not searched at all."""
    if not is_new:
        db.rows(f"DELETE FROM {table} WHERE rowid = ?", (key,))
    if text is not None:
        db.rows(f"INSERT INTO {table} (rowid, text) VALUES (?, ?)", (key, indexed(text)))


def _read_runs(db: Transaction, where: str, value: str) -> list[Response]:
    """Return runs with their items: two queries, however many runs there are."""
    headers = db.rows(
        f"SELECT id, header FROM runs WHERE {where} ORDER BY created_at, id", (value,)
    )
    items = db.rows(
        "SELECT items.run_id, items.kind, items.json FROM runs"
        f" JOIN items ON items.run_id = runs.id WHERE {where}"
        " ORDER BY items.run_id, items.kind, items.position",
        (value,),
    )
    found: dict[tuple[str, str], list[str]] = {}
    for run_id, kind, data in items:
        found.setdefault((run_id, kind), []).append(data)
    return [_response(db, run_id, header, found) for run_id, header in headers]


def _response(
    db: Transaction, run_id: str, header: str, items: Mapping[tuple[str, str], Sequence[str]]
) -> Response:
    """Put the JSON text of a response together and validate it once, as a whole."""
    inputs, outputs = (",".join(items.get((run_id, kind), ())) for kind in ("input", "output"))
    text = f'{header[:-1]},"input_items":[{inputs}],"output_items":[{outputs}]}}'
    with db.readable(f"run {run_id!r}"):
        return Response.model_validate_json(text)


def _thread(db: Transaction, row: Sequence[Any]) -> Thread:
    names = [*_THREAD.split(", "), "state"]
    with db.readable(f"thread {row[0]!r}"):
        values = dict(zip(names, row, strict=False))
        return Thread(**{**values, "tags": tuple(json.loads(values["tags"]))})


def _filters(
    cursor: str | None, tag: str | None, query: str | None
) -> tuple[str, tuple[int | str, ...]]:
    """Return the condition for a page of threads, and its values."""
    conditions, values = ["1"], list[int | str]()
    if cursor is not None:
        conditions.append("(updated_at, id) < (?, ?)")
        values += read_cursor(cursor)
    if tag is not None:
        conditions.append("EXISTS (SELECT 1 FROM json_each(threads.tags) WHERE value = ?)")
        values.append(tag.encode(errors="replace").decode())
    if query is not None and query.strip():
        found = expression(query)
        if found is None:
            return "0", ()
        conditions.append(
            "(key IN (SELECT rowid FROM title_index WHERE title_index MATCH ?) OR id IN ("
            " SELECT runs.thread_id FROM message_index JOIN items ON items.key ="
            " message_index.rowid JOIN runs ON runs.id = items.run_id"
            " WHERE message_index MATCH ?))"
        )
        values += [found, found]
    return " AND ".join(conditions), tuple(values)


def _json(value: Sequence[Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
