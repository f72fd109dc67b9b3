"""Takes the pictures in ``screenshots/``: ``just screenshots``.

The demo answers, nothing is asked of the network, and the clock is ours: whoever runs this gets the
same bytes, whatever the day and the machine.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from cody_core.client import Client
from cody_core.providers import Provider
from cody_core.providers.pool import ProviderPool
from cody_core.providers.scripted import ScriptedProvider
from cody_core.runtime import open_runtime
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.threads import ThreadChanges
from cody_core.settings import Settings, load_settings
from textual.pilot import Pilot
from textual.widgets import OptionList, Static
from tui.screen import answered, key, prompt_of, rows, send, shown, until

from cody_tui import remembered
from cody_tui.app import CodyApp
from cody_tui.dialogs.models import ASKING
from cody_tui.dialogs.threads import IN_TEXT
from cody_tui.messages import Choices
from cody_tui.widgets.approval import Approval
from cody_tui.widgets.one_line import OneLine
from cody_tui.widgets.seek import Seek
from cody_tui.widgets.sidebar import Sidebar

FOLDER: Final = Path(__file__).parents[1] / "screenshots"
TODAY: Final = date(2026, 1, 15)
PATIENCE: Final = 60.0
"""Seconds that a command or a script may take to get going."""
KEPT: Final = ("HOME", "LANG", "PATH", "SYSTEMROOT", "TMPDIR")
"""The environment variables that are let in."""
FILES: Final[Mapping[str, str]] = {
    "README.md": "# Kettle\n\nA small service that knows when the tea is ready.\n",
    "kettle/__init__.py": "",
    "kettle/boil.py": "MINUTES = 3  # TODO: ask the leaves\n",
    "tests/test_boil.py": "from kettle.boil import MINUTES\n",
}
"""What is in the workspace."""
THREADS: Final = (
    (date(2025, 12, 29), "Names for a teapot that is also a service\n\nShort ones, please.", ()),
    (date(2026, 1, 12), "Why does my import take two seconds?\n\nIt is pydantic, I think.", ()),
    (date(2026, 1, 13), "A regular expression for ISO dates\n\nWithout look-behind.", ("python",)),
    (date(2026, 1, 14), "Plan the trip to Kyoto\n\nTwo days, much tea, no museums.", ("travel",)),
    (date(2026, 1, 14), "Explain this stack trace\n\nIt says RecursionError in boil.py.", ()),
    (TODAY, "Rename the teapot module to kettle\n\nAnd fix what imports it.", ("python",)),
    (TODAY, "Draft the release notes\n\nThe teapot has got a lid, and the spout is fixed.", ()),
)
"""What was said before: the day, the prompt and the tags, oldest first."""

Act: TypeAlias = Callable[[Pilot[None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Picture:
    """What is done before the picture is taken, and with what."""

    name: str
    act: Act
    model: str = "demo/tour"
    size: tuple[int, int] = (100, 30)
    theme: str = "cody-dark"
    has_threads: bool = False


async def chat(pilot: Pilot[None], *, start: bool = True) -> None:
    await send(pilot, "What can you do?")
    await answered(pilot, "Enjoy!")
    if start:
        key(pilot, "ctrl+home")
        await until(pilot, lambda: "What can you do?" in shown(pilot))


async def reasoning(pilot: Pilot[None]) -> None:
    await chat(pilot)
    key(pilot, "alt+up", "alt+up", "ctrl+o")
    await until(pilot, lambda: "So I should be honest" in shown(pilot))
    key(pilot, "escape", "ctrl+home")
    await until(pilot, lambda: "What can you do?" in rows(pilot)[0])


async def tool_call(pilot: Pilot[None]) -> None:
    await send(pilot, "Look around and leave a note")
    await approve(pilot, "pwd")
    await asked(pilot, "Written by the demo")


async def script(pilot: Pilot[None]) -> None:
    await send(pilot, "How many directories are there, and what is left to do?")
    await approve(pilot, "uname")  # reading needs no consent
    await answered(pilot, "came back with")


async def thread_search(pilot: Pilot[None]) -> None:
    await chat(pilot)
    key(pilot, "ctrl+t")
    await until(pilot, lambda: THREADS[-1][1].split("\n")[0] in listed(pilot))
    key(pilot, *"teapot")
    await until(pilot, lambda: IN_TEXT in listed(pilot))
    key(pilot, "down", "down")
    await until(pilot, lambda: "the spout is fixed" in noted(pilot))


async def model_picker(pilot: Pilot[None]) -> None:
    await chat(pilot)
    key(pilot, "ctrl+k")
    await until(pilot, lambda: bool(listed(pilot)) and ASKING not in noted(pilot))


async def search(pilot: Pilot[None]) -> None:
    await chat(pilot)
    key(pilot, "ctrl+f")
    await until(pilot, lambda: isinstance(pilot.app.focused, OneLine))
    bar = pilot.app.screen.query_one(Seek)
    key(pilot, *"show")
    await until(pilot, lambda: bar.place == "1/2")
    key(pilot, "enter")
    await until(pilot, lambda: bar.place == "2/2")


async def sidebar(pilot: Pilot[None]) -> None:
    await chat(pilot)
    await stored(pilot)
    key(pilot, "ctrl+b")
    await until(pilot, lambda: bool(pilot.app.screen.query(Sidebar)))
    threads = pilot.app.screen.query_one(Sidebar)
    await until(pilot, lambda: threads.chosen is not None)
    key(pilot, "down", "down")


PICTURES: Final = (
    Picture("chat", chat, size=(120, 36)),
    Picture("reasoning", reasoning),
    Picture("tool-call", tool_call, "demo/work"),
    Picture("script", script, "demo/script", (100, 36)),
    Picture("thread-search", thread_search, has_threads=True),
    Picture("search", search),
    Picture("model-picker", model_picker, size=(100, 36)),
    Picture("light", chat, theme="cody-light"),
    Picture("small", partial(chat, start=False), size=(80, 24)),
    Picture("sidebar", sidebar, size=(120, 36), has_threads=True),
)


# What there is to see


def listed(pilot: Pilot[None]) -> str:
    """Return what a dialog lists."""
    if not (lists := pilot.app.screen.query(OptionList)):
        return ""
    return "\n".join(str(option.prompt) for option in lists.first().options)


def noted(pilot: Pilot[None]) -> str:
    """Return what a dialog says below its list."""
    return str(pilot.app.screen.query_one(".picker--note", Static).content)


async def asked(pilot: Pilot[None], text: str) -> None:
    """Wait for a question about something."""
    query = pilot.app.screen.query
    await until(pilot, lambda: any(text in question(one) for one in query(Approval)), PATIENCE)


async def approve(pilot: Pilot[None], text: str) -> None:
    """Consent to what is asked about something, and wait until that has arrived."""
    await asked(pilot, text)
    panel = pilot.app.screen.query_one(Approval)
    before = question(panel)
    panel.guard = 0
    panel.action_answer("approve")
    await until(pilot, lambda: not panel.display or question(panel) != before)


def question(panel: Approval) -> str:
    """Return all that the panel says while it asks."""
    return "" if not panel.display else "\n".join(str(text.content) for text in panel.query(Static))


async def stored(pilot: Pilot[None]) -> None:
    """Wait until no thread is listed as live: that follows a moment after the answer."""
    assert isinstance(pilot.app, CodyApp)
    client = pilot.app.get_default_screen().client
    assert client is not None
    while any(thread.state for thread in (await client.threads()).threads):
        await asyncio.sleep(0.01)


# What is the same everywhere


class Clock:
    """Stands still for people, and goes on by a microsecond whenever a program looks."""

    def __init__(self) -> None:
        self._ticks = count()
        self.day = TODAY

    def ns(self) -> int:
        """Return the time in nanoseconds: shortly after noon."""
        noon = datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=UTC)
        return int(noon.timestamp()) * 1_000_000_000 + next(self._ticks) * 1_000

    def seconds(self) -> float:
        """Return the time in seconds."""
        return self.ns() / 1_000_000_000


class _Day(date):
    """A calendar that is open at one page."""

    @classmethod
    def today(cls) -> _Day:
        """Return the day of the pictures."""
        return cls(TODAY.year, TODAY.month, TODAY.day)


@contextmanager
def same_everywhere(folder: Path) -> Iterator[Clock]:
    """Shut out the machine: its environment, its configuration, its clock and where it is."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ).difference(KEPT):
            patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("TZ", "UTC")
        time.tzset()
        patch.setattr(time, "time", clock.seconds)
        patch.setattr(time, "time_ns", clock.ns)
        patch.setattr("cody_tui.widgets.sidebar.date", _Day)
        patch.setattr("cody_tui.dialogs.threads.date", _Day)
        workspace = folder / "kettle"
        for path, text in FILES.items():
            (workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (workspace / path).write_text(text, encoding="utf-8")
        patch.chdir(workspace)
        yield clock


@asynccontextmanager
async def offline(settings: Settings) -> AsyncGenerator[Client]:
    """Open a runtime whose providers, but for the demo, have nothing to say and ask nobody."""
    silent: dict[str, Provider] = {
        name: ScriptedProvider((), models=()) for name in settings.provider_names if name != "demo"
    }
    async with open_runtime(settings, providers=ProviderPool(settings, silent)) as client:
        yield client


async def remember(settings: Settings, clock: Clock) -> None:
    """Have the threads said."""
    async with offline(settings) as client:
        for day, prompt, tags in THREADS:
            clock.day = day
            submitted = await client.submit(SubmitRequest(prompt=prompt, model="demo/echo"))
            async with aclosing(client.follow(submitted.run_id)) as batches:
                async for _ in batches:
                    pass
            if tags:
                await client.update_thread(submitted.thread_id, ThreadChanges(tags=tags))
    clock.day = TODAY


async def take(picture: Picture) -> str:
    """Return a picture as SVG."""
    with tempfile.TemporaryDirectory() as name, same_everywhere(Path(name)) as clock:
        settings = load_settings(
            model=picture.model,
            demo_delay=0.0,
            home=Path(name) / "home",
            system="Be kind.",
            openai_api_key="none",
            anthropic_api_key="none",
        )
        for model in ("anthropic/claude-haiku-4.5", "demo/tour"):
            remembered.model_used(settings.home, model)
        if picture.has_threads:
            await remember(settings, clock)
        app = CodyApp(
            partial(offline, settings), choices=Choices(model=picture.model), settings=settings
        )
        async with app.run_test(size=picture.size) as pilot:
            app.theme = picture.theme
            await until(pilot, lambda: app.focused is prompt_of(pilot))
            await picture.act(pilot)
            await pilot.pause()
            return _spaced(app.export_screenshot(simplify=True))


def _spaced(svg: str) -> str:
    """Keep spaces by the standard's own attribute: not all viewers draw leading no-break ones."""
    return svg.replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" ')


def main(pictures: Sequence[Picture] = PICTURES) -> None:
    """Take all pictures anew, and remove what is none of them."""
    FOLDER.mkdir(exist_ok=True)
    for picture in pictures:
        svg = asyncio.run(take(picture))
        (FOLDER / f"{picture.name}.svg").write_text(svg, encoding="utf-8")
    names = {f"{picture.name}.svg" for picture in pictures}
    for path in FOLDER.iterdir():
        if path.name not in names:
            path.unlink()


if __name__ == "__main__":
    main()
