"""Which theme the app begins with, and how a terminal is asked for its background."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme
from tui.conftest import MakeApp
from tui.screen import rows, state, transcript_of, until

from cody_tui.background import by_variable, ground_of, typed
from cody_tui.themes import BUILT_IN, NAMES, THEMES, Ground, choose

DA1 = b"\x1b[?62;22c"


@pytest.mark.parametrize(
    ("answer", "ground", "keys"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\" + DA1, "light", ""),
        (b"\x1b]11;rgb:1e/1e/2e\x07" + DA1, "dark", ""),
        (b"\x1b]11;rgba:fdfd/f6f6/e3e3/ffff\x07" + DA1, "light", ""),
        (b"hel\x1b]11;rgb:0000/0000/0000\x1b\\lo" + DA1 + b" you", "dark", "hello you"),
        (DA1, None, ""),
        (b"", None, ""),
        (b"ab\x1b[A", None, "ab"),
    ],
)
def test_the_terminal_says_what_it_is(answer: bytes, ground: Ground | None, keys: str) -> None:
    assert (ground_of(answer), typed(answer)) == (ground, keys)


@pytest.mark.parametrize(
    ("value", "ground"), [("15;0", "dark"), ("0;15", "light"), ("0;default;7", "light"), ("", None)]
)
def test_a_variable_says_it_where_the_terminal_does_not(value: str, ground: Ground | None) -> None:
    assert by_variable({"COLORFGBG": value}) == ground


@pytest.mark.parametrize(
    ("wanted", "remembered", "few", "ground", "theme"),
    [
        ("auto", None, False, None, "cody-dark"),
        ("auto", None, False, "light", "cody-light"),
        ("auto", "nord", False, "light", "nord"),
        ("auto", "nord", True, "light", "cody-ansi"),
        ("cody-light", "nord", True, "dark", "cody-light"),
        ("no-such", "gone", False, "dark", "cody-dark"),
    ],
)
def test_what_is_said_counts_before_what_was_chosen_before_what_is_seen(
    wanted: str, remembered: str | None, few: bool, ground: Ground | None, theme: str
) -> None:
    assert choose(wanted, remembered, few_colours=few, ground=ground) == theme


def test_every_theme_there_is_to_choose_exists() -> None:
    assert set(NAMES) == {*(theme.name for theme in THEMES), *BUILT_IN}
    assert set(BUILT_IN) <= set(BUILTIN_THEMES)


@pytest.mark.parametrize("theme", [theme for theme in THEMES if not theme.ansi])
def test_text_can_be_read_on_every_ground(theme: Theme) -> None:
    app = App[None]()
    app.register_theme(theme)
    app.theme = theme.name
    colours = app.get_css_variables()
    for ground in ("background", "surface"):
        below = Color.parse(colours[ground])
        for name in ("foreground", "primary", "success", "warning", "error", "accent", "secondary"):
            assert _contrast(Color.parse(colours[name]), below) >= 4.5, (name, ground)


async def test_the_app_can_be_drawn_in_every_theme(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        for name in NAMES:
            app.theme = name
            await pilot.pause()
            app.stylesheet.reparse()
            assert app.current_theme.name == name
            palette = transcript_of(pilot)._styles()
            selected = palette["text"] + palette["selection"]
            assert selected.color != selected.bgcolor, name


async def test_a_theme_that_does_not_exist_is_said(make_app: MakeApp) -> None:
    app = make_app(ui={"theme": "nonsense"})
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        assert any("there is no theme 'nonsense'" in row for row in rows(pilot))
        assert app.theme == "cody-dark"


async def test_without_colour_nothing_is_coloured(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await pilot.press("shift+tab", "shift+tab")
        strips = app.screen._compositor.render_strips()
        styles = [segment.style for strip in strips for segment in strip if segment.style]
        assert styles
        assert {style.color.name for style in styles if style.color} <= {"default"}


def _contrast(one: Color, other: Color) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.rgb]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
