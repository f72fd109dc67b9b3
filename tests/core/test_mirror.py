from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.mirror import Mirror
from cody_core.schema.events import (
    ItemCancelled,
    ItemDelta,
    ItemDone,
    ItemError,
    ItemStart,
    Payload,
    ResponseDone,
    TurnAbortedByUser,
)
from cody_core.schema.items import FunctionCallOutput, Message
from cody_core.schema.response import ErrorInfo
from support.shapes import RUN, TURN, events, started

DONE = ResponseDone(response_id=RUN, status="complete")


@pytest.fixture
async def log() -> MemoryEventLog:
    return MemoryEventLog()


async def add(log: MemoryEventLog, *payloads: Payload) -> str:
    return (await log.append(RUN, events(*payloads)))[-1]


def output_start(item_id: str, call_id: str | None) -> ItemStart:
    return ItemStart(item_id=item_id, item_type="function_call_output", call_id=call_id)


async def test_it_knows_which_calls_have_an_output_or_will_never_have_one(
    log: MemoryEventLog,
) -> None:
    mirror = Mirror(log, RUN)
    names = ("done", "failed", "cancelled", "open")
    await add(log, started(), *(output_start(f"out-{name}", name) for name in names))
    output = FunctionCallOutput(id="out-done", call_id="done", output="", success=False)
    await add(
        log,
        ItemDone(item_id="out-done", final_item=output),
        ItemError(item_id="out-failed", error=ErrorInfo(code="oops", message="")),
        ItemCancelled(item_id="out-cancelled"),
        ItemStart(item_id="m", item_type="message"),
        ItemDone(item_id="m", final_item=Message(id="m", content="")),
    )
    await mirror.catch_up()
    assert mirror.answered == {"done", "failed", "cancelled"}
    assert mirror.open_outputs is True
    await add(log, ItemCancelled(item_id="out-open"))
    await mirror.catch_up()
    await mirror.catch_up()
    assert mirror.answered == {"done", "failed", "cancelled", "open"}
    assert mirror.open_outputs is False


async def test_it_follows_to_the_end(log: MemoryEventLog) -> None:
    mirror = Mirror(log, RUN)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(mirror.follow())
        await add(log, started())
        await add(log, DONE)
    assert mirror.reducer.is_terminal


async def test_it_stops_where_it_is_told_and_goes_on_from_there(log: MemoryEventLog) -> None:
    mirror = Mirror(log, RUN)
    await add(log, started(), TurnAbortedByUser(turn_id=TURN, reason="enough"))
    await mirror.follow(stop=lambda: mirror.abort_reason is not None)
    assert mirror.abort_reason == "enough"
    await mirror.follow(stop=lambda: True)
    await add(log, DONE)
    before = mirror.reducer.is_terminal
    await mirror.follow()
    assert (before, mirror.reducer.is_terminal) == (False, True)
    assert mirror.reducer.response is not None
    assert mirror.reducer.response.error is None


async def test_who_waits_for_a_condition_or_an_offset_wakes_when_it_is_read(
    log: MemoryEventLog,
) -> None:
    mirror = Mirror(log, RUN)
    woken: list[str] = []

    async def wait(name: str, condition: Callable[[], bool]) -> None:
        await mirror.until(condition)
        woken.append(name)

    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(mirror.follow())
        tasks.create_task(wait("open", lambda: mirror.open_outputs))
        tasks.create_task(wait("aborted", lambda: mirror.abort_reason is not None))
        offset = await add(log, started(), output_start("o", None))
        await mirror.reached(offset)
        while not woken:
            await asyncio.sleep(0)
        assert woken == ["open"]
        await mirror.reached("0-1")
        await add(log, TurnAbortedByUser(turn_id=TURN, reason="enough"))
        while len(woken) < 2:
            await asyncio.sleep(0)
        following.cancel()
    assert woken == ["open", "aborted"]


async def test_what_was_read_is_not_read_again(log: MemoryEventLog) -> None:
    mirror = Mirror(log, RUN)
    await add(log, started(), ItemStart(item_id="m", item_type="message"))
    for text in "abc":
        await add(log, ItemDelta(item_id="m", delta_content=text))
        await mirror.catch_up()
    response = mirror.reducer.response
    assert response is not None
    assert response.output_items == (Message(id="m", content="abc"),)
