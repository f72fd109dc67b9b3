from __future__ import annotations

import asyncio
from pathlib import Path

from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.schema.events import Entry, ItemDelta
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response
from support.core import core

from cody_tui.chat import converse
from cody_tui.consent import Nobody


class Recorded:
    """A view that remembers how it was closed."""

    def __init__(self) -> None:
        self.text = asyncio.Event()
        self.closed: list[Response | None] = []

    def show(self, entry: Entry) -> None:
        if isinstance(entry.payload, ItemDelta):
            self.text.set()

    def flush(self) -> None:
        pass

    def close(self, response: Response | None) -> None:
        self.closed.append(response)


async def test_a_conversation_that_is_left_early_closes_its_view_once(tmp_path: Path) -> None:
    view = Recorded()
    provider = ScriptedProvider([[Say("so far"), Hang()]])
    async with (
        core(provider, home=tmp_path / "home") as client,
        asyncio.timeout(20),
        asyncio.TaskGroup() as tasks,
    ):
        conversation = tasks.create_task(
            converse(client, SubmitRequest(prompt="hi"), view, Nobody())
        )
        await view.text.wait()
        conversation.cancel()
    assert [response and response.status for response in view.closed] == ["in_progress"]
