"""A field for one line of text: what is looked for, a title, a reason, a key."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Offset, Region
from textual.strip import Strip
from textual.widgets import Input

from cody_tui.keys import named
from cody_tui.text import printable


class OneLine(Input, inherit_bindings=False):
    """A line of text. Its look is its owner's business."""

    BINDINGS: ClassVar[list[BindingType]] = named(Input.BINDINGS, "line")

    def __init__(self, value: str = "", *, placeholder: str = "", password: bool = False) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            password=password,
            compact=True,
            select_on_focus=False,
        )
        self.cursor_blink = False

    def on_paste(self, event: events.Paste) -> None:
        """Insert what was pasted as text, on one line."""
        event.stop()
        event.prevent_default()
        self.insert_text_at_cursor(self.pasted(event.text))

    def pasted(self, text: str) -> str:
        """Return what a pasted text is on one line: safe to show, white space run together."""
        return " ".join(printable(text).split())

    @property
    def cursor_screen_offset(self) -> Offset:
        """Where the caret is on the screen; behind the last character it is right behind it."""
        x, y, _, _ = self.content_region
        return Offset(x + self._position_to_cell(self.cursor_position) - self.scroll_offset.x, y)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw, and let the terminal's cursor stand at the caret: input methods open there.

        It is told here since this comes after the layout: the field may have moved with no key.
        """
        if self.has_focus:
            self.app.cursor_position = self.cursor_screen_offset
        return super().render_lines(crop)
