"""How the app begins to look: the theme for this terminal, or why another was named in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cody_core.glance import environment

from cody_tui import remembered
from cody_tui.themes import AUTO, NAMES, Ground, choose

if TYPE_CHECKING:
    from cody_tui.app import CodyApp

FEW: Final = (None, "standard", "windows")
"""What Rich calls terminals that have sixteen colours at most."""


def first_theme(app: CodyApp) -> str:
    """Return the theme to begin with, as far as that is known without asking the terminal."""
    return _choose(app, few_colours=False, ground=None)


def theme_problem(app: CodyApp) -> str:
    """Say that the theme of the settings does not exist, if so."""
    name = app.look.theme
    if name in (AUTO, *NAMES):
        return ""
    return f"ui.theme in config.toml: there is no theme {name!r}; /theme lists them"


def theme_for_terminal(app: CodyApp) -> tuple[str, str]:
    """Return the theme for the terminal the app is about to run in, and what was typed meanwhile.

    The terminal is asked only if its answer counts.
    """
    from cody_tui import background

    variables = environment()
    few = app.no_color or app.console.color_system in FEW
    if few or app.look.theme in NAMES or _remembered(app) in NAMES:
        return _choose(app, few_colours=few, ground=None), ""
    ground, typed = background.ask()
    ground = ground or background.by_variable(variables)
    return _choose(app, few_colours=False, ground=ground), typed


def _choose(app: CodyApp, *, few_colours: bool, ground: Ground | None) -> str:
    return choose(app.look.theme, _remembered(app), few_colours=few_colours, ground=ground)


def _remembered(app: CodyApp) -> str | None:
    home = app.look.home
    return remembered.theme(home) if home is not None else None
