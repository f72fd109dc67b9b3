"""Choosing a theme: the highlighted one is seen at once, and Esc brings back the old."""

from __future__ import annotations

from collections.abc import Sequence

from cody_tui.dialogs.picking import Entry, Picker


class ThemePicker(Picker):
    """Returns the name of a theme, which is already in use."""

    def __init__(self, names: Sequence[str], current: str) -> None:
        super().__init__("Theme", [Entry(n, n, is_current=n == current) for n in names])
        self._before = current

    def moved_to(self, value: str) -> None:
        """Show it."""
        if value in self.app.available_themes:
            self.app.theme = value

    def action_cancel(self) -> None:
        """Leave everything as it was."""
        self.app.theme = self._before
        super().action_cancel()
