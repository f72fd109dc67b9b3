"""Reading: from item to item, opening and closing them, and copying what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage

GROUP: Final = "Conversation"


class Reading:
    """Moves about in what is shown, and takes things from it."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("item.previous", "Go to the item above", GROUP, key="alt+up"),
        Action("item.next", "Go to the item below", GROUP, key="alt+down"),
        Action("item.toggle", "Open or close the item", GROUP, key="ctrl+o", priority=True),
        Action("item.copy", "Copy the item, or the last answer", GROUP, key="alt+c"),
        Action(
            "answer.copy", "Copy the last answer, or its last code", GROUP,
            slash="copy", argument="[code]",
        ),
        Action("copying.begin", "Choose lines to copy", GROUP, key="ctrl+y", priority=True),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        transcript = self._stage.transcript
        return {
            "item.previous": lambda _: transcript.move_item(-1),
            "item.next": lambda _: transcript.move_item(1),
            "item.toggle": lambda _: self._toggle(),
            "item.copy": lambda _: self._copy_item(),
            "answer.copy": self._copy_answer,
            "copying.begin": lambda _: self._begin_lines(),
        }

    def _toggle(self) -> None:
        if not self._stage.transcript.toggle_item():
            self._stage.say("There is nothing to open here")

    def _copy_item(self) -> None:
        item = self._stage.transcript.item
        if item is None:
            self._copy_answer("")
        else:
            self._stage.transcript.copy(item.source, f"the {item.noun}")

    def _copy_answer(self, what: str) -> None:
        transcript = self._stage.transcript
        if what.strip().lower() == "code":
            self._copy_code()
        elif what.strip():
            self._stage.say(
                "What can be copied is /copy, the last answer, or /copy code", "warning"
            )
        elif answer := next(transcript.sources("answer"), None):
            transcript.copy(answer, "the answer")
        else:
            self._stage.say("There is no answer to copy yet")

    def _copy_code(self) -> None:
        from cody_tui.widgets.markdown import code_blocks

        transcript = self._stage.transcript
        for answer in transcript.sources("answer"):
            if codes := code_blocks(answer):
                transcript.copy(codes[-1], "the code")
                return
        self._stage.say("There is no block of code to copy yet")

    def _begin_lines(self) -> None:
        transcript = self._stage.transcript
        transcript.leave_item()
        transcript.begin_lines()
