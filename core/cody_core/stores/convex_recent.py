"""The threads used last, kept in memory: what is known of them while the deployment is away.

Somebody who is in the middle of a conversation can go on with it. What others do to it meanwhile is
seen when the deployment is back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from cody_core.schema.response import Response
from cody_core.schema.threads import Thread

KEPT: Final = 8


class Recent:
    """Threads with all their runs, as they were last read or written here."""

    def __init__(self) -> None:
        self._threads: dict[str, Thread] = {}
        self._runs: dict[str, dict[str, Response]] = {}
        self._first: list[tuple[str, dict[str, Response]]] = []
        """What is saved of threads while they are created: that it is may be known sooner."""

    def thread(self, thread_id: str) -> Thread | None:
        """Return a thread, if it is kept."""
        return self._threads.get(thread_id)

    def runs(self, thread_id: str) -> Sequence[Response] | None:
        """Return the runs of a thread in the order they were created, if all are kept."""
        runs = self._runs.get(thread_id)
        if runs is None:
            return None
        return sorted(runs.values(), key=lambda run: (run.created_at, run.id))

    @contextmanager
    def creating(self, thread: Thread) -> Iterator[Callable[[], None]]:
        """Create a thread; what is yielded is called when it is there, and was not before."""
        runs: dict[str, Response] = {}
        first = (thread.id, runs)
        self._first.append(first)

        def is_new() -> None:
            self.keep_thread(thread)
            self.keep_runs(thread.id, list(runs.values()))

        try:
            yield is_new
        finally:
            self._first = [other for other in self._first if other is not first]

    def keep_thread(self, thread: Thread) -> None:
        """Keep a thread as it is, in place of the one not used for longest."""
        self._threads.pop(thread.id, None)
        self._threads[thread.id] = thread
        if len(self._threads) > KEPT:
            self.forget(next(iter(self._threads)))

    def keep_runs(self, thread_id: str, runs: Sequence[Response]) -> None:
        """Keep these as all the runs of a thread that is kept."""
        if thread_id in self._threads:
            self._runs[thread_id] = {run.id: run for run in runs}

    def keep_run(self, run: Response, *, newer: bool = True) -> None:
        """Keep a state of a run, if the runs of its thread are kept; if not newer, at least one."""
        kept = [runs for thread_id, runs in self._first if thread_id == run.thread_id]
        for runs in (*kept, self._runs.get(run.thread_id)):
            if runs is not None and (newer or run.id not in runs):
                runs[run.id] = run

    def forget(self, thread_id: str) -> None:
        """Keep nothing of a thread."""
        self._threads.pop(thread_id, None)
        self._runs.pop(thread_id, None)
