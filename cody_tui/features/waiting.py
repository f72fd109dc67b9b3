"""Waiting: other threads that need an answer, or have got theirs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage
from cody_tui.keys import key_for
from cody_tui.messages import Called
from cody_tui.notify import ENDINGS
from cody_tui.text import one_line

if TYPE_CHECKING:
    from cody_core.schema.response import Status

    from cody_tui.elsewhere import Unseen

TITLE_LENGTH: Final = 40


class Waiting:
    """Tells of other threads, and goes to the one that waits."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action(
            "thread.waiting", "Go to the thread that waits for you", "Threads",
            key="ctrl+g", slash="waiting", priority=True,
        ),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.elsewhere.listener = self

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {"thread.waiting": lambda _: self._go()}

    def _go(self) -> None:
        waiting = self._stage.elsewhere.waiting
        if waiting:
            self._stage.open_thread(next(iter(waiting)))
            self._stage.prompt.focus()
        else:
            self._stage.say("No other thread waits for you")

    # What is heard from elsewhere

    def asked_elsewhere(self, run: Unseen) -> None:
        """Call the user, and say how to get there."""
        self.elsewhere_changed()
        title, action = _title(run), self.ACTIONS[0]
        key = key_for(self._stage.app, action.id, action.key)
        self._stage.say(f"{title} waits for you: {key} goes there", "warning")
        self._stage.transcript.post_message(Called(f"It waits for you: {title}"))

    def elsewhere_changed(self) -> None:
        """Say on the status line who waits."""
        titles = list(self._stage.elsewhere.waiting.values())
        first = one_line(titles[0], TITLE_LENGTH) if titles else ""
        self._stage.status.elsewhere = f"{len(titles)} threads" if len(titles) > 1 else first

    def ended_elsewhere(self, run: Unseen, status: Status) -> None:
        """Say that an answer has come to its end."""
        if ending := ENDINGS.get(status):
            self._stage.say(f"The answer in {_title(run)} {ending}")
            seconds = time.monotonic() - run.began
            self._stage.transcript.post_message(
                Called(f"The answer {ending}: {_title(run)}", seconds)
            )


def _title(run: Unseen) -> str:
    return one_line(run.title, TITLE_LENGTH) or "Another thread"
