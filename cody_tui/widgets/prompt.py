"""The prompt: a field that sends on Enter and remembers what was sent.

Enter sends. Shift+Enter, Ctrl+J or a backslash before Enter begin a new line: not every terminal
can tell Shift+Enter from Enter. Up and Down go through what was sent once the cursor is at the
first or last line. ``@`` completes files, ``/`` at the beginning commands.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from textual import events, work
from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive

from cody_tui import keys
from cody_tui.actions import Action
from cody_tui.widgets.chords import Chords
from cody_tui.widgets.completer import Completer, FindFiles
from cody_tui.widgets.kept import KeptField
from cody_tui.widgets.mentions import mentions

if TYPE_CHECKING:
    from cody_tui.widgets.recall import Recall

LOW: Final = 10
"""Rows of a terminal of which the prompt's usual share would be all border."""
SendInstead: TypeAlias = "Callable[[Prompt.Sent], Awaitable[None]]"
"""Sends a prompt another way."""
_COMMAND: Final = r"/([^\s/]+)(?:\s+(.*))?"


class Prompt(KeptField):
    """Where prompts are written."""

    class Sent(Message):
        """The user sends a prompt; the field is empty again."""

        def __init__(
            self, text: str, mentions: Sequence[str] = (), instead: SendInstead | None = None
        ) -> None:
            self.text = text
            self.mentions = mentions
            """The paths it names; not those in what was pasted and folded."""
            self.instead = instead
            """What sends it; without that, the thread on the screen gets it."""
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
        Binding(
            "escape",
            "leave_edit",
            "While a prompt is edited: go back to the draft",
            id="prompt.leave",
        ),
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
        self._chord = Chords()
        self._recall: Recall | None = None
        self._instead: SendInstead | None = None

    # What is written, and was before

    def fit(self, rows: int) -> None:
        """Have a row to write in on a terminal of so many rows."""
        self.set_class(rows < LOW, "-low")

    def restore(self, text: str) -> None:
        """Put a prompt back that could not be sent, above what has been written since."""
        self._put_above(self._as_typed(text))

    def take_edited(self, before: str, text: str) -> None:
        """Replace what was written by what an editor made of it; prompts put back since stay."""
        since = self.text
        if text != before:
            self.write(text)
            if since != before:
                self._put_above(since.removesuffix(before).rstrip("\n"))

    def take_back(self, text: str) -> None:
        """Put a prompt back that was to be sent: it is not of the past any more."""
        self._history.forget(text)
        self.restore(text)

    def edit_anew(self, text: str, send: SendInstead) -> None:
        """Let a prompt be edited that was sent, and be sent by ``send``; the draft waits."""
        self._instead = send
        self._begin_edit(self._as_typed(text))

    def _as_typed(self, text: str) -> str:
        """Return a prompt as it has to be written to be no command."""
        return f"/{text}" if self.commands and text.startswith("/") else text

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
        recall.look_through(await self._ever_sent())

    def _recalled(self, text: str | None) -> None:
        recall, self._recall = self._recall, None
        if recall is None:
            return
        if recall.has_focus_within:
            self.focus()
        recall.remove()
        if text is not None:
            self.keep()
            self.write(text)

    # Keys

    async def on_key(self, event: events.Key) -> None:
        """Complete, send, break the line or go through the history; all else is typing."""
        if self._two_keys(event.key) or self._key(event.key):
            event.stop()
            event.prevent_default()

    def on_text_area_changed(self) -> None:
        """Complete the word at the cursor; a prompt that was emptied is not edited any more."""
        self._completer.update()
        if not self.shown_text:
            self._leave_edit()

    def on_text_area_selection_changed(self) -> None:
        """Complete another word, or none."""
        self._completer.update()

    def on_blur(self) -> None:
        """Complete nothing while something else has the focus."""
        if self.app.app_focus:
            self._completer.close()

    def watch_waiting(self) -> None:
        """Say how many wait, and how to get at them."""
        self._name_keys()

    def watch_is_editing(self) -> None:
        """Say so, and how to leave that."""
        self._name_keys()

    def _name_keys(self) -> None:
        older = keys.key_for(self.app, "prompt.older", "up")
        leave = keys.key_for(self.app, "prompt.leave", "escape")
        waiting = f"{self.waiting} waiting · {older} edits" if self.waiting else ""
        self.border_subtitle = f"editing · {leave} leaves" if self.is_editing else waiting

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
        if not self._leave_edit():
            self.keep()
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
        instead = self._instead if self.is_editing else None
        self._done_with(text)
        self._add_to_ever(text)
        if self.commands and text.startswith("//"):
            text = text[1:]
        self.post_message(self.Sent(text, mentions(shown), instead))

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
        self._done_with(self.text)
        self.post_message(self.Commanded(action.id, argument))
        return True

    def _recall_sent(self, steps: int) -> bool:
        text = self._history.go(steps, self.text)
        if text is None:
            return steps < 0
        self.write(text)
        self._history.shows(self.text)
        return True
