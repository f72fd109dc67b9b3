"""The colours of Cody: one dark theme, one light one, both quiet, and two for hard conditions.

The only place where a colour is written down. Everything else names a theme variable.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from textual.theme import Theme

DARK: Final = Theme(
    name="cody-dark",
    primary="#8ab4e8",
    secondary="#b79ad9",
    accent="#e0a872",
    foreground="#d5d8df",
    background="#15171b",
    surface="#1d2026",
    panel="#2a2e37",
    success="#93bf85",
    warning="#e0c074",
    error="#e58383",
    dark=True,
    variables={
        "border": "#6f8fbf",
        "border-blurred": "#3a404c",
        "input-selection-background": "#8ab4e8 30%",
        "screen-selection-background": "#3c5372",
        "screen-selection-foreground": "#ffffff",
    },
)

LIGHT: Final = Theme(
    name="cody-light",
    primary="#245a9e",
    secondary="#7242a0",
    accent="#9a5410",
    foreground="#23262d",
    background="#fbfbf9",
    surface="#f0f0ec",
    panel="#e0e1dc",
    success="#2f6f2a",
    warning="#7a5a00",
    error="#b02a2a",
    dark=False,
    variables={
        "border": "#5b83b8",
        "border-blurred": "#c6c9c4",
        "input-selection-background": "#245a9e 25%",
        "screen-selection-background": "#bcd4f2",
        "screen-selection-foreground": "#101216",
    },
)

ANSI: Final = Theme(
    name="cody-ansi",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_magenta",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    variables={
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "border": "ansi_blue",
        "border-blurred": "ansi_default",
        "block-cursor-foreground": "ansi_white",
        "block-cursor-background": "ansi_blue",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-foreground": "ansi_white",
        "block-cursor-blurred-background": "ansi_blue",
        "block-cursor-blurred-text-style": "bold",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "ansi_blue",
        "input-selection-foreground": "ansi_white",
        "screen-selection-background": "ansi_blue",
        "screen-selection-foreground": "ansi_white",
    },
)
"""The terminal's own sixteen colours, whatever they are."""

CONTRAST: Final = Theme(
    name="cody-contrast",
    primary="#7cc4ff",
    secondary="#e2b6ff",
    accent="#ffc86b",
    foreground="#ffffff",
    background="#000000",
    surface="#161616",
    panel="#303030",
    success="#7dff7d",
    warning="#ffe45c",
    error="#ff8f8f",
    dark=True,
    variables={
        "border": "#ffffff",
        "border-blurred": "#9a9a9a",
        "text-muted": "#e0e0e0",
        "text-disabled": "#c0c0c0",
        "input-selection-background": "#7cc4ff 45%",
        "screen-selection-background": "#ffe45c",
        "screen-selection-foreground": "#000000",
    },
)

THEMES: Final = (DARK, LIGHT, ANSI, CONTRAST)
BUILT_IN: Final = (
    "nord", "gruvbox", "tokyo-night", "catppuccin-mocha", "rose-pine", "flexoki", "atom-one-dark",
    "catppuccin-latte", "rose-pine-dawn", "atom-one-light",
)  # fmt: skip
"""Themes that Textual brings and that look right here."""
NAMES: Final = (*(theme.name for theme in THEMES), *BUILT_IN)
"""The themes there are to choose, in that order."""
AUTO: Final = "auto"

Ground: TypeAlias = Literal["dark", "light"]


def choose(wanted: str, remembered: str | None, *, few_colours: bool, ground: Ground | None) -> str:
    """Return the theme to begin with.

    What ``config.toml`` says counts before what was chosen once. A terminal of few colours, or of
    none, keeps its own: others would be rounded to what nobody can read.
    """
    if wanted in NAMES:
        return wanted
    if few_colours:
        return ANSI.name
    if remembered in NAMES:
        return str(remembered)
    return LIGHT.name if ground == "light" else DARK.name
