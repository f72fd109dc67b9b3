"""Numbered migrations of the SQLite store.

A migration runs once, in a transaction that also writes its record: a database either has the
change and the record or neither, whatever interrupts it. Two processes that start at the same time
agree, because the records are read again once the write lock is held. A migration that has been
released is never edited; what it got wrong, the next one mends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cody_core.errors import StoreCorrupt
from cody_core.ids import now_ms
from cody_core.schema.items import ITEM
from cody_core.stores.database import Database, Transaction
from cody_core.stores.search import TOKENIZER, indexed, text_of

Migrations = Sequence[tuple[str, Callable[[Transaction], None]]]

_TABLES = (
    """
    CREATE TABLE threads (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        summary TEXT,
        tags TEXT NOT NULL,
        agent_role TEXT,
        model_id TEXT,
        provider_id TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    )
    """,
    "CREATE INDEX threads_by_change ON threads (updated_at, id)",
    "CREATE TABLE deleted_threads (id TEXT PRIMARY KEY) WITHOUT ROWID",
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
        turn_id TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        version TEXT NOT NULL,
        owner TEXT,
        header TEXT NOT NULL
    )
    """,
    "CREATE INDEX runs_by_thread ON runs (thread_id, created_at, id)",
    "CREATE INDEX open_runs ON runs (created_at, id) WHERE status IN ('queued', 'in_progress')",
    """
    CREATE TABLE items (
        key INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('input', 'output')),
        position INTEGER NOT NULL,
        item_id TEXT NOT NULL,
        type TEXT NOT NULL,
        json TEXT NOT NULL,
        UNIQUE (run_id, kind, position)
    )
    """,
)


def _conversations(db: Transaction) -> None:
    for statement in _TABLES:
        db.rows(statement)


def _search(db: Transaction) -> None:
    """Index titles by the keys of their threads, messages by the keys of their items."""
    for table in ("title_index", "message_index"):
        db.rows(f"CREATE VIRTUAL TABLE {table} USING fts5 (text, tokenize = '{TOKENIZER}')")
    titles = db.rows("SELECT key, title FROM threads")
    items = db.rows("SELECT key, json FROM items WHERE type IN ('message', 'cancelled', 'error')")
    with db.readable("an item"):
        texts = [(key, text_of(ITEM.validate_json(data))) for key, data in items]
    db.many(
        "INSERT INTO title_index (rowid, text) VALUES (?, ?)",
        [(key, indexed(title)) for key, title in titles],
    )
    db.many(
        "INSERT INTO message_index (rowid, text) VALUES (?, ?)",
        [(key, indexed(text)) for key, text in texts if text is not None],
    )


MIGRATIONS: Migrations = (("conversations", _conversations), ("search", _search))
"""Names and functions; migration number n is the n-th of these."""


async def migrate(database: Database, migrations: Migrations = MIGRATIONS) -> None:
    """Bring a database up to date.

    Raises:
        StoreUnavailable: the database cannot be written now.
        StoreCorrupt: a newer version of the program has changed it, or it is damaged.
    """
    # Most starts find nothing to do and must not wait for another process's write lock.
    applied = await database.read(lambda db: version_of(db, migrations))
    while applied < len(migrations):
        applied = await database.write(lambda db: _apply_next(db, migrations))


def _apply_next(db: Transaction, migrations: Migrations) -> int:
    db.rows(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
    )
    applied = version_of(db, migrations)
    if applied == len(migrations):
        return applied
    name, migration = migrations[applied]
    migration(db)
    db.rows(
        "INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)",
        (applied + 1, name, now_ms()),
    )
    return applied + 1


def version_of(db: Transaction, migrations: Migrations) -> int:
    """Return how many migrations the database has seen.

    Raises:
        StoreCorrupt: more than there are: a newer version of the program has changed it.
    """
    if not db.rows("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'"):
        return 0
    [(applied,)] = db.rows("SELECT count(*) FROM migrations")
    if applied > len(migrations):
        msg = (
            f"the database {str(db.path)!r} was written by a newer version of cody (its"
            f" schema is {applied}, this version knows {len(migrations)}): upgrade cody, or set"
            " CODY_HOME to another directory"
        )
        raise StoreCorrupt(msg)
    return int(applied)
