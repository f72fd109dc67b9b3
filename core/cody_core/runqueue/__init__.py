"""Run queues: submitted runs on their way to who works on them.

Work is announced, not discovered: each submitted run is put once, and taken by one worker, which
keeps its claim alive while it works. What a worker that died had taken is taken again by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cody_core.schema.requests import RunRequest


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours to work on.

    Attributes:
        run: What is to be done.
        key: What the queue knows it by.
        again: Whether somebody had taken it before, and died.
    """

    run: RunRequest
    key: str
    again: bool = False


class RunQueue(Protocol):
    """Runs in the order they were submitted."""

    async def put(self, run: RunRequest) -> None:
        """Announce a run.

        Raises:
            EventLogUnavailable: the queue's server cannot be reached.
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
