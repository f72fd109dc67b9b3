from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from cody_core.errors import EventLogUnavailable
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id
from cody_core.mirror import Mirror, Take, following
from cody_core.schema.events import (
    Entry,
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
from support.redis import RedisServer
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


async def test_it_goes_on_from_where_it_was(log: MemoryEventLog) -> None:
    mirror = Mirror(log, RUN)
    await add(log, started(), TurnAbortedByUser(turn_id=TURN, reason="enough"))
    await mirror.catch_up()
    assert (mirror.abort_reason, mirror.over.is_set()) == ("enough", False)
    await add(log, DONE)
    await mirror.follow()
    assert (mirror.reducer.is_terminal, mirror.over.is_set()) == (True, True)
    assert mirror.reducer.response is not None
    assert mirror.reducer.response.error is None


async def test_all_are_told_of_everything_once_though_two_read(log: MemoryEventLog) -> None:
    told: list[list[str]] = [[], []]

    def take(number: int) -> Take:
        return lambda batch: told[number].extend(entry.offset for entry in batch)

    async with asyncio.TaskGroup() as tasks, following(log, RUN) as mirror:
        with mirror.told(take(0)), mirror.told(take(1)):
            offsets = [await add(log, started())]
            reading = tasks.create_task(mirror.until(lambda: mirror.reducer.is_terminal))
            for _ in range(5):
                offsets.append(await add(log, ItemStart(item_id=new_id(), item_type="message")))
                await mirror.catch_up()
                await asyncio.sleep(0)
            offsets.append(await add(log, DONE))
            await reading
    assert told == [offsets, offsets]


async def test_a_listener_that_fails_keeps_nobody_else_from_what_comes(
    log: MemoryEventLog, caplog: pytest.LogCaptureFixture
) -> None:
    mirror, told = Mirror(log, RUN), list[Entry]()

    def fail(batch: Sequence[Entry]) -> None:
        raise ValueError(batch)

    await add(log, started(), DONE)
    with mirror.told(fail), mirror.told(told.extend):
        await mirror.follow()
    assert len(told) == 2
    assert RUN in caplog.text


async def test_who_waits_is_told_that_the_log_is_gone(own_redis: RedisServer) -> None:
    async with RedisEventLog.open(own_redis.url, patience=0.1) as log, asyncio.timeout(20):
        await log.append(RUN, events(started()))
        async with following(log, RUN) as mirror:
            await mirror.until(lambda: mirror.reducer.response is not None)
            own_redis.stop()
            for _ in range(2):
                with pytest.raises(EventLogUnavailable):
                    await mirror.until(lambda: mirror.reducer.is_terminal)
            await mirror.over.wait()


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
