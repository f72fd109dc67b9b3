"""The text area under the prompt: folds what is long, and leads the terminal's cursor along."""

from __future__ import annotations

from typing import ClassVar, Final, Self

from textual import events
from textual.binding import BindingType
from textual.document._document import EditResult, Location
from textual.geometry import Offset, Region
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from cody_tui.keys import key_for, named
from cody_tui.text import printable
from cody_tui.widgets.pastes import MOST_UNFOLDED, Pastes
from cody_tui.widgets.still import Still

THEME: Final = "field"


class _Look(TextAreaTheme):
    """The styles that CSS says: looked up when they have changed, not again for every key."""

    is_current = False

    def apply_css(self, text_area: TextArea) -> None:
        """Look them up."""
        if not self.is_current:
            super().apply_css(text_area)
            self.is_current = True


class Field(Still, TextArea, inherit_bindings=False):
    """Text in which long pastes are folded. ``text`` spells them out, ``shown_text`` does not."""

    # Some keys of the text area's own have another meaning on the screen that it is part of.
    BINDINGS: ClassVar[list[BindingType]] = named(
        TextArea.BINDINGS,
        "edit",
        changes={
            "redo": "alt+z,super+y",
            "delete_to_end_of_line_or_delete_line": "alt+k",
            "delete_to_start_of_line": "super+backspace",
        },
        without=("cursor_page_up", "cursor_page_down"),
    )

    def __init__(self, placeholder: str) -> None:
        super().__init__(
            compact=True,
            highlight_cursor_line=False,
            placeholder=placeholder,
            tab_behavior="focus",
        )
        self.register_theme(_Look(THEME))
        self.theme = THEME
        self.cursor_blink = False
        self._pastes = Pastes()

    @property
    def text(self) -> str:
        """All of the text."""
        return self._pastes.expand(self.document.text)

    @text.setter
    def text(self, value: str) -> None:
        self.write(value)

    @property
    def shown_text(self) -> str:
        """The text as it stands in the field."""
        return self.document.text

    def write(self, text: str) -> None:
        """Replace the text and put the cursor at its end; it is made safe to show."""
        self.load_text(self._pastes.fold(printable(text)))
        self.move_cursor(self.document.end)

    def unfold(self) -> None:
        """Spell out the paste at the cursor, or the only one there is."""
        row, column = self.cursor_location
        spans = [
            (line, start, end)
            for line in range(self.document.line_count)
            for start, end in self._pastes.spans(self.document.get_line(line))
        ]
        here = [span for span in spans if span[0] == row and span[1] <= column <= span[2]]
        if not here and len(spans) != 1:
            self.say("There is no folded text at the cursor")
            return
        line, start, end = (here or spans)[0]
        token = self.document.get_line(line)[start:end]
        if self._pastes.size(token) > MOST_UNFOLDED:
            key = key_for(self.app, "prompt.editor", "ctrl+x ctrl+e")
            self.say(f"That is too long to unfold: {key} opens it in your editor")
            return
        content = self._pastes.unfold(token)
        self.replace(content, (line, start), (line, end), maintain_selection_offset=False)

    def focus(self, scroll_visible: bool = True) -> Self:
        """Have the keys from now on, also those that have been pressed already."""
        self.screen.set_focus(self, scroll_visible)
        return self

    def say(self, text: str) -> None:
        """Show a passing note."""
        self.notify(text, severity="warning", timeout=4, markup=False)

    def on_paste(self, event: events.Paste) -> None:
        """Insert pasted text as text: what is not printable in it is made visible."""
        event.stop()
        event.prevent_default()
        text = printable(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        self.replace(self._pastes.paste(text), *self.selection, maintain_selection_offset=False)

    def notify_style_update(self) -> None:
        """Have the styles looked up anew."""
        if isinstance(self._theme, _Look):
            self._theme.is_current = False
        super().notify_style_update()

    def _recompute_cursor_offset(self) -> None:
        # An undo may scroll while the cursor still stands on a line that is gone.
        if self.cursor_location[0] < self.document.line_count:
            super()._recompute_cursor_offset()  # type: ignore[no-untyped-call]  # as Textual has it

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw, and let the terminal's cursor stand at the caret: input methods open there.

        It is told here since this comes after the layout: the field may have moved with no key.
        """
        if self.has_focus:
            x, y = self.wrapped_document.location_to_offset(self.cursor_location)
            self.app.cursor_position = (
                self.content_region.offset - self.scroll_offset + Offset(x, y)
            )
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draw a row; where there is no room there is nothing to wrap the placeholder to."""
        return super().render_line(y) if self.content_size.width > 0 else Strip.blank(0)

    def _delete_via_keyboard(self, start: Location, end: Location) -> EditResult | None:
        """Delete, and folded pastes only as a whole: what is left of one stands for nothing."""
        start, end = sorted((start, end))
        return super()._delete_via_keyboard(
            (start[0], self._paste_around(start, 0)), (end[0], self._paste_around(end, 1))
        )

    def _paste_around(self, location: Location, edge: int) -> int:
        """Return the column of a paste's start or end if a location is inside one, or its own."""
        row, column = location
        line = self.document.get_line(row) if row < self.document.line_count else ""
        inside = (span for span in self._pastes.spans(line) if span[0] < column < span[1])
        return next((span[edge] for span in inside), column)
