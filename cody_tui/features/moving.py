"""Moving about: new threads, stopping, scrolling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage

GROUP = "Conversation"


class Moving:
    """Begins, stops and scrolls."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("chat.abort", "Stop the answer", GROUP, key="escape", short="Stop"),
        Action(
            "chat.new", "Begin a new thread", GROUP,
            key="ctrl+n", slash="new", short="New", priority=True,
        ),
        Action("chat.page_up", "Scroll up by a screen", GROUP, key="pageup", priority=True),
        Action("chat.page_down", "Scroll down by a screen", GROUP, key="pagedown", priority=True),
        Action("chat.start", "Show the beginning", GROUP, key="ctrl+home", priority=True),
        Action("chat.end", "Show the end and follow", GROUP, key="ctrl+end", priority=True),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        transcript = self._stage.transcript
        return {
            "chat.abort": lambda _: self._leave_or_stop(),
            "chat.new": lambda _: self._begin(),
            "chat.page_up": lambda _: transcript.scroll_pages(-1),
            "chat.page_down": lambda _: transcript.scroll_pages(1),
            "chat.start": lambda _: transcript.show_start(),
            "chat.end": lambda _: transcript.show_end(),
        }

    def _begin(self) -> None:
        """Begin a new thread: what is typed next is for its prompt."""
        self._stage.open_thread(None)
        self._stage.prompt.focus()

    async def _leave_or_stop(self) -> None:
        """Take the item cursor away if there is one; else stop."""
        if not self._stage.transcript.leave_item():
            await self._stage.stop()
