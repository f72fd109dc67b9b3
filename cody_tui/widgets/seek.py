"""The line in which a text is searched for in the thread on the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, Literal, TypeAlias

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from cody_tui.keys import hints, listed
from cody_tui.widgets.one_line import OneLine

Step: TypeAlias = Literal["first", "next", "previous", "leave"]
_WORDS: Final = {"line.submit": "next", "seek.previous": "back", "seek.leave": "close"}


class Seek(Horizontal):
    """Asks for a text and says where in the hits one is; the rest is up to ``step``."""

    DEFAULT_CSS = """
    Seek {
        dock: top; height: 1; padding: 0 2; background: $surface;
        & > .seek--label { width: auto; color: $text-muted; }
        & > OneLine { width: 1fr; height: 1; border: none; padding: 0; background: $surface; }
        & > OneLine:focus { border: none; }
        & > .seek--place { width: auto; padding: 0 2; }
        & > .seek--keys { width: auto; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        listed("down", "step('next')", "seek.next", "The next place, as with Enter", priority=True),
        listed(
            "up,shift+enter", "step('previous')", "seek.previous", "The place before",
            priority=True,
        ),
        listed("escape", "step('leave')", "seek.leave", "Stop searching", priority=True),
    ]  # fmt: skip

    def __init__(self, step: Callable[[Step, str], None]) -> None:
        super().__init__()
        self._step = step
        self._field = OneLine(placeholder="in this thread")
        self._place = Static(classes="seek--place")

    def compose(self) -> ComposeResult:
        """Put the field between what it is for and where one is."""
        yield Static(Content("Find: "), classes="seek--label")
        yield self._field
        yield self._place
        said = hints(self.app, [*self.BINDINGS, *OneLine.BINDINGS], _WORDS)
        yield Static(Content(said), classes="seek--keys")

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

    def end(self) -> None:
        """Go out of sight; only the text stays, for the next time."""
        self.display = False
        self._place.update(Content(""))

    def show_place(self, at: int | None, count: int) -> None:
        """Say which hit is shown, of how many."""
        none = "nothing found" if self._field.value else ""
        self._place.update(Content(none if at is None else f"{at + 1}/{count}"))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:  # or it was typed just before the end
            self._step("first", event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_step("next")  # by the field's own key: it comes after what was typed before it

    def action_step(self, step: Step) -> None:
        """Go to another hit, or leave."""
        if step == "leave":
            self.display = False
        self._step(step, self._field.value)
