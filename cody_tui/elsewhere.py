"""Runs that go on in threads nobody looks at: what they ask, and how they end.

No widget in here. Each run is watched by a worker of the screen, from its beginning on, until it
ends or its thread is on the screen again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cody_core.errors import CodyError

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.events import Entry
    from cody_core.schema.response import Status


@dataclass(slots=True, eq=False)
class Unseen:
    """A run that goes on unseen."""

    run_id: str
    thread_id: str
    title: str
    began: float
    """When, on the monotonic clock."""
    asks: set[str] = field(default_factory=set)
    """The questions that nobody has answered."""


class Listener(Protocol):
    """Who is told of what happens elsewhere."""

    def asked_elsewhere(self, run: Unseen) -> None:
        """A run has a question."""

    def elsewhere_changed(self) -> None:
        """Another thread waits for an answer, or one less."""

    def ended_elsewhere(self, run: Unseen, status: Status) -> None:
        """A run has come to its end."""


class Elsewhere:
    """What goes on in other threads."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self._runs: dict[str, Unseen] = {}

    @property
    def runs(self) -> Sequence[Unseen]:
        """The runs, in the order in which they were left."""
        return tuple(self._runs.values())

    @property
    def waiting(self) -> Mapping[str, str]:
        """The titles of the threads that wait for an answer, by their ids, the oldest first."""
        return {run.thread_id: run.title for run in self._runs.values() if run.asks}

    def forget(self, thread_id: str | None) -> None:
        """Watch a thread no more: it is on the screen, or gone."""
        for run in self.runs:
            if run.thread_id == thread_id:
                del self._runs[run.run_id]
        if self.listener is not None:
            self.listener.elsewhere_changed()

    def leave(self, run: Unseen) -> None:
        """Begin with a run; ``watch`` follows it."""
        self._runs[run.run_id] = run

    async def watch(self, client: Client, run: Unseen) -> None:
        """Follow a run until it ends or is forgotten; one that cannot be followed ends unseen."""
        try:
            async with aclosing(client.follow(run.run_id)) as batches:
                async for batch in batches:
                    if run not in self.runs:
                        return
                    self._take(run, batch)
        except CodyError:
            return
        finally:
            if run in self.runs:
                self.forget(run.thread_id)

    def _take(self, run: Unseen, batch: Sequence[Entry]) -> None:
        """See what has come, and tell what of it still matters at its end."""
        from cody_core.schema.events import (
            ApprovalRequested,
            ApprovalResolved,
            ResponseDone,
            ResponseError,
        )

        if (listener := self.listener) is None:
            return
        before = set(run.asks)
        for entry in batch:
            match entry.payload:
                case ApprovalRequested(approval_id=key):
                    run.asks.add(key)
                case ApprovalResolved(approval_id=key):
                    run.asks.discard(key)
                case ResponseDone(status=status):
                    listener.ended_elsewhere(run, status)
                case ResponseError():
                    listener.ended_elsewhere(run, "error")
                case _:
                    pass
        if run.asks - before:
            listener.asked_elsewhere(run)
        elif run.asks != before:
            listener.elsewhere_changed()
