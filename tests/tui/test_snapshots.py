"""What only eyes can judge. Look at a new picture before you accept it with --snapshot-update."""

from __future__ import annotations

from collections.abc import Callable

from textual.pilot import Pilot
from tui.conftest import MakeApp
from tui.screen import answered, send, transcript_of, until

Compare = Callable[..., bool]


def answering(text: str, theme: str = "cody-dark") -> Callable[[Pilot[None]], object]:
    async def run(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await send(pilot, "What can you do?")
        await answered(pilot, text)
        await until(pilot, lambda: transcript_of(pilot).is_following)

    return run


def test_an_answer_on_a_dark_screen(snap_compare: Compare, make_app: MakeApp) -> None:
    assert snap_compare(make_app(), terminal_size=(100, 46), run_before=answering("Enjoy!"))


def test_an_answer_on_a_small_light_screen(snap_compare: Compare, make_app: MakeApp) -> None:
    run = answering("Enjoy!", "cody-light")
    assert snap_compare(make_app(), terminal_size=(80, 24), run_before=run)


def test_a_call_and_its_failure(snap_compare: Compare, make_app: MakeApp) -> None:
    run = answering("always right")
    assert snap_compare(make_app("demo/tools"), terminal_size=(100, 24), run_before=run)


def test_an_empty_screen(snap_compare: Compare, make_app: MakeApp) -> None:
    async def run(pilot: Pilot[None]) -> None:
        await answered(pilot, "")

    assert snap_compare(make_app(), terminal_size=(80, 24), run_before=run)
