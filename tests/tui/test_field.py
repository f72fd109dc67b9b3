"""The field under the prompt, in the layout that it has in the app."""

from __future__ import annotations

from textual import events
from tui.conftest import MakeApp
from tui.screen import prompt_of, ready, seen, until

LINES = "\n".join(f"line {number}" for number in range(19))
"""More lines than the prompt is high, and fewer than are folded."""


async def test_what_is_taller_than_the_prompt_can_be_undone_and_redone(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        prompt = prompt_of(pilot)
        prompt.post_message(events.Paste(LINES))
        await pilot.press("ctrl+z")
        assert prompt.text == ""
        await pilot.press("alt+z")
        assert prompt.text == LINES
        await pilot.press("f7", "x", "ctrl+z", "alt+z", "!")
        assert prompt.text == "x!"


async def test_no_terminal_is_too_narrow(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test(size=(6, 20)) as pilot:
        await ready(pilot)
        await pilot.resize_terminal(80, 20)
        await pilot.resize_terminal(3, 20)
        await pilot.press("h", "i")
        assert prompt_of(pilot).text == "hi"


async def test_what_is_written_is_seen_on_a_low_terminal(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test(size=(60, 4)) as pilot:
        await ready(pilot)
        await pilot.press("h", "e", "y")
        await until(pilot, lambda: any("hey" in row for row in seen(pilot)))
        await pilot.press("ctrl+j", "y", "o", "u")
        await until(pilot, lambda: any("you" in row for row in seen(pilot)))
