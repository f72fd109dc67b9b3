from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import pytest
from cody_core.errors import EventLogUnavailable, RunClosed
from cody_core.eventlog import writer
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.eventlog.writer import LIMIT, LogWriter
from cody_core.schema.events import START, Event, ItemDelta, ResponseDone
from cody_core.tasks import task_group
from support.shapes import RUN, events, started


class SlowLog(MemoryEventLog):
    """Takes appends only while its gate is open, and fails those it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()
        self.batches: list[int] = []
        self.failure: Exception | None = None

    def append_now(self, run_id: str, events: Sequence[Event], *, once: str | None = None) -> None:  # type: ignore[override]  # as a log on a server
        return None

    async def append(
        self, run_id: str, events: Sequence[Event], *, once: str | None = None
    ) -> Sequence[str]:
        self.arrived.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        offsets = super().append_now(run_id, events, once=once)
        self.batches.append(len(events))
        return offsets


@pytest.fixture
async def log() -> SlowLog:
    return SlowLog()


async def fill(log: SlowLog, run: Sequence[Event], error: BaseException | None = None) -> None:
    """Put the events and leave the block, by the error if there is one."""
    async with LogWriter.open(log, RUN) as out:
        for event in run:
            await out.put(event)
        if error is not None:
            raise error


def some(count: int) -> list[Event]:
    """Return the first so many events of a run."""
    deltas = (ItemDelta(item_id="a", delta_content=str(n)) for n in range(1, count))
    return events(started(), *deltas)


async def written(log: SlowLog) -> list[Event]:
    return [entry.event async for batch in log.read(RUN, follow=False) for entry in batch]


async def test_what_is_put_while_an_append_is_under_way_shares_the_next(log: SlowLog) -> None:
    run = some(50)
    log.gate.clear()
    async with LogWriter.open(log, RUN) as out:
        await out.put(run[0])
        await log.arrived.wait()
        for event in run[1:]:
            await out.put(event)
        log.gate.set()
        offset = await out.flush()
    assert await written(log) == run
    assert log.batches == [1, 49]
    assert [entry.offset async for batch in log.read(RUN, follow=False) for entry in batch][
        -1
    ] == offset


async def test_the_order_is_kept_whatever_the_log_does_meanwhile(log: SlowLog) -> None:
    run = some(500)
    async with LogWriter.open(log, RUN) as out:
        for number, event in enumerate(run):
            await out.put(event)
            if number % 7 == 0:
                await asyncio.sleep(0)
    assert await written(log) == run


async def test_a_log_that_need_not_be_waited_for_has_it_at_once() -> None:
    log, run = MemoryEventLog(), some(3)
    async with LogWriter.open(log, RUN) as out:
        for number, event in enumerate(run, 1):
            await out.put(event)
            entries = [entry async for batch in log.read(RUN, follow=False) for entry in batch]
            assert [entry.event for entry in entries] == run[:number]
            assert await out.flush() == entries[-1].offset


async def test_what_such_a_log_refuses_surfaces_at_every_later_put_and_flush() -> None:
    log = MemoryEventLog()
    await log.append(RUN, events(started(), ResponseDone(response_id=RUN, status="complete")))

    async def block() -> None:
        async with LogWriter.open(log, RUN) as out:
            await out.put(some(1)[0])
            for _ in range(2):
                with pytest.raises(RunClosed):
                    await out.put(some(1)[0])
            with pytest.raises(RunClosed):
                await out.flush()

    with pytest.raises(RunClosed):
        await block()


async def test_flushing_nothing_returns_the_start(log: SlowLog) -> None:
    async with LogWriter.open(log, RUN) as out:
        assert await out.flush() == START
    assert log.batches == []


async def test_leaving_the_block_writes_the_rest(log: SlowLog) -> None:
    await fill(log, some(3))
    assert log.batches == [3]


async def test_an_append_that_fails_surfaces_at_every_later_put_and_flush(log: SlowLog) -> None:
    log.failure = EventLogUnavailable("away")

    async def block() -> None:
        async with LogWriter.open(log, RUN) as out:
            await out.put(some(1)[0])
            with pytest.raises(EventLogUnavailable, match="away"):
                await out.flush()
            log.failure = None
            with pytest.raises(EventLogUnavailable, match="away"):
                await out.put(some(1)[0])

    with pytest.raises(EventLogUnavailable, match="away"):
        await block()
    assert await written(log) == []


async def test_the_last_events_are_not_lost_in_silence(log: SlowLog) -> None:
    log.failure = EventLogUnavailable("away")
    with pytest.raises(EventLogUnavailable, match="away"):
        await fill(log, some(1))


async def test_a_run_that_somebody_else_ended_takes_no_more(log: SlowLog) -> None:
    await log.append(RUN, events(started(), ResponseDone(response_id=RUN, status="complete")))
    with pytest.raises(RunClosed):
        await fill(log, some(1))


async def test_leaving_by_an_exception_writes_the_rest_and_raises_it(log: SlowLog) -> None:
    with pytest.raises(KeyError, match="mine"):
        await fill(log, some(1), KeyError("mine"))
    assert log.batches == [1]


async def test_leaving_by_an_error_waits_for_a_log_that_does_not_answer_for_long(
    log: SlowLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.0)
    run = some(5)
    log.gate.clear()
    async with task_group() as tasks:
        filling = tasks.create_task(_raises(fill(log, run, KeyError("mine"))))
        await log.arrived.wait()
        for _ in range(20):  # by then it would have given up
            await asyncio.sleep(0)
        assert not filling.done()
        log.gate.set()
    assert await written(log) == run
    assert caplog.records == []


async def _raises(filling: Awaitable[None]) -> None:
    with pytest.raises(KeyError, match="mine"):
        await filling


async def test_an_error_of_the_log_does_not_hide_the_one_that_the_block_was_left_by(
    log: SlowLog,
) -> None:
    log.failure = EventLogUnavailable("away")
    with pytest.raises(KeyError, match="mine"):
        await fill(log, some(1), KeyError("mine"))


async def test_put_waits_when_far_too_many_are_waiting(log: SlowLog) -> None:
    run = some(LIMIT + 2)
    log.gate.clear()
    put = 0

    async def produce(out: LogWriter) -> None:
        nonlocal put
        for event in run:
            await out.put(event)
            put += 1

    async with LogWriter.open(log, RUN) as out, task_group() as tasks:
        await out.put(run[0])
        await log.arrived.wait()
        producer = tasks.create_task(produce(out))
        while put < LIMIT - 1:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert put == LIMIT - 1
        log.gate.set()
        await producer
    assert await written(log) == [run[0], *run]
    assert log.batches == [1, LIMIT, 2]


async def test_cancelling_the_block_still_writes_what_was_put(log: SlowLog) -> None:
    ready = asyncio.Event()

    async def block() -> None:
        async with LogWriter.open(log, RUN) as out:
            for event in run:
                await out.put(event)
            ready.set()
            await asyncio.Event().wait()

    run = some(5)
    log.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(block())
        await ready.wait()
        task.cancel()
        await log.arrived.wait()
        log.gate.set()
    assert task.cancelled()
    assert await written(log) == run


async def test_a_log_that_does_not_answer_holds_a_cancelled_block_for_a_moment_only(
    log: SlowLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.01)
    log.gate.clear()
    with pytest.raises(asyncio.CancelledError):
        await fill(log, some(1), asyncio.CancelledError())
    assert [record.message for record in caplog.records] == [
        f"gave up writing the last events of run {RUN}"
    ]
