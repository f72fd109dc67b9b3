"""The terminal program: one app around a client that somebody else opens.

The app owns the client's lifetime. A worker enters the context after the first paint, so that
nothing heavy stands before it, and leaves it when the app is quit, which waits for that: live runs
are ended and saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from cody_core.errors import CodyError
from textual import on, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from cody_tui.messages import Choices, ThreadShown
from cody_tui.screens.chat import ChatScreen
from cody_tui.text import one_line
from cody_tui.themes import DARK, THEMES

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.settings import Settings, UiSettings

NAME: Final = "Cody"
TITLE_LENGTH: Final = 60
NEEDED_LATER: Final = ("cody_tui.follow", "cody_tui.widgets.run", "cody_tui.widgets.stream")
"""Modules that bring the core's schema and the Markdown parser: too slow for the first paint."""

OpenClient: TypeAlias = "Callable[[], AbstractAsyncContextManager[Client]]"


class CodyApp(App[None]):
    """Cody in a terminal."""

    TITLE = NAME
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "screens/chat.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", id="app.quit", tooltip="Quit Cody", priority=True),
        Binding(
            "ctrl+c", "copy_or_warn", "Copy", id="app.copy", tooltip="Copy what is selected",
            show=False, system=True,
        ),
    ]  # fmt: skip

    def __init__(
        self,
        open_client: OpenClient,
        *,
        choices: Choices | None = None,
        settings: Settings | None = None,
        thread_id: str | None = None,
        notice: str | None = None,
    ) -> None:
        """Prepare the app.

        Args:
            open_client: Makes the context that yields the client; entered after the first paint.
            choices: What prompts are sent with; or what the settings say.
            settings: How to look and behave, and where things are; or as by default.
            thread_id: The thread to continue; without it, a new one begins.
            notice: Something to say before anything else.
        """
        super().__init__()
        self.settings = settings
        self.ui = settings.ui if settings is not None else _usual_ui()
        self._open_client = open_client
        self._chat = ChatScreen(choices=choices, thread_id=thread_id, notice=notice)
        self._leaving = asyncio.Event()
        self._connection: Worker[None] | None = None
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name

    def get_default_screen(self) -> ChatScreen:
        """Return the one screen there is."""
        return self._chat

    def on_mount(self) -> None:
        """Connect once the first frame is out."""
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        self._connection = self._connect()

    @work(group="client")
    async def _connect(self) -> None:
        for module in NEEDED_LATER:
            await asyncio.to_thread(importlib.import_module, module)
        try:
            async with self._open_client() as client:
                self._chat.connect(client)
                await self._leaving.wait()
        except CodyError as error:
            if not self._leaving.is_set():
                self._chat.disconnect(error)

    async def action_quit(self) -> None:
        """Leave the client in order, then the terminal."""
        await self._leave()
        self.exit()

    async def on_unmount(self) -> None:
        """Leave the client in order also when it was not the user who quit."""
        await self._leave()

    async def _leave(self) -> None:
        self._leaving.set()
        if self._connection is None:
            return
        await self._chat.leave()
        with contextlib.suppress(WorkerCancelled, WorkerFailed):
            await self._connection.wait()

    def action_copy_or_warn(self) -> None:
        """Say why nothing was copied: no key that other programs stop with ends work here."""
        self.notify("Nothing is selected. Ctrl+Q quits.", timeout=3, markup=False)

    @on(ThreadShown)
    def _show_title(self, event: ThreadShown) -> None:
        title = one_line(event.title, TITLE_LENGTH) if event.title else ""
        self.title = f"{title} · {NAME}" if title else NAME


def _usual_ui() -> UiSettings:
    from cody_core.settings import UiSettings  # brings pydantic: not before the first paint

    return UiSettings()
