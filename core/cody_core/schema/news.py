"""Word of runs: that one began, or how it ended. It is kept beside the runs, in the same log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cody_core.schema.events import Payload, ResponseDone, ResponseError

RunEnd: TypeAlias = Literal["complete", "error", "aborted"]
"""How a run can end."""


@dataclass(frozen=True, slots=True)
class RunNews:
    """Word of one run.

    Attributes:
        offset: Where it stands among all word of the log; of the same form as those of events.
        run_id: The run.
        thread_id: Its thread.
        status: How it ended, or ``None`` if it began.
    """

    offset: str
    run_id: str
    thread_id: str
    status: RunEnd | None = None


def run_end(payload: Payload) -> RunEnd | None:
    """Return how a payload ends its run, or ``None`` if it does not."""
    match payload:
        case ResponseDone(status=status):
            return status
        case ResponseError():
            return "error"
        case _:
            return None
