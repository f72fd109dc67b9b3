"""Branches: a thread taken another way from some prompt on, and answers given anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from cody_core.errors import CodyError

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage
from cody_tui.keys import key_for
from cody_tui.widgets.mentions import without_attachments

if TYPE_CHECKING:
    from cody_core.schema.response import Response

    from cody_tui.widgets.prompt import Prompt

GROUP: Final = "Threads"
NOTHING: Final = "There is nothing to go back to yet"


class Turn(NamedTuple):
    """A prompt and the runs that answered it, oldest first."""

    prompt: str
    runs: Sequence[Response]


def turns_of(runs: Sequence[Response]) -> Sequence[Turn]:
    """Return the turns of a thread, oldest first."""
    by_turn: dict[str, list[Response]] = {}
    for run in runs:
        by_turn.setdefault(run.turn_id, []).append(run)
    return [Turn(_prompt(own[-1]), own) for own in by_turn.values()]


class Branches:
    """Forks a thread, sends a prompt again in other words, has one answered anew."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action(
            "thread.fork", "Go on from a prompt in a new thread", GROUP,
            slash="fork", argument="[N]",
        ),
        Action(
            "prompt.edit", "Edit a prompt, to be sent in a new thread", GROUP,
            key="alt+e", slash="edit", argument="[N]",
        ),
        Action("prompt.retry", "Have the last prompt answered anew", GROUP, slash="retry"),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {
            "thread.fork": self._fork,
            "prompt.edit": self._edit,
            "prompt.retry": lambda _: self._retry(),
        }

    async def _fork(self, number: str) -> None:
        turns = turns_of(self._stage.runs)
        if number.strip():
            turn = self._turn(turns, number)
            until = turn.runs[-1].id if turn is not None else None
        else:
            ended = [run.id for run in self._stage.runs if run.is_terminal]
            until = self._stage.transcript.item_run or (ended[-1] if ended else None)
            if until is None:
                self._stage.say(NOTHING, "warning")
        if until is not None and await self._open_fork(until=until):
            self._stage.say("This is a fork; the thread it came from stays as it was")

    def _edit(self, number: str) -> None:
        turns = turns_of(self._stage.runs)
        turn = self._turn(turns, number or str(self._number_at_item(turns)))
        if turn is None:
            return

        async def send(sent: Prompt.Sent) -> None:
            from cody_core.schema.threads import title_of

            title = title_of(sent.text) if turn is turns[0] else None
            if await self._open_fork(before=turn.runs[0].id, title=title):
                self._stage.send(sent.text, mentions=sent.mentions)
            else:
                self._stage.prompt.edit_anew(sent.text, send)

        self._stage.prompt.edit_anew(without_attachments(turn.prompt), send)
        self._stage.prompt.focus()
        self._stage.say("Sending this goes on from here in a new thread; the old one stays")

    def _retry(self) -> None:
        if self._stage.is_live:
            key = key_for(self._stage.app, "chat.abort", "escape")
            self._stage.say(f"An answer is on its way: {key} stops it", "warning")
        elif turns := turns_of(self._stage.runs):
            self._stage.send(turns[-1].prompt, turn_id=turns[-1].runs[-1].turn_id)
        else:
            self._stage.say(NOTHING, "warning")

    def _number_at_item(self, turns: Sequence[Turn]) -> int:
        """Return the number of the turn that the item cursor is in, or of the last one."""
        run_id = self._stage.transcript.item_run
        holding = (
            number
            for number, turn in enumerate(turns, 1)
            if any(run.id == run_id for run in turn.runs)
        )
        return next(holding, len(turns))

    def _turn(self, turns: Sequence[Turn], number: str) -> Turn | None:
        """Return the turn with that number, counted from 1; say so where there is none."""
        if not turns:
            self._stage.say(NOTHING, "warning")
        elif number.strip().isdecimal() and 1 <= int(number) <= len(turns):
            return turns[int(number) - 1]
        else:
            self._stage.say(f"The prompts here are numbered from 1 to {len(turns)}", "warning")
        return None

    async def _open_fork(
        self, *, until: str | None = None, before: str | None = None, title: str | None = None
    ) -> bool:
        client, thread_id = self._stage.client, self._stage.thread_id
        if client is None or thread_id is None:
            self._stage.say(NOTHING, "warning")
            return False
        try:
            copy = await client.fork(thread_id, until=until, before=before, title=title)
        except CodyError as error:
            self._stage.say(error.message, "error")
            return False
        self._stage.open_thread(copy.id)
        return True


def _prompt(run: Response) -> str:
    return "\n\n".join(item.content for item in run.input_items if item.type == "message")
