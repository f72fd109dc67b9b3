"""Up and Down: whatever stood in the field when they were pressed can be had back."""

from __future__ import annotations

from typing import Any

from tui.conftest import MakeApp
from tui.screen import answered, prompt_of, send, until

from cody_tui.widgets.history import History


def test_a_prompt_that_was_changed_is_a_draft_and_the_draft_before_it_is_kept() -> None:
    history = History()
    history.replace(["one", "two"])
    assert history.go(1, "draft") == "two"
    history.shows("two")
    assert history.drafts("two") == ("draft",)
    assert history.drafts("two!") == ("draft", "two!")
    assert history.go(-1, "two!") is None
    assert history.go(1, "two!") == "draft"
    history.shows("draft")
    assert history.go(1, "draft") == "two"
    history.shows("two")
    assert history.go(-1, "two") == "draft"
    history.shows("draft")
    assert history.go(-1, "draft") == "two!"


def test_a_draft_is_kept_when_other_prompts_come() -> None:
    history = History()
    history.replace(["one"])
    history.go(1, "draft")
    history.shows("one")
    history.replace(["two"])
    assert history.newest_first == ["draft", "two"]
    assert history.drafts("one") == ("one",)


async def test_a_recalled_prompt_can_be_edited_and_left(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test() as pilot:
        for text in ("one", "two"):
            await send(pilot, text)
            await answered(pilot, text)
        prompt = prompt_of(pilot)
        await pilot.press("up", "!", "up")
        assert prompt.text == "two"
        await pilot.press("up")
        assert prompt.text == "one"
        await pilot.press("down", "down", "down")
        assert prompt.text == "two!"


async def test_a_draft_comes_back_when_the_prompt_recalled_over_it_is_sent(
    make_app: MakeApp,
) -> None:
    async with make_app("demo/echo").run_test() as pilot:
        await send(pilot, "one")
        await answered(pilot, "one")
        prompt = prompt_of(pilot)
        prompt.write("a draft")
        await pilot.press("up", "!", "enter")
        await answered(pilot, "one!")
        assert prompt.text == "a draft"


async def test_the_draft_below_a_recalled_prompt_stays_with_its_thread(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test() as pilot:
        await send(pilot, "one")
        await answered(pilot, "one")
        screen: Any = app.screen
        thread_id = screen.thread_id
        prompt = prompt_of(pilot)
        prompt.write("a draft")
        await pilot.press("up")
        screen.open_thread(None)
        await pilot.press("down")
        assert prompt.text == ""
        screen.open_thread(thread_id)
        await until(pilot, lambda: prompt.text == "a draft")
        await answered(pilot, "one")
        await pilot.press("up")
        assert prompt.text == "one"
    async with make_app("demo/echo", thread_id=thread_id).run_test() as pilot:
        await until(pilot, lambda: prompt_of(pilot).text == "a draft")
