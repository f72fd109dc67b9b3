"""The colours of Cody: one dark theme, one light one, both quiet.

The only place where a colour is written down. Everything else names a theme variable.
"""

from __future__ import annotations

from typing import Final

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

THEMES: Final = (DARK, LIGHT)
