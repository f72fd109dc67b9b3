"""Looking over a database of the SQLite store, without writing to it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cody_core.stores.database import Transaction, translated
from cody_core.stores.migrations import MIGRATIONS, version_of

_STEPS: Final = 100_000
"""Instructions of SQLite's machine between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """How a database is.

    Attributes:
        version: How many migrations it has seen.
        known: How many there are.
        threads: How many threads are in it.
        problems: What SQLite finds to be wrong in it.
        is_whole: Whether all of it was read in the time there was.
    """

    version: int
    known: int
    threads: int
    problems: Sequence[str]
    is_whole: bool


def examine(path: Path, seconds: float) -> DatabaseState:
    """Read a database through, for so many seconds at most.

    Raises:
        StoreUnavailable: it cannot be opened or read now.
        StoreCorrupt: it is no database, or of a newer version.
    """
    with translated(path):
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)) as opened:
            db = Transaction(opened, path)
            version = version_of(db, MIGRATIONS)
            threads = db.rows("SELECT count(*) FROM threads")[0][0] if version else 0
            problems, is_whole = _checked(opened, seconds)
    return DatabaseState(version, len(MIGRATIONS), threads, problems, is_whole)


def _checked(connection: sqlite3.Connection, seconds: float) -> tuple[Sequence[str], bool]:
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return (), False
    finally:
        connection.set_progress_handler(None, _STEPS)
    return ([] if said == ["ok"] else said), True
