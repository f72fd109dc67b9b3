"""The terminal program: one app around a client that somebody else opens.

The app owns the client's lifetime. A worker reads the settings after the first paint, if they were
not given, and enters the context, so that nothing heavy stands before it. It leaves it when the app
is quit, which waits for that: live runs are ended and saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from cody_core.errors import CodyError
from cody_core.glance import Glance, environment
from textual import events, on, work
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from cody_tui import collecting
from cody_tui.beginning import Beginning
from cody_tui.keys import Keymap, active, spelled
from cody_tui.leaving import Left
from cody_tui.looks import first_theme, theme_for_terminal, theme_problem
from cody_tui.messages import Called, Choices, ConnectionAsked, ThreadShown
from cody_tui.notify import Caller, Calls
from cody_tui.screens.chat import ChatScreen
from cody_tui.signs import signs
from cody_tui.terminal import TerminalApp
from cody_tui.text import one_line
from cody_tui.themes import THEMES

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.settings import Settings
    from cody_core.ui_settings import UiSettings

    from cody_tui.dialogs.first_run import FirstRun

NAME: Final = "Cody"
TITLE_LENGTH: Final = 60
PATIENCE: Final = 3.0
"""Seconds in which quitting again means it."""
NEEDED_LATER: Final = ("cody_tui.follow", "cody_tui.widgets.run", "cody_tui.widgets.stream")
"""Modules that bring the core's schema and the Markdown parser: too slow for the first paint."""

OpenClient: TypeAlias = "Callable[[], AbstractAsyncContextManager[Client]]"


