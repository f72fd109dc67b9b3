"""The styles of a transcript, taken from the theme once and handed to whatever renders lines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from rich.style import Style
from textual.style import Style as VisualStyle

from cody_tui.signs import PLAIN, Signs

LOOKS: Final = {
    "text": "$foreground",
    "muted": "$foreground 72%",
    "faint": "$foreground 58%",
    "heading": "bold $primary",
    "strong": "bold $foreground",
    "link": "underline $primary",
    "code": "$accent on $surface",
    "quote": "italic $foreground 80%",
    "rule": "$foreground 35%",
    "prompt": "$foreground on $surface",
    "bar": "$primary on $surface",
    "queued": "$foreground 58% on $surface",
    "fence": "$foreground on $surface",
    "label": "$foreground 58% on $surface",
    "error": "$error",
    "success": "$success",
    "hint": "$background on $primary",
    "selection": "$screen-selection-foreground on $screen-selection-background",
    "cursor": "$accent",
    "match": "bold underline $warning",
    "found": "bold reverse $warning",
    "keyword": "$secondary",
    "string": "$success",
    "number": "$accent",
    "comment": "italic $foreground 58%",
    "function": "$primary",
    "type": "$warning",
    "inserted": "$success",
    "deleted": "$error",
}
"""What a transcript tells apart, each as Textual writes a style, in colours of the theme."""
NAMES: Final = tuple(LOOKS)


class _Looks(dict[str, Style]):
    """Styles as the theme of the app has them, looked up with their first use."""

    def __missing__(self, name: str) -> Style:
        ground = VisualStyle.parse("on $background")
        look = self[name] = (ground + VisualStyle.parse(LOOKS[name])).rich_style
        return look


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
        usual = {name: self.styles[name] for name in NAMES}
        return Palette({**usual, **soft, "strong": bold, "heading": bold}, self.signs)


def theme_palette(signs: Signs = PLAIN) -> Palette:
    """Return the palette of the theme that the running app has now."""
    return Palette(_Looks(), signs)
