"""Keys that come while a question does: whoever meant something else has not consented."""

from __future__ import annotations

import pytest
from textual import events
from tui.questions import Runner, Session, asked, gone, of_long_ago, panel_text
from tui.screen import answered, key, prompt_of, questioned, send, state, until

from cody_tui.widgets.approval import GUARD


async def test_a_key_that_comes_too_early_is_no_answer() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await questioned(pilot)
        assert panel.guard == GUARD == 0.3
        panel.guard = 3600
        await until(pilot, lambda: panel.has_focus)
        await pilot.press("y", "s", "a", "n", "d")
        assert (panel.display, panel.is_writing, state(pilot)) == (True, False, "asking")
        panel.guard = 0.001
        await pilot.press("y")  # goes where the others went, however late it comes
        await until(pilot, lambda: prompt_of(pilot).has_focus)
        assert prompt_of(pilot).text == "ysandy"
        assert session.tool.ran == []
        await pilot.press("tab")
        await until(pilot, lambda: panel.has_focus and not panel.is_guarded)
        await pilot.press("y")
        await gone(pilot)
        await answered(pilot, "the end")
        assert prompt_of(pilot).text == "ysandy"
    assert session.tool.ran == ["make"]


async def test_a_word_that_begins_with_no_answer_has_none_in_it() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        await asked(pilot)
        await pilot.press(*"has")
        await until(pilot, lambda: prompt_of(pilot).text == "has")
        await until(pilot, lambda: prompt_of(pilot).has_focus)
        assert state(pilot) == "asking"
    assert session.tool.ran == []


async def test_what_is_pasted_is_no_answer_and_goes_into_the_prompt() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot)
        session.app.post_message(events.Paste("y\nand more"))
        await until(pilot, lambda: prompt_of(pilot).text == "y\nand more")
        assert panel.is_guarded
        await until(pilot, lambda: prompt_of(pilot).has_focus)
    assert session.tool.ran == []


async def test_a_draft_keeps_the_focus_however_long_ago_it_was_written() -> None:
    tool = Runner()
    tool.gate.clear()
    session = Session(tool, "look", "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "look")
        await pilot.press("y")
        await gone(pilot)
        prompt_of(pilot).write("half a thought")  # by no key, so it was not written lately
        tool.gate.set()
        await until(pilot, lambda: panel.display and "make" in panel_text(pilot))
        assert "or Tab from the prompt" in panel_text(pilot)
        assert prompt_of(pilot).has_focus


async def test_a_letter_right_after_a_dialog_over_the_question_is_no_answer() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot)
        key(pilot, "f1")
        await until(pilot, lambda: session.app.screen is not panel.screen)
        of_long_ago(panel)
        key(pilot, "escape")
        await until(pilot, lambda: session.app.screen is panel.screen)
        await pilot.press("a")
        assert (panel.has_focus, prompt_of(pilot).text) == (True, "a")
    assert session.tool.ran == []


async def test_a_letter_right_after_the_terminal_was_left_is_no_answer() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        session.app.post_message(events.AppBlur())
        panel = await questioned(pilot)
        await until(pilot, lambda: panel.has_focus)
        of_long_ago(panel)
        session.app.post_message(events.AppFocus())
        await pilot.pause()
        await pilot.press("a")
        assert (panel.has_focus, prompt_of(pilot).text) == (True, "a")
    assert session.tool.ran == []


@pytest.mark.parametrize(
    ("opens", "is_left"),
    [("ctrl+f", False), ("ctrl+r", False), ("ctrl+b", False), ("ctrl+f", True)],
)
async def test_a_question_takes_no_keys_from_what_is_searched_or_chosen(
    opens: str, is_left: bool
) -> None:
    tool = Runner()
    tool.gate.clear()
    session = Session(tool, "look", "make")
    async with session.app.run_test(size=(120, 30)) as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "look")
        await pilot.press("y")
        await gone(pilot)
        key(pilot, opens)
        await until(pilot, lambda: pilot.app.focused not in (None, prompt_of(pilot)))
        used = pilot.app.focused
        if is_left:
            session.app.post_message(events.AppBlur())
            await until(pilot, lambda: pilot.app.focused is None)
        tool.gate.set()
        await until(pilot, lambda: panel.display and "make" in panel_text(pilot))
        if is_left:
            session.app.post_message(events.AppFocus())
        await until(pilot, lambda: pilot.app.focused is used)
        assert not panel.has_focus
    assert tool.ran == ["look"]


async def test_whoever_is_writing_keeps_the_focus_and_goes_to_the_question_by_a_key() -> None:
    tool = Runner()
    tool.gate.clear()
    session = Session(tool, "look", "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "look")
        await pilot.press("y")
        await gone(pilot)
        await pilot.press(*"half")
        tool.gate.set()
        await until(pilot, lambda: panel.display and "make" in panel_text(pilot))
        assert "or Tab from the prompt" in panel_text(pilot)
        await pilot.press("y")
        assert prompt_of(pilot).text == "halfy"
        assert tool.ran == ["look"]
        await pilot.press("tab")
        await until(pilot, lambda: panel.has_focus and not panel.is_guarded)
        await pilot.press("n")
        await answered(pilot, "the end")


async def test_keys_that_keep_coming_keep_the_guard_up() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await questioned(pilot)
        panel.guard = 3600
        await until(pilot, lambda: panel.has_focus)
        before = panel._quiet_since
        await pilot.press("h")
        assert panel._quiet_since > before
