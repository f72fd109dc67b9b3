"""Seeking: a text in the thread on the screen, from place to place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage

if TYPE_CHECKING:
    from cody_core.schema.response import Response

    from cody_tui.widgets.seek import Seek, Step


_MARKUP: Final = re.compile(r"[*_`~]+")


class Hit(NamedTuple):
    """An item in which a text stands, and how often."""

    item_id: str
    times: int


def hits(runs: Sequence[Response], text: str) -> Sequence[Hit]:
    """Return where a text stands, oldest first; neither case nor marks of emphasis count."""
    from cody_core.schema.items import text_of

    from cody_tui.widgets.marking import pattern

    if (sought := pattern(text)) is None:
        return ()
    found: list[Hit] = []
    asked: set[str] = set()
    for run in runs:
        prompts = () if run.turn_id in asked else run.input_items
        asked.add(run.turn_id)
        for item in (*prompts, *run.output_items):
            source = text_of(item)
            counts = (len(sought.findall(each)) for each in (source, _MARKUP.sub("", source)))
            if count := max(counts):
                found.append(Hit(item.id, count))
    return found


class Seeking:
    """Finds a text in what is shown, marks it and goes from place to place."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action(
            "thread.search", "Find a text in this thread", "Conversation",
            key="ctrl+f", slash="search", argument="TEXT", priority=True,
        ),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.after_opening(self._end)
        self._bar: Seek | None = None
        self._hits: Sequence[Hit] = ()
        self._hit = 0
        self._place = 0
        """Which place of the hit is shown."""
        self._places = 0
        """How many there are to be seen."""

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

    def _end(self) -> None:
        """Search no more: what was found is not on the screen."""
        if self._bar is None:
            return
        if self._bar.has_focus_within:
            self._stage.prompt.focus()
        self._bar.end()
        self._stage.transcript.mark("")
        self._hits = ()

    def _step(self, step: Step, text: str) -> None:
        transcript = self._stage.transcript
        if step == "leave":
            transcript.mark("")
            self._stage.prompt.focus()
            return
        transcript.mark(text)
        before = [hit.item_id for hit in self._hits]
        self._hits = hits(self._stage.runs, text)
        ids = [hit.item_id for hit in self._hits]
        if step == "first" or ids[: len(before)] != before:  # or the thread has only gone on
            self._hit, self._place = transcript.nearest(ids), 0
        elif self._hits:
            self._move(1 if step == "next" else -1)
        self._show()

    def _move(self, step: int) -> None:
        """Go to the next place, or to the one before: of this item, or of another one."""
        self._place += step
        if not 0 <= self._place < self._places:
            self._hit = (self._hit + step) % len(self._hits)
            self._place = 0 if step > 0 else -1

    def _show(self) -> None:
        at: int | None = None
        if self._hits:
            hit = self._hits[self._hit]
            self._places = self._stage.transcript.show_found(hit.item_id, self._place)
            if self._place < 0:
                self._place = max(0, self._places - 1)
            before = sum(other.times for other in self._hits[: self._hit])
            at = before + min(self._place, hit.times - 1)
        if self._bar is not None:
            self._bar.show_place(at, sum(hit.times for hit in self._hits))
