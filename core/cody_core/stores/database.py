"""One SQLite file: transactions, durability, cancellation and errors.

A transaction is a function that is given to a thread: one to write and one to read, each with a
connection of its own, so that reading never waits for the disk. What waits to be written when the
thread is free shares one transaction, and so one wait for the disk.

Durability: WAL with ``synchronous = FULL``. With ``NORMAL`` a commit reaches the disk only at the
next checkpoint, and the event log forgets a run once its end is saved: a power cut in between would
lose an answer for good. The price is one fsync for each save, and saves are a few per second.

Cancellation: a transaction that is cancelled before its turn has come never begins; one that has
begun is carried out.

Errors: decided by SQLite's result codes. What waiting or the user can mend is ``StoreUnavailable``;
a file that is no database, or not in a state this program leaves one in, is ``StoreCorrupt``.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar

from cody_core.errors import StoreCorrupt, StoreError, StoreUnavailable

T = TypeVar("T")

MOST_AT_ONCE = 100
"""Transactions that are carried out as one, at most."""
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


class Transaction:
    """What a function has of the database while its transaction lasts."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a statement to its end and return its rows."""
        return self.connection.execute(sql, values).fetchall()

    def many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement that returns nothing once for each of ``values``."""
        self.connection.executemany(sql, values)

    @contextmanager
    def readable(self, what: str) -> Iterator[None]:
        """Raise ``StoreCorrupt`` for a stored value that is not what it should be."""
        try:
            yield
        except ValueError as error:
            msg = f"{what} in the database {str(self.path)!r} cannot be read by this version"
            raise StoreCorrupt(msg) from error


Work = Callable[[Transaction], T]
"""What is done in a transaction. It may be done again from the start, where it was rolled back."""


class Database:
    """Get one with ``open``."""

    def __init__(self, writer: _Line, reader: _Line) -> None:
        self._writer = writer
        self._reader = reader

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, busy_timeout: float) -> AsyncIterator[Self]:
        """Open the file at ``path``; one that has to be made is readable by its owner only.

        ``busy_timeout`` is how many seconds another process that writes is waited for.

        Raises:
            StoreUnavailable: the file cannot be made, opened or written now.
            StoreCorrupt: the file is no database.
        """
        await asyncio.to_thread(_make_private, path)
        async with (
            _Line.open(path, busy_timeout, "BEGIN IMMEDIATE") as writer,
            _Line.open(path, busy_timeout, "BEGIN") as reader,
        ):
            yield cls(writer, reader)

    async def aclose(self) -> None:
        """Close the file once the transactions that wait for it are through."""
        await self._writer.aclose()
        await self._reader.aclose()

    async def write(self, work: Work[T]) -> T:
        """Do something that changes the database: all of it, or nothing if it raises.

        Raises:
            StoreUnavailable: another process holds the lock, or writing failed; nothing is written.
            StoreCorrupt: the file is damaged.
        """
        return await self._writer.do(work)

    async def read(self, work: Work[T]) -> T:
        """Look at one state of the database, in which all is what was written before this call.

        Raises:
            StoreUnavailable: reading failed.
            StoreCorrupt: the file is damaged.
        """
        return await self._reader.do(work)


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    """A transaction that waits for its turn, and where to say what came of it."""

    work: Work[T]
    answer: asyncio.Future[T]


class _Line:
    """A connection in a thread of its own, and what waits for it."""

    def __init__(self, path: Path, busy_timeout: float, begin: str) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._begin = begin
        self._closed = False
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="cody database connection")

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, busy_timeout: float, begin: str) -> AsyncIterator[Self]:
        """Open a connection; ``begin`` is how its transactions do."""
        line = cls(path, busy_timeout, begin)
        line._thread.start()
        try:
            await line._opened
            yield line
        finally:
            await line.aclose()

    async def do(self, work: Work[T]) -> T:
        """Let it be done, and return what comes of it."""
        if self._closed:
            msg = f"the database {str(self._path)!r} is closed"
            raise StoreUnavailable(msg)
        answer: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, answer))
        return await answer

    async def aclose(self) -> None:
        """Do what waits, close the connection and end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # In the thread.

    def _run(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - raised to whoever opens it
            self._tell([(self._opened, None, error)])
            return
        self._tell([(self._opened, None, None)])
        transaction = Transaction(connection, self._path)
        try:
            while (job := self._jobs.get()) is not None:
                self._tell(self._carry_out([job, *self._more()], transaction))
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        with translated(self._path):
            connection = sqlite3.connect(
                self._path, timeout=self._busy_timeout, isolation_level=None
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                connection.close()
                raise
        return connection

    def _more(self) -> Iterator[_Job[Any]]:
        """Yield what waits, too."""
        with suppress(Empty):
            for _ in range(MOST_AT_ONCE - 1):
                if (job := self._jobs.get_nowait()) is None:
                    self._jobs.put(None)
                    return
                yield job

    def _carry_out(self, jobs: Sequence[_Job[Any]], transaction: Transaction) -> list[_Answer]:
        """Do them all in one transaction, or each in its own if one of them cannot be done."""
        wanted = [job for job in jobs if not job.answer.cancelled()]
        try:
            with translated(self._path):
                transaction.rows(self._begin)
        except Exception as error:  # noqa: BLE001 - raised to whoever wants something done
            return [(job.answer, None, error) for job in wanted]
        if len(wanted) == 1:
            return [self._finish(wanted[0], transaction)]
        with suppress(Exception), self._committed(transaction):
            return [(job.answer, job.work(transaction), None) for job in wanted]
        return [answer for job in wanted for answer in self._carry_out([job], transaction)]

    def _finish(self, job: _Job[Any], transaction: Transaction) -> _Answer:
        try:
            with self._committed(transaction):
                return job.answer, job.work(transaction), None
        except Exception as error:  # noqa: BLE001 - raised to whoever wants it done
            return job.answer, None, error

    @contextmanager
    def _committed(self, transaction: Transaction) -> Iterator[None]:
        """End the transaction that has begun."""
        with translated(self._path):
            try:
                yield
                transaction.connection.commit()
            except BaseException:
                transaction.connection.rollback()
                raise

    def _tell(self, answers: list[_Answer]) -> None:
        with suppress(RuntimeError):  # nobody waits: the loop has been closed
            self._loop.call_soon_threadsafe(_answer, answers)


_Answer = tuple[asyncio.Future[Any], Any, Exception | None]


def _answer(answers: list[_Answer]) -> None:
    for future, value, error in answers:
        if future.done():  # cancelled meanwhile
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


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
def translated(path: Path) -> Iterator[None]:
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
