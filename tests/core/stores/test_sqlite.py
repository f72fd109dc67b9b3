from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cody_core.errors import StoreCorrupt, StoreUnavailable
from cody_core.schema.response import Response
from cody_core.schema.threads import ThreadChanges
from cody_core.stores import RunWrite
from cody_core.stores.database import Database, Transaction
from cody_core.stores.migrations import MIGRATIONS, migrate
from cody_core.stores.sqlite import SqliteStore

from .contract import a_thread, found, run_of, saved, say, stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "cody.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(path, busy_timeout=0.05) as opened:
        yield opened


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the write lock as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values)


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def test_only_the_owner_can_read_the_files(store: SqliteStore, path: Path) -> None:
    await stored(store)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"cody.db": 0o600, "cody.db-wal": 0o600, "cody.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_what_is_saved_survives_closing_and_opening(path: Path) -> None:
    async with SqliteStore.open(path) as store:
        thread = await stored(store)
        run = await saved(store, run_of(thread, say("umbrella")))
    async with SqliteStore.open(path) as store:
        assert await store.list_runs(thread.id) == [run]
        assert await found(store, "umbrella") == ["Weather"]
    assert not path.with_name("cody.db-wal").exists()


async def test_a_closed_store_says_so_and_its_thread_has_ended(path: Path) -> None:
    async with SqliteStore.open(path) as store:
        workers = [thread for thread in threading.enumerate() if "connection" in thread.name]
        await store.aclose()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.get_thread("x")
    assert workers
    for worker in workers:
        await asyncio.to_thread(worker.join, 30)
    assert not any(worker.is_alive() for worker in workers)


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
async def test_every_older_version_is_brought_up_to_date(path: Path, version: int) -> None:
    async with Database.open(path, busy_timeout=1) as database:
        await migrate(database, MIGRATIONS[:version])
    if version == 1:
        fill_version_1(path)
    async with SqliteStore.open(path) as store:
        if version == 1:
            assert await found(store, "old") == await found(store, "umbr") == ["Old title"]
        await saved(store, run_of(await stored(store, "new"), say("fresh")))
        assert await found(store, "fresh") == ["new"]
    names = [name for name, _ in MIGRATIONS]
    assert query(path, "SELECT name FROM migrations ORDER BY number") == [(n,) for n in names]


def fill_version_1(path: Path) -> None:
    run = run_of(a_thread(), say("umbrella"))
    change(
        path,
        "INSERT INTO threads (id, title, tags, created_at, updated_at) VALUES (?, ?, ?, 1, 1)",
        *(run.thread_id, "Old title", "[]"),
    )
    change(
        path,
        "INSERT INTO runs (id, thread_id, turn_id, status, created_at, updated_at, version, header)"
        " VALUES (?, ?, ?, 'complete', 1, 1, '1-0', ?)",
        *(run.id, run.thread_id, run.turn_id),
        run.model_dump_json(exclude={"input_items", "output_items"}),
    )
    for item in run.output_items:
        change(
            path,
            "INSERT INTO items (run_id, kind, position, item_id, type, json)"
            " VALUES (?, 'output', 0, ?, ?, ?)",
            *(run.id, item.id, item.type, item.model_dump_json()),
        )


async def test_a_migration_that_fails_leaves_neither_change_nor_record(path: Path) -> None:
    def breaks(db: Transaction) -> None:
        db.rows("CREATE TABLE half (x)")
        db.rows("INSERT INTO missing VALUES (1)")

    async with Database.open(path, busy_timeout=1) as database:
        with pytest.raises(StoreCorrupt):
            await migrate(database, (*MIGRATIONS, ("breaks", breaks)))
    assert query(path, "SELECT max(number) FROM migrations") == [(len(MIGRATIONS),)]
    assert query(path, "SELECT 1 FROM sqlite_schema WHERE name = 'half'") == []


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    async with SqliteStore.open(path):
        pass
    change(path, "INSERT INTO migrations VALUES (?, 'later', 1)", len(MIGRATIONS) + 1)
    with pytest.raises(StoreCorrupt, match=r"cody\.db.*newer version.*upgrade"):
        async with SqliteStore.open(path):
            pass
    assert query(path, "SELECT count(*) FROM migrations") == [(len(MIGRATIONS) + 1,)]


