"""Searching what was sent before: a field above the prompt, and above it what is found.

The prompt below keeps what is being written until something is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from cody_tui.keys import listed
from cody_tui.matching import best
from cody_tui.text import one_line
from cody_tui.widgets.completion import MOST_ROWS, Suggestion, Suggestions
from cody_tui.widgets.one_line import OneLine

_LOOKED_AT: Final = 400
"""Characters of a prompt that are searched and shown."""


class Recall(Vertical):
    """Looks through prompts, newest first."""

    DEFAULT_CSS = """
    Recall {
        overlay: screen;
        height: auto;
        margin: 0 1;
        padding: 0 1;
        background: $surface;
        & OneLine { padding: 0 2; background: $panel; &:focus { background: $panel; } }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        listed("up", "move(-1)", "recall.up", "The prompt above"),
        listed("down,ctrl+r", "move(1)", "recall.down", "The prompt below"),
        listed("tab", "take", "recall.take", "Take this prompt, as Enter does"),
        listed("escape", "leave", "recall.leave", "Go back to the prompt"),
    ]

    def __init__(self, done: Callable[[str | None], None]) -> None:
        """Prepare a search; ``done`` is called when it is over, with a prompt or without."""
        super().__init__()
        self._done = done
        self._prompts: Sequence[str] = ()
        self._list = Suggestions(self._clicked)
        self._query = OneLine(placeholder="Search what was sent before")

    def compose(self) -> ComposeResult:
        """Put the field below what it finds."""
        yield self._list
        yield self._query

    def on_mount(self) -> None:
        """Wait for a query."""
        self._query.focus()
        self._filter()

    def look_through(self, prompts: Sequence[str]) -> None:
        """Search these prompts."""
        self._prompts = prompts
        self._filter()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._filter()

    def _filter(self) -> None:
        found = best(self._query.value, self._prompts, lambda text: text[:_LOOKED_AT])
        self._list.offer(
            [
                Suggestion(text, one_line(text[:_LOOKED_AT], _LOOKED_AT), keep_start=True)
                for text in found[:MOST_ROWS]
            ]
        )
        self.styles.offset = (0, -len(self._list.shown) - 1)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_take()

    def _clicked(self, suggestion: Suggestion) -> None:
        self._done(suggestion.text)

    @on(events.DescendantBlur)
    def _left(self) -> None:
        if self.app.app_focus:
            self._done(None)

    def action_move(self, step: int) -> None:
        """Choose another prompt."""
        self._list.move(step)

    def action_take(self) -> None:
        """Take the chosen prompt."""
        chosen = self._list.suggestion
        self._done(chosen.text if chosen else None)

    def action_leave(self) -> None:
        """Take none."""
        self._done(None)
