"""Palette, help, status and the line at the bottom: everything is findable."""

from __future__ import annotations

import pytest
from cody_core.schema.models import ModelInfo
from cody_core.schema.prices import Price
from cody_core.schema.response import Response, Usage
from textual.widgets import OptionList, Static
from tui.conftest import MakeApp
from tui.screen import (
    answered,
    chat,
    completed,
    key,
    line,
    prompt_of,
    questioned,
    ready,
    send,
    state,
    until,
)

from cody_tui.app import CodyApp
from cody_tui.dialogs.commands import Commands
from cody_tui.dialogs.help import Help
from cody_tui.dialogs.picking import Picker
from cody_tui.dialogs.status import StatusDialog
from cody_tui.features.listing import ACTIONS
from cody_tui.matching import best, score
from cody_tui.screens.chat import ChatScreen
from cody_tui.standing import Share, bill, count, share_of
from cody_tui.widgets.approval import Approval
from cody_tui.widgets.status import FIRST

ID = "01890000-0000-7000-8000-000000000000"


def options(app: CodyApp) -> list[str]:
    return [
        str(option.prompt) for found in app.screen.query(OptionList) for option in found.options
    ]


async def test_the_first_frame_names_the_keys_that_count_and_a_key_before_the_next_is_heard(
    make_app: MakeApp,
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        key(pilot, "ctrl+p")  # nothing is waited for
        await until(pilot, lambda: isinstance(app.screen, Commands))
        key(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await ready(pilot)
        await until(pilot, lambda: set(FIRST) <= set(chat(pilot).status.bound))


async def test_the_palette_lists_every_action_and_does_one(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        key(pilot, "ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, Commands))
        listed = [action for action in ACTIONS if action.listed]
        await until(pilot, lambda: len(options(app)) == len(listed))
        shown = "\n".join(options(app))
        assert all(action.title in shown for action in listed)
        assert all(f"/{action.slash}" in shown for action in listed if action.slash)
        key(pilot, *"how", "space", *"things")
        await until(pilot, lambda: "how things" in "".join(options(app)[:1]))
        key(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, StatusDialog))


async def test_the_help_shows_changed_keys_and_is_searched_and_left(make_app: MakeApp) -> None:
    app = make_app("demo/echo", bindings={"chat.new": "f9", "approval.approve": "j"})
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        key(pilot, "f1")
        await until(pilot, lambda: isinstance(app.screen, Help) and bool(options(app)))
        shown = "\n".join(options(app))
        assert all(action.title in shown for action in ACTIONS)
        titles = ("Allow this call", "Begin a selection", "Delete the thread", "The entry above")
        assert all(title in shown for title in titles)
        assert any("Begin a new thread" in o and "F9" in o and "/new" in o for o in options(app))
        key(pilot, *"allow", "space", *"this")
        await until(pilot, lambda: "Allow this call" in options(app)[1])
        assert options(app)[1].split()[-1] == "j"
        await pilot.click(OptionList, offset=(5, 1))
        assert isinstance(app.screen, Help)
        key(pilot, "enter", "enter")
        await until(pilot, lambda: app.screen is chat(pilot))


async def test_the_status_says_what_the_thread_took_and_where_things_are(make_app: MakeApp) -> None:
    app = make_app("demo/echo", context_tokens=1000)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        await send(pilot, "hello")
        await completed(pilot)
        await until(pilot, lambda: "% of 1k" in line(pilot))
        await chat(pilot).do("status.show")
        await until(pilot, lambda: isinstance(app.screen, StatusDialog))
        await until(pilot, lambda: len(app.screen.query(Static)) > 10)
        text = "\n".join(str(static.render()) for static in app.screen.query(Static))
        for part in ("demo/echo", "ask: changes", "% of 1k", "memory", "cody.db", "not known"):
            assert part in text
        key(pilot, "escape")
        await until(pilot, lambda: app.screen is chat(pilot))


def said(panel: Approval) -> str:
    return "\n".join(str(text.content) for text in panel.query(Static))


async def test_tab_goes_to_the_question_and_back_and_only_the_panel_names_its_keys(
    make_app: MakeApp,
) -> None:
    app = make_app("demo/work", bindings={"approval.approve": "j"})
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        await send(pilot, "do it")
        panel = await questioned(pilot)
        await until(pilot, lambda: state(pilot) == "asking")
        panel.guard = 0
        await until(pilot, lambda: app.focused is panel)
        await until(pilot, lambda: "j approve" in said(panel) and "n deny" in said(panel))
        assert "approve" not in line(pilot)
        key(pilot, "shift+tab")
        await until(pilot, lambda: app.focused is prompt_of(pilot))
        await until(pilot, lambda: "or Tab from the prompt" in said(panel))
        key(pilot, "tab")
        await until(pilot, lambda: app.focused is panel)
        key(pilot, "n")
        await until(pilot, lambda: state(pilot) != "asking")


@pytest.mark.parametrize("width", [20, 40, 80, 160])
async def test_the_line_stays_one_and_keeps_the_policy(make_app: MakeApp, width: int) -> None:
    app = make_app("demo/echo", policy="full-auto")
    async with app.run_test(size=(width, 24)) as pilot:
        await ready(pilot)
        status = chat(pilot).status
        status.usage = Usage(prompt_tokens=1_234_567, completion_tokens=54_321, total_tokens=1)
        status.share = Share(150_000, 200_000)
        status.model = "a-model-with-a-long-name-indeed-so"
        status.agent = "careful"
        await until(pilot, lambda: "⚠ full-auto" in line(pilot))
        assert status.render().cell_length <= status.content_size.width or width == 20
        assert ("F1 help" in line(pilot)) == (width == 160)


async def test_live_the_line_says_how_to_stop(make_app: MakeApp) -> None:
    app = make_app("demo/long", 0.01)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "Enter send" in line(pilot)
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering")
        assert "Esc stop" in line(pilot)
        assert "Enter send" not in line(pilot)
        key(pilot, "escape")
        await answered(pilot, "■ stopped")


async def test_words_stand_for_signs_where_somebody_listens(make_app: MakeApp) -> None:
    app = make_app("demo/echo", policy="full-auto", ui={"screen_reader": True})
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        assert "careful: full-auto" in line(pilot)
        key(pilot, "ctrl+k")
        await until(pilot, lambda: isinstance(app.screen, Picker) and bool(options(app)))
        assert any(option.startswith("in use: echo") for option in options(app))
        drawn = "".join(strip.text for strip in app.screen._compositor.render_strips())
        assert not set("─│╭╮╰╯▌") & set(drawn)


def run(usage: Usage, *, model: str = "m") -> Response:
    return Response(
        id=ID,
        turn_id=ID,
        thread_id=ID,
        model_id=model,
        provider_id="p",
        created_at=0,
        updated_at=0,
        status="complete",
        usage=usage,
    )


def test_a_thread_costs_what_its_models_cost_as_far_as_known() -> None:
    price = Price(prompt=1, completion=2, as_of="2025-01-01")
    models = [ModelInfo(id="m", provider_id="p", context_tokens=200_000, price=price)]
    usage = Usage(prompt_tokens=20_000, completion_tokens=4_000, total_tokens=24_000)
    known, unknown = run(usage), run(usage, model="other")
    found = bill([known, known], models)
    assert found is not None
    assert found.dollars == pytest.approx(0.056)
    assert found.is_complete
    found = bill([known, unknown], models)
    assert found is not None
    assert found.dollars == pytest.approx(0.028)
    assert not found.is_complete
    assert bill([unknown], models) is None
    share = share_of([known], models, "p/m")
    assert share is not None
    assert share.text == "12% of 200k"
    assert share_of([known], models, "p/other") is None


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(0, "0"), (999, "999"), (1000, "1k"), (1234, "1.2k"), (200_000, "200k"), (1_000_000, "1M")],
)
def test_counts_are_short(tokens: int, text: str) -> None:
    assert count(tokens) == text


def test_what_begins_a_word_is_found_before_what_is_scattered() -> None:
    names = ["chat/g5p", "openai/gpt-5", "agptx", "nothing"]
    assert best("gpt", names, str) == ["openai/gpt-5", "agptx"]
    assert best("gp", names, str) == ["openai/gpt-5", "agptx", "chat/g5p"]
    assert best("open 5", names, str) == ["openai/gpt-5"]
    assert best(" ", names, str) == names
    assert score("aaaaaaaaaaaaaaaaaaaaaaab", "a" * 5000) == 0
