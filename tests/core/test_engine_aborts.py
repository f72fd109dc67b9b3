"""Whoever stops a run may end it before the engine has heard of that: no failure of anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from cody_core.engine import Engine
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.mirror import Mirror, following
from cody_core.providers.scripted import ScriptedProvider
from cody_core.schema.events import (
    ItemCancelled,
    ItemDelta,
    ItemStart,
    Payload,
    ResponseDone,
    TurnAbortedByUser,
)
from cody_core.schema.requests import ModelRequest, RunRequest
from cody_core.schema.response import Response
from support.shapes import RUN, THREAD, TURN, events, started


class Talker(ScriptedProvider):
    """Talks on until it has heard of the abort, and still says two words then."""

    def __init__(self, mirror: Mirror) -> None:
        super().__init__([])
        self._mirror = mirror

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Payload]:
        yield ItemStart(item_id="m", item_type="message")
        await self._mirror.until(lambda: self._mirror.abort_reason is not None)
        for word in ("too", "late"):
            yield ItemDelta(item_id="m", delta_content=word)


async def test_a_run_that_is_aborted_and_ended_at_once_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = MemoryEventLog()
    await log.append(RUN, events(started()))
    run = RunRequest(
        run_id=RUN,
        turn_id=TURN,
        thread_id=THREAD,
        provider_id="talker",
        model_id="model",
        input_items=(),
    )
    async with following(log, RUN) as mirror, asyncio.TaskGroup() as tasks, asyncio.timeout(10):
        talker = Talker(mirror)

        async def provider(name: str) -> Talker:
            return talker

        async def history(run: RunRequest) -> list[Response]:
            return []

        engine = Engine(log, provider=provider, history=history)
        running = tasks.create_task(engine.run(run, mirror))
        await mirror.until(lambda: bool(mirror.reducer.open_items))
        await log.append(
            RUN,
            events(
                TurnAbortedByUser(turn_id=TURN, reason="enough"),
                ItemCancelled(item_id="m"),
                ResponseDone(response_id=RUN, status="aborted", finish_reason="aborted"),
            ),
        )
        await running
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
    assert mirror.reducer.response is not None
    assert mirror.reducer.response.status == "aborted"
