"""The event log: one append-only sequence of events per run, pulled by offset."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Literal, Protocol, TypeAlias

from cody_core.schema.events import START, Entry, Event
from cody_core.schema.news import RunNews

Beginning: TypeAlias = Literal["first", "begun", "ended", "gone"]
"""How somebody finds a run who begins to work on it: untouched, in the hands of somebody else who
may be dead, at its end, or forgotten."""


class EventLog(Protocol):
    """Appends and reads by run. Offsets look like Redis stream ids: ``milliseconds-sequence``.

    The log keeps the rule that a run has exactly one terminal event: whatever comes after it is
    refused.
    """

    @property
    def trouble(self) -> str | None:
        """Why what is asked of the log is waited for; ``None`` where it answers."""
        ...

    async def append(
        self, run_id: str, events: Sequence[Event], *, once: str | None = None
    ) -> Sequence[str]:
        """Append all events or none, and return their offsets. Cancelling it leaves either.

        Of several appends to a run with the same ``once``, whoever makes them, the first counts.

        Raises:
            AppendedBefore: something was appended with that ``once`` already.
            RunClosed: the run has its terminal event already, or is not there and does not begin
                with these: it has been forgotten.
            EventLogUnavailable: the log could not be reached for as long as its settings say.
        """
        ...

    def append_now(self, run_id: str, events: Sequence[Event]) -> Sequence[str] | None:
        """Append all events or none as ``append`` does, or return ``None`` if that takes waiting.

        Raises:
            RunClosed: see ``append``.
        """
        ...

    def read(
        self, run_id: str, *, after: str = START, follow: bool = True
    ) -> AsyncGenerator[Sequence[Entry]]:
        """Yield non-empty batches of what comes after an offset.

        With ``follow`` it waits for more and ends after the terminal event, without it ends at what
        there is. A run that does not exist yet is waited for, or empty. Close the iterator when
        leaving early.

        Raises:
            EventLogUnavailable: the log could not be reached for as long as its settings say.
            ValueError: ``after`` is not an offset.
        """
        ...

    async def begin(self, run_id: str, attempt: str) -> Beginning:
        """Say that we begin to work on a run, and tell whether anybody did so before.

        Args:
            run_id: The run.
            attempt: What nobody else says, and we say once for each time we have the run to work
                on. Saying the same again is being told the same: the answer may have been lost.

        Raises:
            EventLogUnavailable: the log could not be reached for as long as its settings say.
        """
        ...

    async def exists(self, run_id: str) -> bool:
        """Tell whether the run has any event in the log."""
        ...

    async def expire(self, run_id: str, *, seconds: float) -> None:
        """Let the log forget the run after that time. For runs that are terminal and stored."""
        ...

    def news(self, *, after: str, follow: bool = True) -> AsyncGenerator[Sequence[RunNews]]:
        """Yield non-empty batches of word of runs, of all there are, that came after an offset.

        That a run began, or ended, is said in the same moment as the event that says so is
        appended, whoever does that. Word is kept for a while: what is older than that is passed
        over. With ``follow`` it waits for more. Close the iterator when leaving early.

        Raises:
            EventLogUnavailable: the log could not be reached for as long as its settings say.
            ValueError: ``after`` is not an offset.
        """
        ...

    async def newest(self) -> str:
        """Return the offset of the newest word of a run; ``START`` if there never was any."""
        ...

    async def aclose(self) -> None:
        """Release connections and wake the readers, whose iterators end."""
        ...
