"""The styles of a transcript, taken from the theme once and handed to whatever renders lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

from rich.style import Style

from cody_tui.signs import PLAIN, Signs

PREFIX: Final = "transcript--"
NAMES: Final = (
    "text", "muted", "faint", "heading", "strong", "link", "code", "quote", "rule",
    "prompt", "bar", "queued", "fence", "label", "error", "success", "hint", "selection", "cursor",
    "match", "found",
    "keyword", "string", "number", "comment", "function", "type", "inserted", "deleted",
)  # fmt: skip
"""What a transcript tells apart. Each is a component class of the widget."""


class Palette:
    """Styles by name. Lines may be kept as long as their palette lasts."""

    def __init__(self, styles: Mapping[str, Style], signs: Signs = PLAIN) -> None:
        self.styles = styles
        self.signs = signs
        """What stands beside the colours for those who see none, or nothing."""
        self._mixed: dict[tuple[str, str], Style] = {}

    def __getitem__(self, name: str) -> Style:
        """Return the style of that name, background included."""
        return self.styles[name]

    def over(self, name: str, ground: str) -> Style:
        """Return a style on the background of another."""
        mixed = self._mixed.get((name, ground))
        if mixed is None:
            mixed = self.styles[name] + Style(bgcolor=self.styles[ground].bgcolor)
            self._mixed[name, ground] = mixed
        return mixed

    @cached_property
    def quiet(self) -> Palette:
        """The same for text that stands back: what a model thinks before it answers."""
        plain, bold = self.styles["faint"], self.styles["faint"] + Style(bold=True)
        soft = dict.fromkeys(("text", "muted", "link", "quote"), plain)
        return Palette({**self.styles, **soft, "strong": bold, "heading": bold}, self.signs)


def read_palette(component: Callable[[str], Style], signs: Signs = PLAIN) -> Palette:
    """Build a palette from a widget's component styles."""
    return Palette({name: component(PREFIX + name) for name in NAMES}, signs)
