"""One SQLite file and one connection to it: transactions, durability, cancellation and errors.

Durability: WAL with ``synchronous = FULL``. With ``NORMAL`` a commit reaches the disk only at the
next checkpoint, and the event log forgets a run once its end is saved: a power cut in between would
lose an answer for good. The price is one fsync for each save, and saves are a few per second.

Cancellation: aiosqlite runs statements in a thread, in the order they were queued. A transaction
that is cancelled anywhere queues its rollback before it lets go of the lock, so the next ``BEGIN``
always comes after it, even when the rollback is not waited for. Cancelled while it commits, it has
been carried out. Statements therefore run only inside ``transaction`` and ``snapshot``.

Errors: decided by SQLite's result codes. What waiting or the user can mend is ``StoreUnavailable``;
a file that is no database, or not in a state this program leaves one in, is ``StoreCorrupt``.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import aiosqlite

from cody_core.errors import StoreCorrupt, StoreError, StoreUnavailable

_IN_USE = "another process is writing to it; try again"
_PERMISSIONS = "check the permissions of the file and its directory"
_REASONS: Mapping[int, str] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: _IN_USE,
        sqlite3.SQLITE_LOCKED: _IN_USE,
        sqlite3.SQLITE_PROTOCOL: _IN_USE,
        sqlite3.SQLITE_FULL: "the disk is full; make room and try again",
        sqlite3.SQLITE_READONLY: f"it cannot be written; {_PERMISSIONS}",
        sqlite3.SQLITE_PERM: f"it cannot be used; {_PERMISSIONS}",
        sqlite3.SQLITE_CANTOPEN: f"it cannot be opened; {_PERMISSIONS}",
        sqlite3.SQLITE_IOERR: "reading or writing failed; check the disk",
        sqlite3.SQLITE_NOMEM: "there is no memory left; try again",
        sqlite3.SQLITE_INTERRUPT: "the statement was interrupted; try again",
    }
)


class Database:
    """A connection that is used by one transaction at a time. Get one with ``open``."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._lock = asyncio.Lock()
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, busy_timeout: float) -> AsyncIterator[Self]:
        """Open the file at ``path``; one that has to be made is readable by its owner only.

        Raises:
            StoreUnavailable: the file cannot be made, opened or written now.
            StoreCorrupt: the file is no database.
        """
        await asyncio.to_thread(_make_private, path)
        with _translated(path):
            connection = await aiosqlite.connect(path, timeout=busy_timeout, isolation_level=None)
        database = cls(connection, path)
        try:
            with _translated(path):
                await database.rows("PRAGMA journal_mode = WAL")
                await database.rows("PRAGMA synchronous = FULL")
                await database.rows("PRAGMA foreign_keys = ON")
            yield database
        finally:
            await database.aclose()

    async def aclose(self) -> None:
        """Close the file once the transactions that wait for it are through."""
        async with self._lock:
            if not self._closed:
                self._closed = True
                with _translated(self.path):
                    await self._connection.close()

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Hold the write lock; leaving the block commits, an exception rolls back.

        Raises:
            StoreUnavailable: another process holds the lock, or writing failed; nothing is written.
            StoreCorrupt: the file is damaged.
        """
        return self._begin("BEGIN IMMEDIATE")

    def snapshot(self) -> AbstractAsyncContextManager[None]:
        """See one state of the database in all statements of the block; raises the same."""
        return self._begin("BEGIN")

    @asynccontextmanager
    async def _begin(self, begin: str) -> AsyncIterator[None]:
        async with self._lock:
            if self._closed:
                msg = f"the database {str(self.path)!r} is closed"
                raise StoreUnavailable(msg)
            with _translated(self.path):
                try:
                    await self.rows(begin)
                    yield
                    await self._connection.commit()
                except BaseException:
                    await self._connection.rollback()
                    raise

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a statement to its end and return its rows."""
        return list(await self._connection.execute_fetchall(sql, values))

    async def many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement that returns nothing once for each of ``values``."""
        await self._connection.executemany(sql, values)

    @contextmanager
    def readable(self, what: str) -> Iterator[None]:
        """Raise ``StoreCorrupt`` for a stored value that is not what it should be."""
        try:
            yield
        except ValueError as error:
            msg = f"{what} in the database {str(self.path)!r} cannot be read by this version"
            raise StoreCorrupt(msg) from error


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only ever a new file: closing one that is in use would drop the locks SQLite has on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        msg = f"the database {str(path)!r} cannot be made ({error.strerror}): check CODY_HOME"
        raise StoreUnavailable(msg) from error


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as ours; a misuse of its interface is a bug and stays what it is."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.DatabaseError as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.DatabaseError, path: Path) -> StoreError:
    # Text that is not UTF-8 is found by Python, not by SQLite, and has no result code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if reason := _REASONS.get(code & 0xFF):  # the low byte; the others only refine it
        return StoreUnavailable(f"the database {str(path)!r} cannot be used: {reason}")
    name = getattr(error, "sqlite_errorname", "text that is not UTF-8")
    return StoreCorrupt(
        f"the database {str(path)!r} cannot be read ({name}): restore a backup, or move it away to"
        " start a new one"
    )
