"""The line in which a text is searched for in the thread on the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, TypeAlias

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from cody_tui.text import printable

Step: TypeAlias = Literal["first", "next", "previous", "leave"]
_KEYS = "Enter next  Up back  Esc close"


class _Field(Input):
    def on_paste(self, event: events.Paste) -> None:
        """Insert what was pasted as text, on one line."""
        event.stop()
        event.prevent_default()
        self.insert_text_at_cursor(" ".join(printable(event.text).split()))


class Seek(Horizontal):
    """Asks for a text and says where in the hits one is; the rest is up to ``step``."""

    DEFAULT_CSS = """
    Seek {
        dock: top; height: 1; padding: 0 2; background: $surface;
        & > .seek--label { width: auto; color: $text-muted; }
        & > _Field { width: 1fr; height: 1; border: none; padding: 0; background: $surface; }
        & > _Field:focus { border: none; }
        & > .seek--place { width: auto; padding: 0 2; }
        & > .seek--keys { width: auto; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,down", "step('next')", "Next", id="seek.next", show=False, priority=True),
        Binding(
            "shift+enter,up", "step('previous')", "Previous",
            id="seek.previous", show=False, priority=True,
        ),
        Binding("escape", "step('leave')", "Close", id="seek.leave", show=False, priority=True),
    ]  # fmt: skip

    def __init__(self, step: Callable[[Step, str], None]) -> None:
        super().__init__()
        self._step = step
        self._field = _Field(placeholder="in this thread", compact=True)
        self._field.cursor_blink = False
        self._place = Static(classes="seek--place")

    def compose(self) -> ComposeResult:
        """Put the field between what it is for and where one is."""
        yield Static(Content("Find: "), classes="seek--label")
        yield self._field
        yield self._place
        yield Static(Content(_KEYS), classes="seek--keys")

    @property
    def place(self) -> str:
        """Which hit is shown, of how many."""
        return str(self._place.content)

    def begin(self, text: str) -> None:
        """Come into sight, with a text to look for or the one from before."""
        self.display = True
        if text:
            self._field.value = text
        self._field.focus()
        self._step("first", self._field.value)

    def show_place(self, at: int | None, count: int) -> None:
        """Say which hit is shown, of how many."""
        none = "nothing found" if self._field.value else ""
        self._place.update(Content(none if at is None else f"{at + 1}/{count}"))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._step("first", event.value)

    def action_step(self, step: Step) -> None:
        """Go to another hit, or leave."""
        if step == "leave":
            self.display = False
        self._step(step, self._field.value)
