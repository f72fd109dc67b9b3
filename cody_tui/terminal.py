"""An app that has the terminal to itself while it runs, and gives it back whatever ends it.

What is printed meanwhile goes to the log. An exception nobody foresaw ends the app with its
traceback in the log only; whoever ran it finds it in ``crash``. The signals that end a program end
it in order, and an interrupt from outside ends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import App
from textual.worker import WorkerFailed

from cody_tui.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.driver import Driver

    from cody_tui.quiet import Quiet

logger = logging.getLogger(__name__)


class TerminalApp(App[None]):
    """The manners of an app, whatever it is for."""

    quiet: Quiet | None = None
    """What keeps the terminal to the app, if somebody does."""
    crash: BaseException | None = None
    """What the app broke down of."""
    refused = ""
    """Why the app ended of itself, where somebody must see to it before it can run."""
    is_hung_up = False
    """Whether the terminal is gone."""
    _is_suspended = False
    _is_stopped = False

    def get_driver_class(self) -> type[Driver]:
        """Return what reads and writes the terminal: our own where there is a Unix one."""
        usual = super().get_driver_class()
        if usual.__name__ != "LinuxDriver":
            return usual
        from cody_tui.driver import TerminalDriver

        return TerminalDriver

    async def on_event(self, event: events.Event) -> None:
        """Take an event. An app that is ending has no screens, and would break down of a key."""
        if not isinstance(event, events.InputEvent) or self.screen_stack:
            await super().on_event(event)

    def watch_app_focus(self, has_focus: bool) -> None:
        """Let the keys go somewhere: what was opened while nobody looked took no focus."""
        if (
            has_focus
            and self.screen_stack
            and self.screen.focused is None
            and (wanted := self.screen.AUTO_FOCUS)
        ):
            for widget in self.screen.query(wanted):
                if widget.focusable:
                    self.screen.set_focus(widget, scroll_visible=False)  # the key is on its way
                    break

    async def leave_by(self, number: int) -> None:
        """End in order because of a signal."""
        self.exit(return_code=128 + number)

    def write_to_terminal(self, sequence: str) -> None:
        """Write an escape sequence, unless somebody else has the terminal."""
        if sequence and self._driver is not None and not self._is_suspended:
            self._driver.write(sequence)

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Lend the terminal to somebody, and have it back also if that fails.

        Raises:
            SuspendNotSupported: there is no terminal that could be lent.
        """
        failed: Exception | None = None
        with super().suspend():
            try:
                yield
            except Exception as error:  # noqa: BLE001  # Textual would stay suspended
                failed = error
        if failed is not None:
            raise failed

    def lent(self) -> None:
        """Somebody else is about to have the terminal."""

    def returned(self) -> None:
        """The terminal is back."""

    def on_mount(self) -> None:
        """See to what must be in order at the end."""
        self.begin_capture_print(self)
        self.app_suspend_signal.subscribe(self, self._lend, immediate=True)
        self.app_resume_signal.subscribe(self, self._take_back, immediate=True)
        if not self.is_headless and os.name != "nt":
            self._heed_signals()

    def notify(self, message: str, *, title: str = "", **how: Any) -> None:
        """Show a passing note, whoever wrote the text of it."""
        super().notify(printable(message), title=printable(title), **{**how, "markup": False})

    def on_print(self, event: events.Print) -> None:
        """Keep what was printed."""
        if text := event.text.strip():
            logger.info("printed: %s", text)

    def _heed_signals(self) -> None:
        heed: dict[signal.Signals, Callable[[int], object]] = {
            signal.SIGTERM: self._stop,
            signal.SIGHUP: self._stop,
            signal.SIGINT: lambda _: self.call_later(self._interrupted),
        }
        loop = asyncio.get_running_loop()
        for number, act in heed.items():
            # One that was ignored from the start, as by nohup, stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, act, int(number))
        # Without a controlling terminal there is no signal: Textual would read its end for ever.
        watch = threading.Thread(target=self._watch_terminal, args=(loop,), daemon=True)
        watch.start()

    def _watch_terminal(self, loop: asyncio.AbstractEventLoop) -> None:
        hung_up = select.poll()
        hung_up.register(0, 0)  # nothing but errors and the end
        hung_up.poll()
        with contextlib.suppress(RuntimeError):  # the loop has ended, and so has the app
            loop.call_soon_threadsafe(self._stop, int(signal.SIGHUP))

    def _stop(self, number: int) -> None:
        self.is_hung_up = self.is_hung_up or number == signal.SIGHUP
        if not self._is_stopped:  # a hang-up is told by a signal and by the watch
            self._is_stopped = True
            self.run_worker(self.leave_by(number), group="leaving")

    async def _interrupted(self) -> None:
        if not self._is_suspended:
            await self.run_action("copy_or_warn")

    def _lend(self, _: App[Any]) -> None:
        self.lent()
        self._is_suspended = True
        if self.quiet is not None:
            self.quiet.suspend()

    def _take_back(self, _: App[Any]) -> None:
        if self.quiet is not None:
            self.quiet.resume()
        self._is_suspended = False
        self.returned()
        self.refresh(layout=True)

    # Textual would print a traceback with the values of all variables.

    def _handle_exception(self, error: Exception) -> None:
        self._broke_down(error.error if isinstance(error, WorkerFailed) else error)
        super()._handle_exception(error)

    def panic(self, *renderables: RenderableType) -> None:
        """End because something was found to be wrong that cannot be mended."""
        if self.crash is None:
            said = "\n".join(map(_plain, renderables))
            last = (said.strip() or "it did not say why").splitlines()[-1]
            self._broke_down(RuntimeError(last), said)
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()

    def _broke_down(self, error: BaseException, details: str = "") -> None:
        logger.critical("the app broke down %s", details, exc_info=error)
        self.crash = self.crash or error


def _plain(renderable: RenderableType) -> str:
    from rich.console import Console

    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()
