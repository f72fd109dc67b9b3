"""Moving about: where the keys go."""

from __future__ import annotations

from tui.conftest import MakeApp
from tui.screen import answered, key, notes, prompt_of, send, until

from cody_tui.widgets.sidebar import Sidebar


async def test_what_is_typed_after_a_new_thread_began_is_its_prompt(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test() as pilot:
        await send(pilot, "keep me")
        await answered(pilot, "keep me")
        key(pilot, "ctrl+b")
        await until(pilot, lambda: isinstance(pilot.app.focused, Sidebar))
        key(pilot, "ctrl+n", *"do this")
        await until(pilot, lambda: prompt_of(pilot).text == "do this")
        assert "Deleted" not in notes(pilot)
