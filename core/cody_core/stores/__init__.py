"""Stores: where threads and runs live when the log has forgotten them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadChanges, ThreadPage

FIRST_VERSION: Final = "0-1"
"""The version of a run that never was in a log: whatever comes from one is newer."""


@dataclass(frozen=True, slots=True)
class RunWrite:
    """The state of a run to be saved.

    Attributes:
        response: The whole state.
        version: The offset of the last event in it. Nothing older than what is stored is written.
        changed: Indexes of output items that may differ from what is stored; ``None`` means all of
        them. owner: The process that runs it, so that another can tell whether it is still alive.
    """

    response: Response
    version: str
    changed: frozenset[int] | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A stored run without an end, and the process that was running it.

    Attributes:
        run_id: The run.
        version: The version it is stored in.
        owner: The process that was running it, if it said so.
        seen: Whether the store has had a sign of life of that process lately.
    """

    run_id: str
    version: str
    owner: str | None
    seen: bool = False


class Store(Protocol):
    """Threads and runs.

    Every call may raise ``StoreUnavailable`` (wait and try again) or ``StoreCorrupt``.
    """

    async def create_thread(self, thread: Thread, runs: Sequence[Response] = ()) -> bool:
        """Store a new thread and runs of it, all or nothing; return whether it was new.

        A thread that exists is left as it is. The runs have ended, and are new as well.
        """
        ...

    async def get_thread(self, thread_id: str) -> Thread | None:
        """Return a thread."""
        ...

    async def list_threads(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        tag: str | None = None,
        query: str | None = None,
    ) -> ThreadPage:
        """List threads by last change, newest first, all of the filters applied.

        Each has the state of its newest run. ``query`` is what a person types: words that must all
        occur, the last one perhaps unfinished, in the title or in one message of the thread. No
        character in it is special.
        ``limit`` is at most 500.

        Raises:
            InvalidRequest: ``cursor`` was not made by an earlier call, or ``limit`` is not
            positive.
        """
        ...

    async def update_thread(self, thread_id: str, changes: ThreadChanges, *, now: int) -> bool:
        """Apply changes, set ``updated_at`` to ``now`` (ms); return whether the thread exists."""
        ...

    async def delete_thread(self, thread_id: str) -> bool:
        """Delete a thread and its runs; return whether it existed. Later writes are refused."""
        ...

    async def save_run(self, write: RunWrite) -> bool:
        """Save a run's state, if it is newer than what is stored; return whether it was written.

        The end of a run may have the version of its stored open state: somebody else may end it. A
        terminal state is never replaced by one that is not, and a run of a thread that does not
        exist is not written. The thread's ``updated_at``, model and provider follow its newest run,
        its ``agent_role`` does when that run is saved for the first time: it may be changed later.
        Saving the same state twice changes nothing.
        """
        ...

    async def get_run(self, run_id: str) -> Response | None:
        """Return a run as last saved."""
        ...

    async def list_runs(self, thread_id: str) -> Sequence[Response]:
        """Return the runs of a thread in the order they were created."""
        ...

    async def open_runs(self) -> Sequence[OpenRun]:
        """Return the runs that have no end yet, oldest first."""
        ...

    def presence(self, owner: str) -> AbstractAsyncContextManager[None]:
        """Let whoever shares the store know, while the block lasts, that a process is at work.

        Where that can be told otherwise it does nothing.
        """
        ...

    def changes(self) -> AsyncGenerator[bool]:
        """Yield whenever others may have changed the list of threads.

        ``True`` says that the next change will be told as it happens, ``False`` that it may take a
        while. It ends where nobody can tell. Close the iterator when leaving early.
        """
        ...

    async def aclose(self) -> None:
        """Close the store; what was saved before is durable."""
        ...
