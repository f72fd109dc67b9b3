"""Writing: what was sent before, the external editor, folded pastes, prompts that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import SuspendNotSupported

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage
from cody_tui.keys import key_for

GROUP = "Writing"


class Writing:
    """Finds prompts and files, edits elsewhere, unfolds, and takes back what waits."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("prompt.history", "Search what was sent before", GROUP, key="ctrl+r"),
        Action(
            "prompt.editor", "Write in your editor", GROUP,
            key="ctrl+x ctrl+e,ctrl+x e", slash="editor",
        ),
        Action(
            "prompt.unfold", "Unfold the pasted text at the cursor", GROUP,
            key="ctrl+x p,ctrl+x ctrl+p",
        ),
        Action("queue.drop", "Drop the prompts that wait", GROUP, slash="drop"),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.prompt.find_files = self._find_files

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {
            "prompt.history": lambda _: self._stage.prompt.search_history(),
            "prompt.editor": lambda _: self._edit_aside(),
            "prompt.unfold": lambda _: self._stage.prompt.unfold(),
            "queue.drop": lambda _: self._drop(),
        }

    async def _find_files(self, query: str, limit: int) -> Sequence[str]:
        client = self._stage.client
        return await client.find_files(query, limit=limit) if client is not None else ()

    def _drop(self) -> None:
        """Drop what waits; it is in the history already, from when it was sent."""
        dropped = self._stage.take_waiting()
        if dropped:
            key = key_for(self._stage.app, "prompt.older", "up")
            self._stage.say(f"{len(dropped)} dropped: {key} brings them back")
        else:
            self._stage.say("No prompt waits")

    def _edit_aside(self) -> None:
        self._stage.app.run_worker(self._edit(), group="editor", exclusive=True)

    async def _edit(self) -> None:
        """Hand the terminal to the editor; answers go on meanwhile, and nothing is drawn."""
        from cody_core.glance import environment

        from cody_tui.editor import EditorFailed, edit, editor_of

        app, prompt = self._stage.app, self._stage.prompt
        text = prompt.text
        try:
            command = editor_of(environment())
            # Nothing is drawn meanwhile: nobody reads what a suspended driver is given.
            with app.suspend(), app.batch_update():
                edited = await asyncio.to_thread(edit, text, command)
        except SuspendNotSupported:
            self._stage.say("This terminal cannot be handed over to an editor", "warning")
        except EditorFailed as error:
            self._stage.say(str(error), "warning")
        else:
            prompt.take_edited(text, edited)
        app.refresh(layout=True)
