"""The least a Textual program can be: what starting takes when there is nothing to start."""

from __future__ import annotations

from typing import Final

from textual.app import App, ComposeResult
from textual.widgets import Input, Static

TEXT: Final = "Nothing else"


class Bare(App[None]):
    """One field and one line."""

    def compose(self) -> ComposeResult:
        """Put the line above the field."""
        yield Static(TEXT)
        yield Input()


if __name__ == "__main__":
    Bare().run()
