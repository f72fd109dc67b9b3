"""The prompt: a field that sends on Enter and remembers what was sent.

Enter sends. Shift+Enter, Ctrl+J or a backslash before Enter begin a new line: not every terminal
can tell Shift+Enter from Enter. Up and Down go through what was sent once the cursor is at the
first or last line. ``@`` completes files, ``/`` at the beginning commands.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, work
from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer

from cody_tui import keys
from cody_tui.actions import Action
from cody_tui.drafts import Drafts
from cody_tui.prompts import Prompts
from cody_tui.widgets.chords import Chords
from cody_tui.widgets.completer import Completer, FindFiles
from cody_tui.widgets.field import Field
from cody_tui.widgets.mentions import mentions

if TYPE_CHECKING:
    from cody_tui.widgets.recall import Recall

logger = logging.getLogger(__name__)

WRITING_SECONDS: Final = 3.0
"""How long after a key somebody may still be writing."""
DRAFT_SECONDS: Final = 0.5
"""How long after a change it is saved."""

_COMMAND: Final = r"/([^\s/]+)(?:\s+(.*))?"


class Prompt(Field):
    """Where prompts are written."""

    class Sent(Message):
        """The user sends a prompt; the field is empty again."""

        def __init__(self, text: str, mentions: Sequence[str] = ()) -> None:
            self.text = text
            self.mentions = mentions
            """The paths it names; not those in what was pasted and folded."""
            super().__init__()

    class Commanded(Message):
        """The user wants one of the actions done; the field is empty again."""

        def __init__(self, action_id: str, argument: str = "") -> None:
            self.action_id = action_id
            self.argument = argument
            super().__init__()

    class Recalled(Message):
        """The user wants the last prompt that waits back."""

    KEYS: ClassVar[tuple[Binding, ...]] = (
        Binding("up", "choose_above", "In a list above the prompt: up", id="completion.up"),
        Binding("down", "choose_below", "In a list above the prompt: down", id="completion.down"),
        Binding("tab", "complete", "Take what is chosen there", id="completion.take"),
        Binding("escape", "dismiss", "Do without the list", id="completion.dismiss"),
        Binding("enter", "send", "Send the prompt", id="prompt.send"),
        Binding(
            "shift+enter,ctrl+j,alt+enter", "break_line", "Begin a new line", id="prompt.newline"
        ),
        Binding("up", "go_back", "On the first line: what was sent before", id="prompt.older"),
        Binding("down", "go_forth", "On the last line: what was sent after", id="prompt.newer"),
        Binding("home", "show_start", "While it is empty: show the beginning", id="prompt.start"),
        Binding("end", "show_end", "While it is empty: show the end", id="prompt.end"),
        Binding("ctrl+u", "clear", "Empty the prompt, to be had back", id="prompt.clear"),
    )
    """The keys that mean something here, each with what it does; the first that can be done counts.

    They are not Textual's, since it may do the next with the same key when there is nothing to do.
    """

    waiting: reactive[int] = reactive(0)
    """How many prompts wait for the answer before them."""

    def __init__(self) -> None:
        super().__init__("Ask anything: @ names a file, / a command")
        self.commands: Sequence[Action] = ()
        self.find_files: FindFiles | None = None
        self._completer = Completer(self)
        self._history: list[str] = []
        self._back = 0
        self._draft = ""
        self._chord = Chords()
        self._typed_at = float("-inf")
        self._recall: Recall | None = None
        self._ever: Prompts | None = None
        self._drafts = Drafts()
        self._draft_of: str | None = None
        self._is_settled = True
        self._saving: Timer | None = None

    # What is written, and was before

    @property
    def is_being_written(self) -> bool:
        """Whether somebody is in the middle of it."""
        typed_lately = time.monotonic() - self._typed_at < WRITING_SECONDS
        return typed_lately and self.has_focus and bool(self.shown_text.strip())

    def remember(self, prompts: list[str]) -> None:
        """Replace the history, oldest first."""
        self._history, self._back = list(prompts), 0

    def restore(self, text: str) -> None:
        """Put a prompt back that could not be sent, above what has been written since."""
        if self.commands and text.startswith("/"):
            text = f"/{text}"
        self.write("\n\n".join(part for part in (text, self.text) if part.strip()))

    def take_back(self, text: str) -> None:
        """Put a prompt back that was to be sent: it is not of the past any more."""
        if self._history[-1:] == [text]:
            self._history.pop()
        self.restore(text)

    def complete(self, commands: Sequence[Action]) -> None:
        """Complete these commands from now on, and files."""
        self.commands = commands
        self._completer.close()
        self._completer.update()

    def write(self, text: str) -> None:
        """Replace the text and put the cursor at its end."""
        super().write(text)
        self._completer.dismiss()

    def search_history(self) -> None:
        """Search everything that was ever sent."""
        if self._recall is None:
            from cody_tui.widgets.recall import Recall

            self._completer.close()
            self._recall = Recall(self._recalled)
            self.screen.mount(self._recall, before=self)
            self._look_back(self._recall)

    @work(group="recall", exclusive=True)
    async def _look_back(self, recall: Recall) -> None:
        ever = await asyncio.to_thread(self._ever.load) if self._ever is not None else []
        recall.look_through(list(dict.fromkeys([*reversed(self._history), *ever])))

    def _recalled(self, text: str | None) -> None:
        recall, self._recall = self._recall, None
        if recall is None:
            return
        if recall.has_focus_within:
            self.focus()
        recall.remove()
        if text is not None:
            self._keep(self.text)
            self.write(text)

    # Where it is kept

    def settle(self, home: Path | None, thread_id: str | None) -> None:
        """Keep drafts and what is sent below that directory from now on."""
        if home is not None:
            self._drafts = Drafts(home / "drafts")
            self._ever = Prompts(home / "prompts.jsonl")
        self._draft_of = thread_id
        self._open_draft()

    def turn_to(self, thread_id: str | None, unsent: Sequence[str] = ()) -> None:
        """Put away the draft of one thread, with what was not sent, and take out another's."""
        earlier = "" if self._is_settled else self._drafts.get(self._draft_of)
        kept = [part for part in (earlier, *unsent, self.text) if part.strip()]
        self._drafts.put(self._draft_of, "\n\n".join(kept))
        self._save_drafts()
        self._draft_of = thread_id
        self.write("")
        self._open_draft()

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

    def _open_draft(self) -> None:
        self._is_settled = False
        self._read_draft()

    @work(group="draft", exclusive=True)
    async def _read_draft(self) -> None:
        draft = await asyncio.to_thread(self._drafts.get, self._draft_of)
        self._is_settled = True
        if draft:
            self.write("\n\n".join(part for part in (draft, self.text) if part.strip()))

    def _keep_draft(self) -> None:
        self._saving = None
        if self._is_settled:
            self._drafts.put(self._draft_of, self.text)
            self._save_drafts()

    @work(group="drafts")
    async def _save_drafts(self) -> None:
        try:
            await asyncio.to_thread(self._drafts.flush)
        except OSError as error:
            self.say(f"What you write cannot be saved: {error.strerror}")

    @work(group="prompts")
    async def _add_to_ever(self, prompts: Prompts, text: str) -> None:
        try:
            await asyncio.to_thread(prompts.append, text)
        except OSError as error:
            self.say(f"The prompt cannot be kept for later: {error}")

    def on_unmount(self) -> None:
        """Save what was written last."""
        if self._is_settled:
            self._drafts.put(self._draft_of, self.text)
        try:
            self._drafts.flush()
        except OSError as error:
            logger.warning("a draft cannot be saved: %s", error)

    # Keys

    async def on_key(self, event: events.Key) -> None:
        """Complete, send, break the line or go through the history; all else is typing."""
        self._typed_at = time.monotonic()
        if self._two_keys(event.key) or self._key(event.key):
            event.stop()
            event.prevent_default()

    def on_text_area_changed(self) -> None:
        """Complete the word at the cursor, and save in a moment."""
        self._completer.update()
        if self._saving is None:
            self._saving = self.set_timer(DRAFT_SECONDS, self._keep_draft)

    def on_text_area_selection_changed(self) -> None:
        """Complete another word, or none."""
        self._completer.update()

    def on_blur(self) -> None:
        """Complete nothing while something else has the focus."""
        if self.app.app_focus:
            self._completer.close()

    def watch_waiting(self, waiting: int) -> None:
        """Say how many wait, and how to get at them."""
        key = keys.key_for(self.app, "prompt.older", "up")
        self.border_subtitle = f"{waiting} waiting · {key} edits" if waiting else ""

    def _key(self, key: str) -> bool:
        """Do what a key does here; everything else is typing."""
        users = keys.changed(self.app)
        for binding in self.KEYS:
            meant = users.get(binding.id or "", binding.key)
            if key in meant.split(",") and getattr(self, f"_{binding.action}")():
                return True
        return False

    def _two_keys(self, key: str) -> bool:
        """Begin or end a chord; a first key of one still cuts what is selected."""
        meant = self._chord.take(key, self._chords(), begins=self.selection.is_empty)
        if meant:
            self.post_message(self.Commanded(meant))
        return meant is not None

    def _chords(self) -> dict[str, str]:
        """Return the ids of actions under the two keys that do them."""
        users = keys.changed(self.app)
        return {
            chord: action.id
            for action in self.commands
            for chord in users.get(action.id, action.key).split(",")
            if " " in chord
        }

    # Each of them tells whether it has done anything

    def _choose_above(self) -> bool:
        return self._completer.move(-1)

    def _choose_below(self) -> bool:
        return self._completer.move(1)

    def _complete(self) -> bool:
        return self._completer.take()

    def _dismiss(self) -> bool:
        return self._completer.leave()

    def _break_line(self) -> bool:
        self.insert("\n")
        return True

    def _go_back(self) -> bool:
        if self._visual_row != 0:
            return False
        if self.waiting and not self.shown_text:
            self.post_message(self.Recalled())
            return True
        return self._recall_sent(1)

    def _go_forth(self) -> bool:
        is_last = self._visual_row == self.wrapped_document.height - 1
        return is_last and self._recall_sent(-1)

    def _show_start(self) -> bool:
        return self._show("chat.start")

    def _show_end(self) -> bool:
        return self._show("chat.end")

    def _show(self, action_id: str) -> bool:
        if not self.shown_text:
            self.post_message(self.Commanded(action_id))
        return not self.shown_text

    def _clear(self) -> bool:
        """Empty the field, and keep what was in it within reach of Up."""
        self._keep(self.text)
        self.write("")
        return True

    @property
    def _visual_row(self) -> int:
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def _send(self) -> bool:
        if self._completer.take(unless_complete=True):
            return True
        row, column = self.cursor_location
        if column and self.document.get_line(row)[column - 1] == "\\":
            self.replace("\n", (row, column - 1), (row, column), maintain_selection_offset=False)
        elif not self._command():
            self._post()
        return True

    def _post(self) -> None:
        shown, text = self.shown_text.strip(), self.text.strip()
        if not text:
            return
        self._keep(text)
        self._typed_at = float("-inf")
        if self._ever is not None:
            self._add_to_ever(self._ever, text)
        self.write("")
        self._keep_draft()
        if self.commands and text.startswith("//"):
            text = text[1:]
        self.post_message(self.Sent(text, mentions(shown)))

    def _command(self) -> bool:
        """Tell whether the text is a command; one that there is not stays where it is."""
        may_be = bool(self.commands) and self.shown_text[:1] == "/"
        found = re.fullmatch(_COMMAND, self.text.strip(), re.DOTALL) if may_be else None
        if found is None:
            return False
        word, argument = found[1], (found[2] or "").strip()
        action = next((one for one in self.commands if one.slash and one.slash == word), None)
        if action is None:
            self.say(f"There is no command /{word}; with // the text begins with a slash")
            return True
        self._keep(self.text)
        self.write("")
        self.post_message(self.Commanded(action.id, argument))
        return True

    def _keep(self, text: str) -> None:
        if text.strip() and self._history[-1:] != [text]:
            self._history.append(text)
        self._back = 0

    def _recall_sent(self, step: int) -> bool:
        back = self._back + step
        if not 0 <= back <= len(self._history):
            return step < 0
        if self._back == 0:
            self._draft = self.text
        self._back = back
        self.write(self._history[-back] if back else self._draft)
        return True
