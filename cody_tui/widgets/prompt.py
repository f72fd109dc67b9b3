"""The prompt: a text area that sends on Enter and remembers what was sent.

Enter sends. Shift+Enter, Ctrl+J or a backslash before Enter begin a new line: not every terminal
can tell Shift+Enter from Enter. Up and Down go through what was sent once the cursor is at the
first or last line.
"""

from __future__ import annotations

from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from cody_tui.text import printable

_NEWLINE_KEYS: Final = frozenset({"shift+enter", "ctrl+j", "alt+enter"})


class Prompt(TextArea):
    """Where prompts are written."""

    class Sent(Message):
        """The user sends a prompt; the field is empty again."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+u",
            "clear_all",
            "Clear",
            id="prompt.clear",
            tooltip="Empty the prompt; Up brings it back",
            show=False,
        ),
    ]

    def __init__(self) -> None:
        super().__init__(
            compact=True,
            highlight_cursor_line=False,
            placeholder="Ask anything",
            tab_behavior="focus",
        )
        self.cursor_blink = False
        self._history: list[str] = []
        self._back = 0
        self._draft = ""

    def remember(self, prompts: list[str]) -> None:
        """Replace the history, oldest first."""
        self._history = list(prompts)
        self._back = 0

    def restore(self, text: str) -> None:
        """Put a prompt back that could not be sent, above what has been written since."""
        self.write("\n\n".join(part for part in (text, self.text) if part.strip()))

    def write(self, text: str) -> None:
        """Replace the text and put the cursor at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def action_clear_all(self) -> None:
        """Empty the field, and keep what was in it within reach of Up."""
        self._keep(self.text)
        self.write("")

    async def on_key(self, event: events.Key) -> None:
        """Send, break the line or go through the history; everything else is typing."""
        if event.key == "enter":
            handled = self._send_or_break()
        elif event.key in _NEWLINE_KEYS:
            self.insert("\n")
            handled = True
        elif event.key == "up" and self._visual_row == 0:
            handled = self._recall(1)
        elif event.key == "down" and self._visual_row == self.wrapped_document.height - 1:
            handled = self._recall(-1)
        else:
            handled = False
        if handled:
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Insert pasted text as text: what is not printable in it is made visible."""
        event.stop()
        event.prevent_default()
        text = printable(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        self.replace(text, *self.selection, maintain_selection_offset=False)

    @property
    def _visual_row(self) -> int:
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def _send_or_break(self) -> bool:
        row, column = self.cursor_location
        if column and self.document.get_line(row)[column - 1] == "\\":
            self.replace("\n", (row, column - 1), (row, column), maintain_selection_offset=False)
            return True
        text = self.text.strip()
        if text:
            self._keep(text)
            self.write("")
            self.post_message(self.Sent(text))
        return True

    def _keep(self, text: str) -> None:
        if text.strip() and self._history[-1:] != [text]:
            self._history.append(text)
        self._back = 0

    def _recall(self, step: int) -> bool:
        back = self._back + step
        if not 0 <= back <= len(self._history):
            return step < 0
        if self._back == 0:
            self._draft = self.text
        self._back = back
        self.write(self._history[-back] if back else self._draft)
        return True
