"""Editing a prompt anew, beside the draft that was being written."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from tui.conftest import MakeApp
from tui.screen import answered, chat, key, prompt_of, prompts, send, until

ECHO = "demo/echo"
DRAFT = "a long draft"


async def editing(pilot: Pilot[None]) -> str:
    """Send two prompts, begin a draft, and edit the second one; return the thread."""
    for text in ("one", "two"):
        await send(pilot, text)
        await answered(pilot, text)
    prompt_of(pilot).write(DRAFT)
    await pilot.press("alt+e")
    await until(pilot, lambda: prompt_of(pilot).text == "two")
    thread_id = chat(pilot).thread_id
    assert thread_id is not None
    return thread_id


@pytest.mark.parametrize("keys", [["escape"], ["ctrl+u"], ["f7", "backspace"]])
async def test_what_is_edited_can_be_left_for_the_draft(make_app: MakeApp, keys: list[str]) -> None:
    async with make_app(ECHO).run_test() as pilot:
        before = await editing(pilot)
        prompt = prompt_of(pilot)
        assert prompt.border_subtitle == "editing · Esc leaves"
        await pilot.press("!", *keys)
        await until(pilot, lambda: prompt.text == DRAFT)
        assert prompt.border_subtitle == ""
        await pilot.press("enter")
        await answered(pilot, DRAFT)
        assert chat(pilot).thread_id == before


async def test_an_edit_leaves_the_draft_to_the_thread_it_was_written_in(make_app: MakeApp) -> None:
    async with make_app(ECHO).run_test() as pilot:
        before = await editing(pilot)
        await pilot.press("!", "enter")
        await until(pilot, lambda: prompts(pilot) == ["▌ one", "▌ two!"])
        await answered(pilot, "two!")
        assert (prompt_of(pilot).text, prompt_of(pilot).border_subtitle) == ("", "")
        chat(pilot).open_thread(before)
        await until(pilot, lambda: prompt_of(pilot).text == DRAFT)


async def test_another_thread_ends_an_edit_and_loses_nothing_of_it(make_app: MakeApp) -> None:
    async with make_app(ECHO).run_test() as pilot:
        before = await editing(pilot)
        await pilot.press("!", "ctrl+n")
        assert (prompt_of(pilot).text, prompt_of(pilot).border_subtitle) == ("", "")
        chat(pilot).open_thread(before)
        await until(pilot, lambda: prompt_of(pilot).text == f"{DRAFT}\n\ntwo!")
        key(pilot, "enter")
        await answered(pilot, "two!")
        assert chat(pilot).thread_id == before
