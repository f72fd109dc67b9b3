"""Leaving the app: for good, or to read the thread in a pager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cody_core.errors import CodyError

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage

GROUP = "Program"


class Leaving:
    """Quits, and lends the terminal to a pager."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("thread.pager", "Read the thread in the pager", "Thread", slash="pager"),
        Action(
            "app.suspend", "Go back to the shell; fg comes back here", GROUP,
            key="ctrl+x ctrl+z,ctrl+x z", slash="suspend",
        ),
        Action(
            "app.quit", "Quit", GROUP,
            key="ctrl+q", slash="quit", short="Quit", priority=True,
        ),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {
            "thread.pager": lambda _: self._page(),
            "app.suspend": lambda _: self._stage.app.action_suspend_process(),
            "app.quit": lambda _: self._quit(),
        }

    def _quit(self) -> None:
        # By a worker of the app: those of the screen are ended by it.
        app = self._stage.app
        app.run_worker(app.action_quit(), group="quitting")

    def _page(self) -> None:
        self._stage.app.run_worker(self._read(), group="pager", exclusive=True)

    async def _read(self) -> None:
        from cody_core.glance import environment
        from textual.app import SuspendNotSupported

        from cody_tui.pager import command, page, thread_text

        stage = self._stage
        if stage.client is None or stage.thread_id is None:
            stage.say("There is nothing to read yet.")
            return
        words: list[str] = []
        try:
            words = command(environment())
            text = thread_text(await stage.client.thread(stage.thread_id))
            await page(stage.app, words, text)
        except CodyError as error:
            stage.say(error.message, "error")
        except ValueError as error:
            stage.say(f"PAGER is no command: {error}", "error")
        except SuspendNotSupported:
            stage.say("A pager needs a terminal that can be lent to it.", "error")
        except OSError as error:
            why = error.strerror or str(error)
            stage.say(f"The pager {words[0]!r} cannot be run: {why}. Set PAGER.", "error")
