"""Run queues: submitted runs on their way to who works on them.

Work is announced, not discovered: each submitted run is put once, and taken by one worker, which
keeps its claim alive while it works. What a worker that died had taken is taken again by another.
A queue is built on an event log: a run that is in the queue has begun in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cody_core.schema.events import Event
from cody_core.schema.requests import RunRequest

BEGINNING = "start"
"""What makes the first event of a run count once."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours to work on.

    Attributes:
        run: What is to be done.
        key: What the queue knows it by.
        is_understood: Whether all of the run is: it may come from a newer version. What is not is
            left out, and the run is only to be ended.
    """

    run: RunRequest
    key: str
    is_understood: bool = True


class RunQueue(Protocol):
    """Runs in the order they were submitted."""

    async def put(self, run: RunRequest, start: Event) -> None:
        """Announce a run, whose first event goes into the log.

        Raises:
            TooManyRuns: there are as many that are not done as there may be.
            AppendedBefore: the run has begun already.
            EventLogUnavailable: log or queue cannot be reached.
        """
        ...

    async def take(self) -> Claim:
        """Wait for a run and claim it. The claim is kept until it is ``done``, or we are gone.

        Cancelling it loses nothing: what was being handed over is taken again later.

        Raises:
            EventLogUnavailable: the queue's server cannot be reached.
        """
        ...

    async def waiting(self) -> Sequence[RunRequest]:
        """Return the runs nobody has begun; where workers share the queue, the others too.

        Raises:
            EventLogUnavailable: the queue's server cannot be reached.
        """
        ...

    async def leave(self) -> Sequence[Claim]:
        """Take no more, and return what nobody else will take."""
        ...

    async def done(self, claim: Claim) -> None:
        """Say that nothing is left to do for a run; nobody will take it again.

        Raises:
            EventLogUnavailable: the queue's server cannot be reached.
        """
        ...