CHILD = """
import asyncio, pathlib, sys
from cody_core.ids import new_id
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.stores import RunWrite
from cody_core.stores.sqlite import SqliteStore

async def main():
    async with SqliteStore.open(pathlib.Path(sys.argv[1]), busy_timeout=30) as store:
        for _ in range(25):
            thread = Thread(id=new_id(), title="t", created_at=1, updated_at=1)
            assert await store.create_thread(thread)
            run = Response(id=new_id(), turn_id=new_id(), thread_id=thread.id, model_id="m",
                           provider_id="p", created_at=1, updated_at=1, status="complete")
            assert await store.save_run(RunWrite(run, "1-0"))

sys.stdin.readline()
asyncio.run(main())
"""


def test_processes_that_start_at_once_agree_and_lose_no_write(path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", CHILD, str(path)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(lambda child: child.communicate(b"go\n"), children))
    assert [
        (child.returncode, *output) for child, output in zip(children, outputs, strict=True)
    ] == [(0, None, b"")] * 3
    for table in ("threads", "runs"):
        assert query(path, f"SELECT count(*) FROM {table}") == [(75,)]
    assert query(path, "SELECT count(*) FROM migrations") == [(len(MIGRATIONS),)]


async def test_a_locked_database_is_unavailable_to_write_but_can_be_read(
    store: SqliteStore, path: Path
) -> None:
    thread = await stored(store)
    with writing(path):
        with pytest.raises(StoreUnavailable, match="another process"):
            await store.save_run(RunWrite(run_of(thread), "1-0"))
        assert await store.get_thread(thread.id) == thread
        async with SqliteStore.open(path) as second:
            assert await second.get_thread(thread.id) == thread
    assert await store.save_run(RunWrite(run_of(thread), "1-0"))


async def test_a_call_waits_for_a_lock_that_is_given_back_in_time(path: Path) -> None:
    loop, began = asyncio.get_running_loop(), asyncio.Event()
    async with SqliteStore.open(path, busy_timeout=30) as store, asyncio.TaskGroup() as group:
        await trace_writes(store, lambda _: loop.call_soon_threadsafe(began.set))
        with writing(path):
            creating = group.create_task(store.create_thread(a_thread()))
            await began.wait()
            assert not creating.done()
        assert await creating


async def test_a_full_database_keeps_what_it_has_and_recovers(store: SqliteStore) -> None:
    thread = await stored(store)
    run = await saved(store, run_of(thread, say("small"), status="in_progress"))
    [(pages,)] = await rows(store, "PRAGMA page_count")
    await rows(store, f"PRAGMA max_page_count = {pages}")
    large = run.model_copy(update={"output_items": (say("word " * 50_000),)})
    with pytest.raises(StoreUnavailable, match="full"):
        await store.save_run(RunWrite(large, "2-0"))
    assert await store.get_run(run.id) == run
    await rows(store, "PRAGMA max_page_count = 100000")
    assert await store.save_run(RunWrite(large, "2-0"))


async def rows(store: SqliteStore, sql: str) -> list[Any]:
    """Set up a condition of the disk on the store's own connection."""
    return await store._database.write(lambda db: db.rows(sql))


async def trace_writes(store: SqliteStore, trace: Callable[[str], object]) -> None:
    """Let a function be told of each statement of a transaction that writes."""
    await store._database.write(lambda db: db.connection.set_trace_callback(trace))


async def test_a_write_the_system_refuses_is_unavailable(store: SqliteStore, path: Path) -> None:
    thread = await stored(store)
    size = path.with_name("cody.db-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(StoreUnavailable):
            await saved(store, run_of(thread, say("word " * 50_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert await store.list_runs(thread.id) == []
    await saved(store, run_of(thread, say("word " * 50_000)))


async def test_a_file_that_is_no_database_is_corrupt_and_left_alone(path: Path) -> None:
    content = b"not a database, and longer than its header\n" * 50
    overwrite(path, 0, content)
    with pytest.raises(StoreCorrupt, match=r"cody\.db"):
        async with SqliteStore.open(path):
            pass
    assert content_of(path) == content


async def test_a_damaged_page_is_corrupt(path: Path) -> None:
    async with SqliteStore.open(path) as store:
        thread = await stored(store)
    overwrite(path, 4096, b"\xff" * (len(content_of(path)) - 4096))
    with pytest.raises(StoreCorrupt, match=r"cody\.db"):
        async with SqliteStore.open(path) as store:
            await store.list_runs(thread.id)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def overwrite(path: Path, at: int, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    before = path.read_bytes()[:at] if at else b""
    path.write_bytes(before + content)


async def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "cody.db", tmp_path / "file" / "deep" / "cody.db"):
        with pytest.raises(StoreUnavailable, match="file"):
            async with SqliteStore.open(path):
                pass


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("UPDATE items SET json = ?", '{"type": "message"}'),
        ("UPDATE items SET json = ?", "{"),
        ("UPDATE runs SET header = ?", "{}"),
        ("UPDATE runs SET header = ?", ""),
        ("UPDATE items SET json = CAST(? AS TEXT)", b"\xff\xfe"),
    ],
)
async def test_a_run_that_does_not_validate_is_corrupt(
    store: SqliteStore, path: Path, sql: str, value: object
) -> None:
    run = await saved(store, run_of(await stored(store), say("x")))
    change(path, sql, value)
    with pytest.raises(StoreCorrupt, match=r"cody\.db"):
        await store.get_run(run.id)


async def test_values_that_do_not_validate_are_corrupt(store: SqliteStore, path: Path) -> None:
    thread = await stored(store)
    run = await saved(store, run_of(thread, status="in_progress"))
    change(path, "UPDATE runs SET version = 'x'")
    with pytest.raises(StoreCorrupt, match=run.id):
        await store.save_run(RunWrite(run, "2-0"))
    change(path, "UPDATE threads SET tags = '{'")
    with pytest.raises(StoreCorrupt, match=thread.id):
        await store.list_threads()


async def test_a_missing_table_is_corrupt(store: SqliteStore, path: Path) -> None:
    change(path, "DROP TABLE deleted_threads")
    with pytest.raises(StoreCorrupt, match=r"cody\.db"):
        await store.create_thread(a_thread())


@pytest.mark.parametrize("cancels", [1, 2])
async def test_a_save_cancelled_at_any_statement_is_done_or_undone(
    store: SqliteStore, cancels: int
) -> None:
    thread = await stored(store)
    whole = await cancelled_at(10_000, store, run_of(thread, say("a")), cancels)
    outcomes = []
    for statement in range(whole + 1):
        run = run_of(thread, say("a"))
        await cancelled_at(statement, store, run, cancels)
        assert await store.create_thread(a_thread())  # no transaction was left open
        kept = await store.get_run(run.id)
        assert kept in (None, run)
        outcomes.append(kept is None)
    assert whole > 10
    assert outcomes[0]
    assert await store.list_runs(thread.id)


async def cancelled_at(statement: int, store: SqliteStore, run: Response, cancels: int) -> int:
    """Cancel a save while SQLite begins its n-th statement; return how many it came to."""
    loop = asyncio.get_running_loop()
    seen = 0

    def cancel() -> None:
        for _ in range(cancels):
            loop.call_soon_threadsafe(saving.cancel)

    def trace(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            cancel()

    await trace_writes(store, trace)
    seen = 0
    async with asyncio.TaskGroup() as group:
        saving = group.create_task(store.save_run(RunWrite(run, "1-0")))
        if statement == 0:
            cancel()
    await trace_writes(store, lambda _: None)
    return seen


async def test_reading_500_runs_takes_two_queries(store: SqliteStore) -> None:
    thread = await stored(store)
    runs = [run_of(thread, say("x"), created_at=at) for at in range(500)]
    for run in runs:
        await store.save_run(RunWrite(run, "1-0"))
    statements: list[str] = []
    await store._database.read(lambda db: db.connection.set_trace_callback(statements.append))
    assert await store.list_runs(thread.id) == runs
    assert len([sql for sql in statements if "SELECT" in sql]) == 2


async def test_deleting_a_thread_leaves_no_row_behind(store: SqliteStore, path: Path) -> None:
    thread = await stored(store)
    await saved(store, run_of(thread, say("x")))
    await store.update_thread(thread.id, ThreadChanges(title="y"), now=1)
    await store.delete_thread(thread.id)
    for table in ("threads", "runs", "items", "title_index", "message_index"):
        assert query(path, f"SELECT count(*) FROM {table}") == [(0,)]


async def test_saves_reach_the_disk(store: SqliteStore) -> None:
    assert await rows(store, "PRAGMA synchronous") == [(2,)]
    assert await rows(store, "PRAGMA journal_mode") == [("wal",)]
