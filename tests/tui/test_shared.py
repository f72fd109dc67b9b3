"""The app on a store that other machines share, and that may be away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cody_core.runtime import open_runtime
from cody_core.schema.requests import SubmitRequest
from support.convex import ConvexServer
from textual.pilot import Pilot
from tui.conftest import MakeApp, MakeSettings
from tui.screen import answered, key, send, until

from cody_tui.widgets.sidebar import Sidebar
from cody_tui.widgets.status import Status

ECHO = "demo/echo"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cody_core.workers.persist.LONGEST_PAUSE", 0.05)
    monkeypatch.setattr("cody_core.workers.recovery.LONGEST_PAUSE", 0.05)
    monkeypatch.setattr("cody_core.runtime.GRACE_SECONDS", 0.2)


@pytest.fixture
def on_convex(convex: ConvexServer) -> dict[str, str]:
    return {"convex_url": convex.url, "convex_deploy_key": convex.key}


def listed(pilot: Pilot[None]) -> list[str]:
    return [row.text for row in pilot.app.query_one(Sidebar).rows if row.thread is not None]


def is_pending(pilot: Pilot[None]) -> bool:
    return "saving is pending" in pilot.app.screen.query_one(Status).render().plain


async def test_a_thread_of_another_machine_is_in_the_sidebar_within_a_second(
    make_app: MakeApp, make_settings: MakeSettings, on_convex: dict[str, str], tmp_path: Path
) -> None:
    elsewhere = make_settings(**on_convex, home=tmp_path / "elsewhere")
    async with (
        make_app(ECHO, **on_convex).run_test(size=(100, 30)) as pilot,
        open_runtime(elsewhere) as there,
    ):
        await until(pilot, lambda: pilot.app.query_one(Status).state == "ready")
        key(pilot, "ctrl+b")
        await until(pilot, lambda: bool(pilot.app.query(Sidebar)))
        await until(pilot, lambda: pilot.app.query_one(Sidebar)._is_told)
        began = time.monotonic()
        await there.submit(SubmitRequest(prompt="from over there", model=ECHO))
        await until(pilot, lambda: listed(pilot) == ["from over there"])
        assert time.monotonic() - began < 1


async def test_the_screen_says_that_saving_is_pending_also_after_a_restart(
    make_app: MakeApp, on_convex: dict[str, str], convex: ConvexServer
) -> None:
    async with make_app(ECHO, **on_convex).run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: pilot.app.query_one(Status).state == "ready")
        assert not is_pending(pilot)
        convex.stop()
        await send(pilot, "hello there")
        await answered(pilot, "hello there")
        await until(pilot, lambda: is_pending(pilot))
    async with make_app(ECHO, **on_convex).run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: is_pending(pilot))
        convex.start()
        await until(pilot, lambda: not is_pending(pilot))
        key(pilot, "ctrl+b")
        await until(pilot, lambda: bool(pilot.app.query(Sidebar)))
        await until(pilot, lambda: listed(pilot) == ["hello there"])
