"""Exporting: the thread on the screen as a file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from cody_core.errors import CodyError

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage
from cody_tui.text import one_line

USAGE: Final = "Write /export, and behind it md, json or html, or a file to write to"


class Exporting:
    """Writes the thread into a file."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action(
            "thread.export", "Write the thread to a file", "Threads",
            slash="export", argument="[md|json|html] [PATH]",
        ),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {"thread.export": self._export}

    async def _export(self, argument: str) -> None:
        from cody_tui.export import FORMATS, ending_of, save

        client, thread_id = self._stage.client, self._stage.thread_id
        if client is None or thread_id is None:
            self._stage.say("There is no thread yet: send a prompt first", "warning")
            return
        first, _, rest = argument.strip().partition(" ")
        ending, path = (first, rest.strip()) if first in FORMATS else (None, argument.strip())
        ending = ending or (ending_of(path) if path else "md")
        if ending is None:
            self._stage.say(USAGE, "warning")
            return
        try:
            detail = await client.thread(thread_id)
            written = await asyncio.to_thread(save, detail, Path(path), ending)
        except CodyError as error:
            self._stage.say(error.message, "error")
        except OSError as error:
            self._stage.say(f"{path or 'It'} cannot be written: {error.strerror}", "error")
        else:
            self._stage.say(f"Written to {one_line(str(written), 200)}")
