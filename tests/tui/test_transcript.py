"""Scrolling, resizing and selecting while an answer comes."""

from __future__ import annotations

import pytest
from textual import events
from textual.geometry import Offset, Region
from textual.pilot import Pilot
from textual.selection import SELECT_ALL, Selection
from tui.conftest import MakeApp
from tui.screen import (
    answered,
    completed,
    key,
    prompt_of,
    rows,
    send,
    shown,
    state,
    transcript_of,
    until,
)

LONG = "demo/long"
SLOW = 0.002


async def overflow(pilot: Pilot[None]) -> None:
    """Wait until an answer has filled the screen."""
    await until(pilot, lambda: state(pilot) == "answering" and "▌" not in shown(pilot))


async def test_new_text_does_not_move_somebody_who_has_scrolled_up(make_app: MakeApp) -> None:
    async with make_app(LONG, SLOW).run_test(size=(80, 20)) as pilot:
        await send(pilot, "talk")
        await overflow(pilot)
        key(pilot, "pageup")
        transcript = transcript_of(pilot)
        await until(pilot, lambda: not transcript.is_following)
        await until(pilot, lambda: transcript.has_unseen)
        before = rows(pilot)
        assert before[-1].endswith("↓ new")
        key(pilot, "escape")
        await until(pilot, lambda: state(pilot) == "ready")
        assert rows(pilot) == before
        await pilot.press("end")
        assert transcript_of(pilot).is_following
        assert "■ stopped" in shown(pilot)
        assert "↓ new" not in shown(pilot)


async def test_scrolling_down_to_the_end_follows_again(make_app: MakeApp) -> None:
    async with make_app(LONG).run_test(size=(80, 20)) as pilot:
        await send(pilot, "talk")
        await completed(pilot)
        await until(pilot, lambda: "▌" not in shown(pilot))
        last = rows(pilot)
        await pilot.press("pageup", "pageup", "pagedown")
        assert not transcript_of(pilot).is_following
        await pilot.press("pagedown")
        assert transcript_of(pilot).is_following
        assert rows(pilot) == last


async def test_home_shows_the_start_and_leaves_the_prompt_its_own(make_app: MakeApp) -> None:
    async with make_app(LONG).run_test(size=(80, 20)) as pilot:
        await send(pilot, "talk")
        await completed(pilot)
        await until(pilot, lambda: "▌" not in shown(pilot))
        await pilot.press("home")
        assert rows(pilot)[0] == "▌ talk"
        await pilot.press("end", "x", "y", "home")
        assert "▌ talk" not in shown(pilot)
        assert prompt_of(pilot).cursor_location == (0, 0)


async def test_the_wheel_scrolls_while_the_prompt_has_the_focus(make_app: MakeApp) -> None:
    async with make_app(LONG).run_test(size=(80, 20)) as pilot:
        await send(pilot, "talk")
        await completed(pilot)
        await until(pilot, lambda: "▌" not in shown(pilot))
        before = rows(pilot)
        transcript = transcript_of(pilot)
        wheel = events.MouseScrollUp(transcript, 5, 5, 0, -1, 0, False, False, False, 5, 5)
        transcript.post_message(wheel)
        await until(pilot, lambda: rows(pilot)[3:] == before[:-3])
        assert pilot.app.focused is prompt_of(pilot)


async def test_a_resize_in_the_middle_of_an_answer_wraps_all_of_it(make_app: MakeApp) -> None:
    async with make_app(LONG, SLOW).run_test(size=(100, 30)) as pilot:
        await send(pilot, "talk")
        await overflow(pilot)
        await pilot.resize_terminal(46, 18)
        transcript = transcript_of(pilot)
        await until(pilot, lambda: transcript.size.width == 46)
        key(pilot, "escape")
        await answered(pilot, "■ stopped")
        await pilot.press("home")
        for _ in range(3):
            strips = transcript.render_lines(Region(0, 0, *transcript.size))
            assert {strip.cell_length for strip in strips} == {46}
            await pilot.press("pagedown")


async def test_a_resize_keeps_the_reader_where_they_were(make_app: MakeApp) -> None:
    async with make_app(LONG).run_test(size=(100, 30)) as pilot:
        await send(pilot, "talk")
        await completed(pilot)
        await until(pilot, lambda: "▌" not in shown(pilot))
        await pilot.press(*["pageup"] * 5)
        words = set(shown(pilot).split())
        await pilot.resize_terminal(60, 30)
        await until(pilot, lambda: transcript_of(pilot).size.width == 60)
        assert not transcript_of(pilot).is_following
        assert len(words & set(shown(pilot).split())) > len(words) // 4


async def test_a_selection_is_copied_without_margin_and_padding(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test() as pilot:
        await send(pilot, "# one\n\n- two\n- three")
        await answered(pilot, "• three")
        transcript = transcript_of(pilot)
        assert transcript.get_selection(SELECT_ALL) == (
            "# one\n\n- two\n- three\n\none\n\n• two\n• three",
            "\n",
        )
        row = rows(pilot).index("  • two")
        _, start = pilot.app.screen.get_widget_and_offset_at(4, row)
        assert isinstance(start, Offset)
        span = Selection.from_offsets(start, start + Offset(3, 0))
        assert transcript.get_selection(span) == ("two", "\n")


@pytest.mark.parametrize("theme", ["cody-light", "nord"])
async def test_another_theme_recolours_what_is_shown(make_app: MakeApp, theme: str) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await send(pilot, "hello")
        await answered(pilot, "Enjoy!")
        transcript = transcript_of(pilot)
        region = Region(0, 0, *transcript.size)
        before = transcript.render_lines(region)
        app.theme = theme
        await until(pilot, lambda: transcript.render_lines(region) != before)
        background = transcript.background_colors[1].rich_color
        first = list(transcript.render_lines(region)[0])[-1]
        assert first.style is not None
        assert first.style.bgcolor == background


async def test_without_colour_nothing_is_coloured(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with make_app().run_test() as pilot:
        await send(pilot, "hello")
        await answered(pilot, "Enjoy!")
        transcript = transcript_of(pilot)
        strips = transcript.render_lines(Region(0, 0, *transcript.size))
        colours = [s.style.color for strip in strips for s in strip if s.style and s.style.color]
        assert colours
        assert all(len({*colour.get_truecolor()}) == 1 for colour in colours)