class CodyApp(TerminalApp):
    """Cody in a terminal."""

    TITLE = NAME
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "calm.tcss", "screens/chat.tcss"]
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
        first_run: FirstRun | None = None,
        look: Glance | None = None,
        read: Callable[[], Beginning] | None = None,
    ) -> None:
        """Prepare the app.

        Args:
            open_client: Makes the context that yields the client; entered after the first paint.
            choices: What prompts are sent with; or what the settings say.
            settings: How to look and behave, and where things are; or as by default.
            thread_id: The thread to continue; without it, a new one begins.
            notice: Something to say before anything else, or after a first run that set up nothing.
            first_run: What can be set up before the client is opened, if the user is to be asked.
            look: What is known of the settings where they are still to be read.
            read: Reads them, in a thread; without it, what was given is all there is.
        """
        super().__init__(ansi_color=_without_colour())
        self.settings = settings
        self.look = look or look_of(settings)
        self._read = read if settings is None else None
        self._open_client = open_client
        notice = self._heed_settings(notice)
        at_once = None if first_run is not None else notice
        self._chat = ChatScreen(choices=choices, thread_id=thread_id, notice=at_once)
        self._notice, self._first_run = notice, first_run
        self._caller: Caller | None = None
        self._thread_title = ""
        self._warned = float("-inf")
        self._has_focus: bool | None = None
        self._leaving = asyncio.Event()
        self._connection: Worker[None] | None = None
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = first_theme(self)
        self._typed = ""
        if self.look.screen_reader:
            self.add_class("-spoken")
        if self.look.reduced_motion or self.look.screen_reader:
            self.animation_level = "none"

    @property
    def ui(self) -> UiSettings:
        """How the program behaves."""
        return self.settings.ui if self.settings is not None else _usual_ui()

    def run(self, **options: Any) -> Any:
        """Run in the terminal, in colours that suit it."""
        self.theme, self._typed = theme_for_terminal(self)
        return super().run(**options)

    def get_default_screen(self) -> ChatScreen:
        """Return the one screen there is."""
        return self._chat

    @property
    def left(self) -> Left:
        """What is on the screen, for the terminal to keep."""
        chat = self._chat
        return Left(self._thread_title or NAME, chat.thread_id, chat.runs)

    @property
    def restore_title(self) -> str:
        """What gives the terminal its own title back once the app has ended."""
        return self._caller.restore if self._caller is not None else ""

    def on_mount(self) -> None:
        """Begin with the settings that were given; others are read once the first frame is out."""
        self._show_cursor()
        if self._read is None:
            self._begin()

    def post_display_hook(self) -> None:
        """Go on after the first frame. Refreshes before it have shown nothing yet."""
        if self._read is not None and self._chat.prompt.size and self.screen is self._chat:
            read, self._read = self._read, None
            self._read_settings(read)

    @work(group="settings")
    async def _read_settings(self, read: Callable[[], Beginning]) -> None:
        self._type_ahead()
        try:
            begun = await asyncio.to_thread(read)
        except (CodyError, OSError) as error:
            self.refused = error.message if isinstance(error, CodyError) else str(error)
            self.exit(return_code=1)
            return
        if self._leaving.is_set():
            return
        self.settings, self._first_run = begun.settings, begun.first_run
        self._notice = self._heed_settings(begun.notice)
        if begun.first_run is None:
            self._chat.begin(self._notice)
        self._begin()

    def _heed_settings(self, notice: str | None) -> str | None:
        """Take over what the settings say of keys; return the notice with what is wrong there."""
        self.keymap = self._keymap_wanted(self.settings.bindings if self.settings else {})
        problem = theme_problem(self) if self.settings is not None else ""
        said = [notice or "", problem, *self.keymap.problems]
        return "\n".join(part for part in said if part) or None

    def _keymap_wanted(self, wanted: Mapping[str, str]) -> Keymap:
        if not wanted:
            return Keymap({})
        from cody_tui.features.keyboard import places
        from cody_tui.features.listing import ACTIONS
        from cody_tui.remapping import remap

        return remap(places(self.BINDINGS, ACTIONS), wanted)

    def _begin(self) -> None:
        """Connect, or let it be settled first whom to ask."""
        self.set_keymap(self.keymap.for_textual)
        self._begin_calling()
        if self._first_run is None:
            self.call_after_refresh(self._start)
            return
        from cody_tui.dialogs.first_run import FirstRunScreen

        self.push_screen(FirstRunScreen(self._first_run), self._set_up)

    def _begin_calling(self) -> None:
        calls = Calls(self.ui.notify, environment())
        self._caller = caller = Caller(
            calls, self.write_to_terminal, long_run=self.ui.long_run, marks=signs(self)
        )
        caller.begin()
        if self._has_focus is not None:
            caller.focus_changed(self._has_focus)
        self.watch(self, "title", caller.title_changed)
        self.watch(self._chat.status, "state", self._state_changed, init=False)

    def _state_changed(self, state: str) -> None:
        runs = self._chat.runs
        if self._caller is not None:
            self._caller.state_changed(state, runs[-1].status if runs else None)

    def bell(self) -> None:
        """Call the user, as each question does: only one who looks elsewhere, and as is set."""
        if self._caller is not None:
            self._caller.ring()

    @on(Called)
    def _tell(self, event: Called) -> None:
        if self._caller is not None:
            self._caller.tell(event.text, event.seconds)

    async def on_event(self, event: events.Event) -> None:
        """Take an event; before a key that may mean something, bring what it may mean."""
        is_text = not isinstance(event, events.Key) or (event.character or "").isalnum()
        if not is_text and self.screen_stack:
            self._chat.equip()
        await super().on_event(event)

    def on_app_focus(self) -> None:
        """The user looks."""
        self._has_focus = True
        self._chat.seen_again()
        if self._caller is not None:
            self._caller.focus_changed(True)

    def on_app_blur(self) -> None:
        """The user looks elsewhere."""
        self._has_focus = False
        if self._caller is not None:
            self._caller.focus_changed(False)

    def lent(self) -> None:
        """Give the terminal its own title back."""
        self.write_to_terminal(self.restore_title)

    def returned(self) -> None:
        """Set the title again."""
        self._show_cursor()
        self._chat.seen_again()
        if self._caller is not None:
            self._caller.begin()

    def _show_cursor(self) -> None:
        """Let the terminal's own cursor be seen by what follows it: screen readers."""
        if self.look.screen_reader:
            self.write_to_terminal("\x1b[?25h")

    def _set_up(self, is_set_up: bool | None) -> None:
        """Begin after the first run, which has settled whom to ask, or that the demo answers."""
        if is_set_up and self._first_run is not None:
            self.settings = self._first_run.settings
            self._chat.choices_changed()
        elif self._notice:
            self._chat.transcript.notice(self._notice, "muted")
        self._start()

    def _start(self) -> None:
        self._type_ahead()
        self._connection = self._connect()

    def _type_ahead(self) -> None:
        typed, self._typed = self._typed, ""
        if typed:
            self._chat.prompt.insert(typed)

    @on(ConnectionAsked)
    def _connect_again(self) -> None:
        self._connection = self._connect()

    @work(group="client")
    async def _connect(self) -> None:
        for module in NEEDED_LATER:
            await asyncio.to_thread(importlib.import_module, module)
        try:
            async with self._open_client() as client:
                collecting.resume()
                self._chat.connect(client)
                await self._leaving.wait()
        except CodyError as error:
            collecting.resume()
            if not self._leaving.is_set():
                self._chat.disconnect(error)

    async def action_quit(self) -> None:
        """Leave the client in order, then the terminal; ask first if that stops an answer."""
        live = self._chat.is_live + len(self._chat.elsewhere.runs)
        if live and time.monotonic() - self._warned > PATIENCE:
            self._warned = time.monotonic()
            is_ours = self.settings is None or self.settings.server is None
            self.notify(
                f"{_incomplete(live)}. {self._quit_key} again {_end(live, is_ours)}",
                severity="warning", timeout=PATIENCE, markup=False,
            )  # fmt: skip
            return
        await self._leave()
        self.exit()

    async def leave_by(self, number: int) -> None:
        """Leave the client in order, then the terminal, without asking."""
        await self._leave()
        await super().leave_by(number)

    async def on_unmount(self) -> None:
        """Leave the client in order also when it was not the user who quit."""
        await self._leave()

    async def _leave(self) -> None:
        await self._chat.leave()  # which may still need the client
        self._leaving.set()
        if self._connection is None:
            return
        with contextlib.suppress(WorkerCancelled, WorkerFailed):
            # Who waits may be cancelled. What is waited for must not be: it stores what came.
            await asyncio.shield(self._connection.wait())

    def action_copy_or_warn(self) -> None:
        """Copy, or say why nothing was: no key that other programs stop with ends work here."""
        with contextlib.suppress(SkipAction):
            self.screen.action_copy_text()
            return
        self.notify(f"Nothing is selected. {self._quit_key} quits.", timeout=3, markup=False)

    @property
    def _quit_key(self) -> str:
        return spelled(active(self.screen).get("app.quit", "ctrl+q"))

    @on(ThreadShown)
    def _show_title(self, event: ThreadShown) -> None:
        self._thread_title = event.title or ""
        title = one_line(event.title, TITLE_LENGTH) if event.title else ""
        self.title = f"{title} · {NAME}" if title else NAME


def look_of(settings: Settings | None) -> Glance:
    """Return what settings that were read say of the first frame."""
    if settings is None:
        return Glance(None)
    ui = settings.ui
    return Glance(settings.home, ui.theme, ui.reduced_motion, ui.screen_reader)


def _incomplete(answers: int) -> str:
    return "The answer is not complete" if answers == 1 else f"{answers} answers are not complete"


def _end(answers: int, is_ours: bool) -> str:
    """Say what quitting does to answers that this process, or a server, is working on."""
    if is_ours:
        return "stops and quits; what came is kept."
    return f"quits; the server goes on with {'it' if answers == 1 else 'them'}."


def _without_colour() -> bool | None:
    """Let the terminal's own colours be where none are wanted; otherwise the theme decides."""
    return True if "NO_COLOR" in environment() else None


def _usual_ui() -> UiSettings:
    from cody_core.ui_settings import UiSettings  # brings pydantic: not before the first paint

    return UiSettings()
