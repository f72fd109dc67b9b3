"""A transcript on its own, with runs that a test makes up."""

from __future__ import annotations

from typing import Any

from cody_core.ids import new_id
from cody_core.schema.items import FunctionCall, FunctionCallOutput, Item, Message
from cody_core.schema.response import Response, Status
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from tui.screen import rows, transcript_of

from cody_tui.screens import chat
from cody_tui.themes import DARK
from cody_tui.widgets.transcript import Transcript


class Shelf(App[None]):
    """A transcript and nothing else."""

    CSS_PATH = str(chat.__file__).replace(".py", ".tcss")

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name
        self.transcript = Transcript()

    def compose(self) -> ComposeResult:
        yield self.transcript


def answer(
    *items: Item, prompt: str = "do it", status: Status = "complete", **more: Any
) -> Response:
    return Response(
        id=new_id(),
        turn_id=new_id(),
        thread_id=new_id(),
        model_id="m",
        provider_id="p",
        created_at=1,
        updated_at=1,
        status=status,
        input_items=(Message(id=new_id(), origin="user", content=prompt),),
        output_items=items,
        **more,
    )


def called(name: str, arguments: str, output: str, *, success: bool = True) -> tuple[Item, Item]:
    key = new_id()
    return (
        FunctionCall(id=new_id(), call_id=key, name=name, arguments=arguments),
        FunctionCallOutput(id=new_id(), call_id=key, output=output, success=success),
    )


def show(pilot: Pilot[None], *runs: Response) -> Transcript:
    transcript = transcript_of(pilot)
    transcript.load(runs)
    return transcript


def row_of(pilot: Pilot[None], text: str) -> int:
    return next(y for y, row in enumerate(rows(pilot)) if text in row)


async def click(pilot: Pilot[None], text: str) -> None:
    y = row_of(pilot, text)
    x = rows(pilot)[y].index(text)
    await pilot.click(Transcript, offset=(x + 1, y))


def marked(pilot: Pilot[None]) -> list[str]:
    """Return the rows of the item that the cursor is on."""
    return [row[2:] for row in rows(pilot) if row.startswith("┃")]


def following(pilot: Pilot[None]) -> bool:
    return transcript_of(pilot).is_following


def copying(pilot: Pilot[None]) -> bool:
    return transcript_of(pilot).is_copying
