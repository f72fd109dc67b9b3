"""What a test sees of the app, and how it waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.geometry import Region
from textual.pilot import Pilot

from cody_tui.screens.chat import ChatScreen
from cody_tui.screens.doing import GROUP
from cody_tui.widgets.approval import Approval
from cody_tui.widgets.prompt import Prompt
from cody_tui.widgets.status import Status
from cody_tui.widgets.transcript import Transcript


def rows(pilot: Pilot[None]) -> list[str]:
    """Return what the transcript shows, row by row."""
    transcript = pilot.app.screen.query_one(Transcript)
    width, height = transcript.size
    return [strip.text.rstrip() for strip in transcript.render_lines(Region(0, 0, width, height))]


def shown(pilot: Pilot[None]) -> str:
    return "\n".join(rows(pilot))


def prompts(pilot: Pilot[None]) -> list[str]:
    return [row for row in rows(pilot) if row.startswith("▌")]


def state(pilot: Pilot[None]) -> str:
    return pilot.app.screen.query_one(Status).state


def line(pilot: Pilot[None]) -> str:
    """Return what the status line says."""
    return pilot.app.screen_stack[0].query_one(Status).render().plain


def notes(pilot: Pilot[None]) -> str:
    """Return the passing notes that there are, seen or not."""
    return "\n".join(note.message for note in pilot.app._notifications)


def seen(pilot: Pilot[None]) -> list[str]:
    """Return all rows of the screen, dialogs included."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def chat(pilot: Pilot[None]) -> ChatScreen:
    """Return the screen that everything else is opened over."""
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ChatScreen)
    return screen


def prompt_of(pilot: Pilot[None]) -> Prompt:
    return pilot.app.screen.query_one(Prompt)


def transcript_of(pilot: Pilot[None]) -> Transcript:
    return pilot.app.screen.query_one(Transcript)


async def until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until it is so; fails with what is on the screen."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        msg = f"it did not come to that; state {state(pilot)!r}, screen:\n{shown(pilot)}"
        raise AssertionError(msg) from None


async def ready(pilot: Pilot[None]) -> None:
    """Wait until prompts can be sent, and are written."""
    await until(pilot, lambda: state(pilot) == "ready")
    await until(pilot, lambda: pilot.app.focused is prompt_of(pilot))


def key(pilot: Pilot[None], *names: str) -> None:
    """Press keys without waiting: the pilot waits for an idle processor, text streaming or not."""
    for name in names:
        pilot.app.simulate_key(name)


async def send(pilot: Pilot[None], text: str) -> None:
    """Put a prompt into the field at once, press Enter, and wait until the app has taken it."""
    await until(pilot, lambda: pilot.app.focused is prompt_of(pilot))
    before = prompts(pilot)
    prompt_of(pilot).write(text)
    key(pilot, "enter")
    await until(pilot, lambda: not prompt_of(pilot).text or state(pilot) == "offline")
    await until(pilot, lambda: state(pilot) != "ready" or prompts(pilot) != before)


async def do(pilot: Pilot[None], action: str, argument: str = "") -> None:
    """Do an action, and wait for its end, however long it takes."""
    await chat(pilot).do(action, argument)
    workers = pilot.app.workers
    await until(pilot, lambda: all(each.is_finished for each in workers if each.group == GROUP))


async def questioned(pilot: Pilot[None]) -> Approval:
    """Wait until something is asked, and return the panel that asks."""
    screen = pilot.app.screen
    await until(pilot, lambda: any(panel.display for panel in screen.query(Approval)))
    return screen.query_one(Approval)


async def completed(pilot: Pilot[None]) -> None:
    """Wait until the first answer of the session is complete, and its tokens are counted."""
    status = pilot.app.screen.query_one(Status)
    await until(pilot, lambda: status.state == "ready" and status.usage is not None)


async def answered(pilot: Pilot[None], text: str) -> None:
    """Wait until a text is on the screen and nothing is on its way."""
    await until(pilot, lambda: state(pilot) == "ready" and text in shown(pilot))
