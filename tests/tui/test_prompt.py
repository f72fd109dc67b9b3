from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult

from cody_tui.widgets.prompt import Prompt


class PromptApp(App[None]):
    """A prompt and a list of what it sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def compose(self) -> ComposeResult:
        yield Prompt()

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        self.sent.append(event.text)


async def test_enter_sends_and_empties_the_field() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await pilot.press("h", "i", "enter", "enter")
        assert app.sent == ["hi"]
        assert app.query_one(Prompt).text == ""


@pytest.mark.parametrize("keys", [["shift+enter"], ["ctrl+j"], ["backslash", "enter"]])
async def test_a_new_line_can_be_begun_on_every_terminal(keys: list[str]) -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await pilot.press("a", *keys, "b", "enter")
        assert app.sent == ["a\nb"]


async def test_up_and_down_go_through_what_was_sent_and_back_to_the_draft() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        prompt = app.query_one(Prompt)
        await pilot.press("1", "enter", "2", "enter", "d", "up")
        assert prompt.text == "2"
        await pilot.press("up", "up")
        assert prompt.text == "1"
        await pilot.press("down", "down")
        assert prompt.text == "d"


async def test_up_moves_the_cursor_while_there_is_a_line_above() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        prompt = app.query_one(Prompt)
        await pilot.press("o", "enter", "a", "ctrl+j", "b", "up")
        assert prompt.text == "a\nb"
        assert prompt.cursor_location[0] == 0
        await pilot.press("up")
        assert prompt.text == "o"


async def test_pasted_control_characters_are_made_visible() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        app.query_one(Prompt).post_message(events.Paste("a\x1b[31m\r\nb\rc"))
        await pilot.pause()
        assert app.query_one(Prompt).text == "a␛[31m\nb\nc"


async def test_a_cleared_prompt_can_be_had_back() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await pilot.press("a", "b", "ctrl+u")
        assert app.query_one(Prompt).text == ""
        await pilot.press("up")
        assert app.query_one(Prompt).text == "ab"
