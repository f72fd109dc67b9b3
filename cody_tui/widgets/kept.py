"""A field that forgets nothing: what is written is a draft on disk, what was sent is in reach.

Each thread has a draft. It is saved a moment after a change, when another thread comes, and at the
end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from textual import work
from textual.reactive import reactive
from textual.timer import Timer

from cody_tui.drafts import Drafts
from cody_tui.prompts import Prompts
from cody_tui.widgets.field import Field
from cody_tui.widgets.history import History

logger = logging.getLogger(__name__)

DRAFT_SECONDS: Final = 0.5
"""How long after a change it is saved."""


class KeptField(Field):
    """A field with a history and drafts."""

    is_editing: reactive[bool] = reactive(False)
    """Whether something is written that the draft waits for: a prompt that was sent, once more."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder)
        self._history = History()
        self._waiting_draft = self._unedited = ""
        self._ever: Prompts | None = None
        self._drafts = Drafts()
        self._draft_of: str | None = None
        self._is_settled = True
        self._saving: Timer | None = None

    # What was sent

    def remember(self, prompts: list[str]) -> None:
        """Replace the history, oldest first."""
        self._history.replace(prompts)

    def keep(self) -> None:
        """Keep what is written within reach of Up: something else is to be written."""
        self._history.add(self._history.leave())
        self._history.add(self.text)

    def _done_with(self, text: str) -> None:
        """Remember a text, and go on with the draft from before it was recalled or edited."""
        draft = _joined(self._end_edit(), self._history.leave())
        self._history.add(text)
        self.write(draft)
        self._keep_draft()

    async def _ever_sent(self) -> Sequence[str]:
        """Return all that was ever sent, newest first."""
        ever = await asyncio.to_thread(self._ever.load) if self._ever is not None else []
        return list(dict.fromkeys([*self._history.newest_first, *ever]))

    @work(group="prompts")
    async def _add_to_ever(self, text: str) -> None:
        if self._ever is None:
            return
        try:
            await asyncio.to_thread(self._ever.append, text)
        except OSError as error:
            self.say(f"The prompt cannot be kept for later: {error}")

    # A prompt that is edited once more

    def _begin_edit(self, text: str) -> None:
        """Write a text in place of the draft, which waits until that is sent or left."""
        if self.is_editing:
            self.keep()
        else:
            self._waiting_draft = self._unsent
            self._history.leave()
        self.is_editing = True
        self.write(text)
        self._unedited = self.text

    def _leave_edit(self) -> bool:
        """Go on with the draft, and keep what was edited within reach of Up; or do nothing."""
        if self.is_editing:
            self._done_with("" if self.text == self._unedited else self.text)
            return True
        return False

    def _end_edit(self) -> str:
        """Return the draft that waits, if any; what stands in the field is one now."""
        draft, self._waiting_draft = self._waiting_draft, ""
        self.is_editing = False
        return draft

    # Drafts

    def settle(self, home: Path | None, thread_id: str | None) -> None:
        """Keep drafts and what is sent below that directory from now on."""
        if home is not None:
            self._drafts = Drafts(home / "drafts")
            self._ever = Prompts(home / "prompts.jsonl")
        self._draft_of = thread_id
        self._open_draft()

    def turn_to(self, thread_id: str | None, unsent: Sequence[str] = ()) -> None:
        """Put away the draft of one thread, with what was not sent, and take out another's."""
        self._put_draft(unsent)
        self._save_drafts()
        self._draft_of = thread_id
        self._end_edit()
        self._history.leave()
        self.write("")
        self._open_draft()

    def put_away(self, unsent: Sequence[str]) -> None:
        """Let what was not sent be a part of the draft: the program ends, or has just ended."""
        if self.is_attached:
            self._put_above(_joined(*unsent))
        else:
            self._save_last(unsent)

    def belongs_to(self, thread_id: str | None) -> None:
        """Tell the thread that is on the screen: a thread to come gets its id when it is sent."""
        if thread_id == self._draft_of:
            return
        before, self._draft_of = self._draft_of, thread_id
        if before is None and self._is_settled:
            self._drafts.put(None, "")
            self._keep_draft()
        else:
            self._open_draft()

    @property
    def _unsent(self) -> str:
        """What has been written and not sent."""
        drafts = self._history.drafts(self.text)
        if self.is_editing:
            drafts = (self._waiting_draft, *(text for text in drafts if text != self._unedited))
        return _joined(*drafts)

    def _put_above(self, text: str) -> None:
        if self.is_editing:
            self._waiting_draft = _joined(text, self._waiting_draft)
            return
        unsent = self._unsent
        self._history.leave()
        self.write(_joined(text, unsent))

    def _open_draft(self) -> None:
        self._is_settled = False
        self._read_draft()

    @work(group="draft", exclusive=True)
    async def _read_draft(self) -> None:
        draft = await asyncio.to_thread(self._drafts.get, self._draft_of)
        self._is_settled = True
        if draft:
            self._put_above(draft)

    def _put_draft(self, unsent: Sequence[str] = ()) -> None:
        earlier = "" if self._is_settled else self._drafts.get(self._draft_of)
        self._drafts.put(self._draft_of, _joined(earlier, *unsent, self._unsent))

    def _keep_draft(self) -> None:
        self._saving = None
        if self._is_settled:
            self._put_draft()
            self._save_drafts()

    @work(group="drafts")
    async def _save_drafts(self) -> None:
        try:
            await asyncio.to_thread(self._drafts.flush)
        except OSError as error:
            self.say(f"What you write cannot be saved: {error.strerror}")

    def on_unmount(self) -> None:
        """Save what was written last."""
        self._save_last()

    def _save_last(self, unsent: Sequence[str] = ()) -> None:
        self._put_draft(unsent)
        try:
            self._drafts.flush()
        except OSError as error:
            logger.warning("a draft cannot be saved: %s", error)

    def on_text_area_changed(self) -> None:
        """Save in a moment."""
        if self._saving is None:
            self._saving = self.set_timer(DRAFT_SECONDS, self._keep_draft)


def _joined(*parts: str) -> str:
    """Return texts one below the other."""
    return "\n\n".join(part for part in parts if part.strip())
