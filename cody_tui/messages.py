"""What the parts of the program hand each other: snapshots of runs down, messages up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from textual.message import Message

if TYPE_CHECKING:
    from cody_core.schema.events import ApprovalRequested
    from cody_core.schema.requests import Policy, ReasoningEffort
    from cody_core.schema.response import Response


@dataclass(slots=True)
class Choices:
    """What prompts are sent with; what is left out the thread or the settings decide."""

    model: str | None = None
    """As ``name`` or ``provider/name``."""
    agent: str | None = None
    policy: Policy | None = None
    reasoning_effort: ReasoningEffort | None = None


class Span(NamedTuple):
    """When an item was opened and when it ended, in milliseconds since the epoch."""

    start: int
    end: int | None = None


class Snapshot(NamedTuple):
    """A run as far as it has come, and what its response does not say."""

    response: Response
    open_items: frozenset[str] = frozenset()
    spans: Mapping[str, Span] | None = None
    approvals: tuple[ApprovalRequested, ...] = ()
    """What the run asks and nobody has answered, oldest first."""

    def span(self, item_id: str) -> Span | None:
        """Return when an item streamed; not known of one that was read from the store."""
        return self.spans.get(item_id) if self.spans else None


class Called(Message):
    """Something has happened that is not on the screen.

    Attributes:
        text: What.
        seconds: How long it took; ``None`` for what cannot wait.
    """

    def __init__(self, text: str, seconds: float | None = None) -> None:
        self.text = text
        self.seconds = seconds
        super().__init__()


class ConnectionAsked(Message):
    """There is something to send, and the last attempt to connect has failed."""


class ThreadShown(Message):
    """Another thread is on the screen, or it has got its title; ``None`` is a thread to come."""

    def __init__(self, title: str | None) -> None:
        self.title = title
        super().__init__()
