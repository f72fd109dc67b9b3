"""A thread from long ago: runs with answers in Markdown, put straight into the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from cody_core.ids import new_id
from cody_core.schema.items import Message
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.stores import RunWrite
from cody_core.stores.sqlite import SqliteStore

from benchmarks.markdown import markdown

ANSWER_CHARACTERS: Final = 4_100
FIRST_WORDS: Final = "prompt 1 "


def store_thread(home: Path, runs: int) -> str:
    """Store a thread of so many prompts and answers; return its id."""
    home.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_store(home, runs))


async def _store(home: Path, runs: int) -> str:
    thread = Thread(id=new_id(), title=f"{runs} answers", created_at=1, updated_at=1)
    async with SqliteStore.open(home / "cody.db") as store:
        await store.create_thread(thread)
        for number in range(1, runs + 1):
            response = _response(thread.id, number)
            await store.save_run(RunWrite(response, version=f"{number}-0"))
        await store.aclose()
    return thread.id


def _response(thread_id: str, number: int) -> Response:
    """Return an answer whose last line tells which one it is."""
    prompt = Message(id=new_id(), origin="user", content=f"prompt {number} of the thread")
    text = f"{markdown(ANSWER_CHARACTERS)}\n\nThis was answer {number}"
    return Response(
        id=new_id(),
        turn_id=new_id(),
        thread_id=thread_id,
        model_id="tour",
        provider_id="demo",
        created_at=number,
        updated_at=number,
        status="complete",
        input_items=(prompt,),
        output_items=(Message(id=new_id(), content=text),),
        finish_reason="stop",
    )
