"""Where a run asks: a panel above the prompt, which is not there before the first question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual import events

if TYPE_CHECKING:
    from cody_core.schema.events import ApprovalRequested
    from textual.screen import Screen
    from textual.timer import Timer

    from cody_tui.widgets.approval import Approval
    from cody_tui.widgets.prompt import Prompt


class Asking:
    """The panel of a screen, and its turns with the prompt."""

    def __init__(self, screen: Screen[Any], prompt: Prompt) -> None:
        self._screen = screen
        self._prompt = prompt
        self._panel: Approval | None = None
        self._pause: Timer | None = None

    def show(self, questions: Sequence[ApprovalRequested]) -> None:
        """Show the oldest of the open questions; without any, the prompt has the keys again."""
        if self._panel is None:
            if not questions:
                return
            self._panel = self._mounted()
        panel = self._panel
        had_focus = panel.has_focus_within
        panel.show(questions, takes_focus=self._is_free)
        if had_focus and not panel.display:
            self._prompt.focus()

    @property
    def _is_free(self) -> bool:
        """Whether the panel may have the keys: nobody writes, searches or chooses anything."""
        if self._panel is not None and self._panel.has_focus_within:
            return True
        # The terminal may be out of focus, and what had it before gets it back.
        screen = self._screen
        focused = screen.focused or screen.app._last_focused_on_app_blur
        return focused in (None, self._prompt) and not self._prompt.shown_text.strip()

    def seen(self) -> None:
        """A question that was hidden can be seen again."""
        if self._panel is not None:
            self._panel.seen()

    def hand_on(self, text: str) -> None:
        """Write what was not meant for the panel; after a pause, the prompt has the keys itself."""
        self._prompt.post_message(events.Paste(text))
        if self._pause is not None:
            self._pause.stop()
        # Not at once: what is still on its way through the panel would come behind what is not.
        if self._panel is not None:
            self._pause = self._screen.set_timer(self._panel.guard, self._give_back)

    def _give_back(self) -> None:
        if self._panel is not None and self._panel.has_focus:
            self._prompt.focus()

    def fit(self, rows: int) -> None:
        """Let a question have its share of a screen of so many rows."""
        if self._panel is not None:
            self._panel.fit(rows)

    def _mounted(self) -> Approval:
        from cody_tui.widgets.approval import Approval

        panel = Approval()
        self._screen.mount(panel, before=self._prompt)
        panel.fit(self._screen.size.height)
        return panel
