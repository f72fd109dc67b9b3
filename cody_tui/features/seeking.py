"""Seeking: a text in the thread on the screen, from hit to hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage

if TYPE_CHECKING:
    from cody_core.schema.response import Response

    from cody_tui.widgets.seek import Seek, Step


def hits(runs: Sequence[Response], text: str) -> Sequence[str]:
    """Return the ids of the items that a text occurs in, oldest first; case does not count."""
    from cody_core.schema.items import text_of

    sought = text.casefold()
    if not sought.strip():
        return ()
    items = (item for run in runs for item in (*run.input_items, *run.output_items))
    return [item.id for item in items if sought in text_of(item).casefold()]


class Seeking:
    """Finds a text in what is shown and scrolls to it."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action(
            "thread.search", "Find a text in this thread", "Conversation",
            key="ctrl+f", slash="search", argument="TEXT", priority=True,
        ),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._bar: Seek | None = None
        self._hits: Sequence[str] = ()
        self._at = 0

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {"thread.search": self._begin}

    async def _begin(self, text: str) -> None:
        if self._bar is None:
            from cody_tui.widgets.seek import Seek

            self._bar = Seek(self._step)
            await self._stage.mount(self._bar)
        self._bar.begin(text)

    def _step(self, step: Step, text: str) -> None:
        if step == "leave":
            self._stage.prompt.focus()
            return
        found = hits(self._stage.runs, text)
        if step == "first" or found != self._hits:
            self._hits, self._at = found, 0
        elif found:
            self._at = (self._at + (1 if step == "next" else -1)) % len(found)
        if found:
            self._stage.transcript.show_item(found[self._at])
        if self._bar is not None:
            self._bar.show_place(self._at if found else None, len(found))
