"""Choosing model, agent, policy, effort and theme."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets._toast import Toast
from tui.conftest import MakeApp
from tui.screen import answered, chat, do, key, notes, ready, send, state, until

from cody_tui import remembered
from cody_tui.dialogs.agents import AgentPicker
from cody_tui.dialogs.models import ModelPicker, entries, unreachable
from cody_tui.dialogs.picking import Picker
from cody_tui.dialogs.themes import ThemePicker
from cody_tui.messages import Choices
from cody_tui.screens.chat import ChatScreen
from cody_tui.widgets.status import Status


def choices(pilot: Pilot[None]) -> Choices:
    return chat(pilot).choices


async def opened(pilot: Pilot[None], kind: type[Picker]) -> Picker:
    await until(pilot, lambda: isinstance(pilot.app.screen, kind) and pilot.app.screen.is_mounted)
    picker = pilot.app.screen
    assert isinstance(picker, Picker)
    await until(pilot, lambda: picker.highlighted is not None)
    return picker


async def test_a_model_is_found_by_typing_chosen_and_used(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app("demo/tour")
    async with app.run_test() as pilot:
        await ready(pilot)
        key(pilot, "ctrl+k")
        picker = await opened(pilot, ModelPicker)
        assert picker.highlighted == "demo/tour"
        key(pilot, *"dech")
        await until(pilot, lambda: picker.highlighted == "demo/echo")
        key(pilot, "enter")
        await until(pilot, lambda: choices(pilot).model == "demo/echo")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await send(pilot, "say this")
        await answered(pilot, "  say this")
    assert remembered.recent_models(tmp_path / "home") == ["demo/echo"]


async def test_escape_keeps_the_model(make_app: MakeApp) -> None:
    app = make_app("demo/tour")
    async with app.run_test() as pilot:
        await ready(pilot)
        key(pilot, "ctrl+k")
        await opened(pilot, ModelPicker)
        key(pilot, "down", "escape")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert choices(pilot).model == "demo/tour"


@pytest.mark.parametrize(
    ("said", "model"),
    [
        ("echo", "demo/echo"),
        ("demo/echo", "demo/echo"),
        ("ollama/anything", "ollama/anything"),
        ("nonsense", "demo/tour"),
        ("nobody/echo", "demo/tour"),
    ],
)
async def test_a_model_is_set_by_name_or_refused(make_app: MakeApp, said: str, model: str) -> None:
    app = make_app("demo/tour")
    async with app.run_test() as pilot:
        await ready(pilot)
        await do(pilot, "model.choose", said)
        assert choices(pilot).model == model
        refused = model == "demo/tour"
        await until(pilot, lambda: ("There is no model" in notes(pilot)) == refused)


async def test_the_policy_goes_round_and_the_status_line_says_which(make_app: MakeApp) -> None:
    app = make_app("demo/tour")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        status = app.screen.query_one(Status)
        for policy in ("auto-edit", "full-auto", "read-only", "ask"):
            key(pilot, "shift+tab")
            await until(pilot, partial(_has, pilot, policy))
            assert policy in status.render().plain
            assert ("⚠" in status.render().plain) == (policy == "full-auto")


def _has(pilot: Pilot[None], policy: str) -> bool:
    return choices(pilot).policy == policy and f"Policy {policy}" in notes(pilot)


async def test_a_policy_chosen_while_a_run_is_live_is_said_to_count_later(
    make_app: MakeApp,
) -> None:
    app = make_app("demo/long", 0.01)
    async with app.run_test() as pilot:
        await ready(pilot)
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering")
        await chat(pilot).do("policy.set", "read-only")
        await until(pilot, lambda: "next prompt on" in notes(pilot))
        key(pilot, "escape")
        await answered(pilot, "■ stopped")


@pytest.mark.parametrize("what", ["policy.set", "effort.set", "agent.choose", "theme.choose"])
async def test_a_name_that_does_not_exist_changes_nothing(make_app: MakeApp, what: str) -> None:
    app = make_app("demo/tour")
    async with app.run_test() as pilot:
        await ready(pilot)
        theme = app.theme
        await chat(pilot).do(what, "\x1b[2Jnonsense")
        assert choices(pilot) == Choices(model="demo/tour")
        assert app.theme == theme
        await until(pilot, lambda: "There is no" in notes(pilot))
        assert "\x1b" not in notes(pilot)


async def test_an_agent_is_chosen_from_the_settings(make_app: MakeApp) -> None:
    app = make_app("demo/tour", agents={"careful": {"policy": "read-only"}})
    async with app.run_test() as pilot:
        await ready(pilot)
        await chat(pilot).do("agent.choose")
        picker = await opened(pilot, AgentPicker)
        assert picker.highlighted == "default"
        key(pilot, "down", "enter")
        await until(pilot, lambda: choices(pilot).agent == "careful")
        line = chat(pilot).status.render().plain
        assert "@careful" in line
        assert "read-only" in line


async def test_the_effort_goes_round_from_low(make_app: MakeApp) -> None:
    app = make_app("demo/tour", reasoning_effort="high")
    async with app.run_test() as pilot:
        await ready(pilot)
        await chat(pilot).do("effort.set")
        assert choices(pilot).reasoning_effort == "xhigh"
        await chat(pilot).do("effort.set", "none")
        assert choices(pilot).reasoning_effort == "none"


async def test_a_theme_is_seen_while_moving_and_escape_brings_the_old_one_back(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app("demo/tour")
    async with app.run_test() as pilot:
        await ready(pilot)
        await chat(pilot).do("theme.choose")
        await opened(pilot, ThemePicker)
        key(pilot, "down")
        await until(pilot, lambda: app.theme == "cody-light")
        key(pilot, "escape")
        await until(pilot, lambda: app.theme == "cody-dark")
        assert remembered.theme(tmp_path / "home") is None


async def test_a_theme_is_remembered(make_app: MakeApp) -> None:
    app = make_app("demo/tour")
    async with app.run_test() as pilot:
        await ready(pilot)
        await chat(pilot).do("theme.choose", "cody-contrast")
        assert app.theme == "cody-contrast"
    assert make_app("demo/tour").theme == "cody-contrast"
    assert make_app("demo/tour", ui={"theme": "nord"}).theme == "nord"


async def test_choosing_before_there_is_a_connection_is_a_note(
    make_app: MakeApp, unused_tcp_port: int
) -> None:
    app = make_app(redis_url=f"redis://127.0.0.1:{unused_tcp_port}/0")
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: state(pilot) == "offline")
        key(pilot, "ctrl+k")
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        assert "no connection" in notes(pilot)


def test_used_models_come_first_and_silent_providers_are_named() -> None:
    from cody_core.schema.models import ModelInfo

    models = [ModelInfo(id=name, provider_id="p") for name in ("a", "b", "c")]
    found = entries(models, "p/a", ["p/c", "gone/x"])
    assert [(e.value, e.group, e.is_current) for e in found] == [
        ("p/c", "Recently used", False),
        ("p/a", "p", True),
        ("p/b", "p", False),
    ]
    assert unreachable(["ollama", "vllm"]) == "ollama, vllm: not reachable"
    assert unreachable([]) == ""
