"""What every event log promises, over each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from cody_core.errors import AppendedBefore, RunClosed
from cody_core.eventlog import EventLog
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id
from cody_core.schema.events import (
    START,
    Entry,
    Event,
    ItemDelta,
    Payload,
    ResponseDone,
    ResponseError,
    offset_key,
)
from cody_core.schema.news import RunEnd, RunNews
from cody_core.schema.response import ErrorInfo
from cody_core.tasks import task_group
from support.shapes import events, started


@pytest.fixture(params=["memory", "redis"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    if request.param == "memory":
        memory = MemoryEventLog()
        yield memory
        await memory.aclose()
    else:
        server = request.getfixturevalue("redis_server")
        async with RedisEventLog.open(server.url) as shared:
            yield shared


@pytest.fixture
def run_id() -> str:
    return new_id()


def delta(number: int) -> Payload:
    return ItemDelta(item_id="a", delta_content=f"{number} ")


def deltas(run_id: str, count: int, first: int = 0) -> list[Event]:
    return events(*map(delta, range(first, first + count)), run_id=run_id)


def begin(run_id: str) -> list[Event]:
    return events(started(run_id), run_id=run_id)


def end(run_id: str) -> list[Event]:
    return events(ResponseDone(response_id=run_id, status="complete"), run_id=run_id)


async def collect(
    log: EventLog, run_id: str, after: str = START, *, follow: bool = True
) -> list[Entry]:
    return [
        entry async for batch in log.read(run_id, after=after, follow=follow) for entry in batch
    ]


def payloads(entries: Sequence[Entry]) -> list[Payload]:
    return [entry.event.payload for entry in entries]


async def test_what_is_appended_is_read_in_order(log: EventLog, run_id: str) -> None:
    run = [*begin(run_id), *deltas(run_id, 20), *end(run_id)]
    offsets = [*await log.append(run_id, run[:5]), *await log.append(run_id, run[5:])]
    entries = await collect(log, run_id)
    assert [entry.event for entry in entries] == run
    assert [entry.offset for entry in entries] == offsets
    assert offsets == sorted(offsets, key=offset_key)
    assert len(set(offsets)) == len(run)
    assert [entry.data for entry in entries] == [event.to_json() for event in run]


async def test_reading_resumes_after_any_offset(log: EventLog, run_id: str) -> None:
    offsets = await log.append(run_id, [*begin(run_id), *deltas(run_id, 29), *end(run_id)])
    for at in (0, 1, 7, 29):
        rest = await collect(log, run_id, offsets[at])
        assert [entry.offset for entry in rest] == list(offsets[at + 1 :])
    assert await collect(log, run_id, offsets[-1], follow=False) == []


async def test_a_bad_offset_is_refused(log: EventLog, run_id: str) -> None:
    for bad in ("", "5", "a-b", "1-2-3", "-1-0"):
        with pytest.raises(ValueError, match="offset"):
            await collect(log, run_id, bad)


async def test_several_readers_see_the_same_live_run(log: EventLog, run_id: str) -> None:
    async with task_group() as tasks:
        readers = [tasks.create_task(collect(log, run_id)) for _ in range(5)]
        await log.append(run_id, begin(run_id))
        for number in range(40):
            await log.append(run_id, events(delta(number), run_id=run_id))
            await asyncio.sleep(0)
        await log.append(run_id, end(run_id))
    seen = [payloads(reader.result()) for reader in readers]
    assert len(seen[0]) == 42
    assert all(other == seen[0] for other in seen)


async def test_a_reader_that_starts_late_gets_everything(log: EventLog, run_id: str) -> None:
    await log.append(run_id, [*begin(run_id), *deltas(run_id, 2500)])
    async with task_group() as tasks:
        early = tasks.create_task(collect(log, run_id))
        await log.append(run_id, deltas(run_id, 2500, first=2500))
        late = tasks.create_task(collect(log, run_id))
        await log.append(run_id, end(run_id))
    expected = [*map(delta, range(5000))]
    assert payloads(early.result())[1:-1] == expected
    assert payloads(late.result())[1:-1] == expected


async def test_a_slow_reader_is_late_but_never_lossy(log: EventLog, run_id: str) -> None:
    await log.append(run_id, [*begin(run_id), *deltas(run_id, 3)])
    async with aclosing(log.read(run_id)) as slow:
        first = await anext(slow)
        async with task_group() as tasks:
            fast = tasks.create_task(collect(log, run_id))
            for number in range(3, 9003, 500):
                await log.append(run_id, deltas(run_id, 500, first=number))
            await log.append(run_id, end(run_id))
        rest = [entry async for batch in slow for entry in batch]
    assert payloads([*first, *rest]) == payloads(fast.result())
    assert len(rest) + len(first) == 9005


async def test_following_ends_at_the_terminal_event(log: EventLog, run_id: str) -> None:
    async with task_group() as tasks, asyncio.timeout(10):
        reader = tasks.create_task(collect(log, run_id))
        await log.append(run_id, [*begin(run_id), *deltas(run_id, 1)])
        await log.append(run_id, end(run_id))
        assert len(await reader) == 3
    async with asyncio.timeout(10):
        assert len(await collect(log, run_id)) == 3


async def test_following_after_the_terminal_event_ends_at_once(log: EventLog, run_id: str) -> None:
    offsets = await log.append(run_id, [*begin(run_id), *deltas(run_id, 1), *end(run_id)])
    async with asyncio.timeout(10):
        assert await collect(log, run_id, offsets[-1]) == []


async def test_following_from_far_ahead_ends_at_the_terminal_event(
    log: EventLog, run_id: str
) -> None:
    await log.append(run_id, begin(run_id))
    async with task_group() as tasks, asyncio.timeout(10):
        ahead = tasks.create_task(collect(log, run_id, "99999999999999-0"))
        for number in range(8):  # by the last, whoever reads waits for more
            await log.append(run_id, events(delta(number), run_id=run_id))
        await log.append(run_id, end(run_id))
        assert await ahead == []


async def test_nothing_follows_the_terminal_event(log: EventLog, run_id: str) -> None:
    await log.append(run_id, [*begin(run_id), *end(run_id)])
    for late in (deltas(run_id, 1), end(run_id)):
        with pytest.raises(RunClosed):
            await log.append(run_id, late)
    assert len(await collect(log, run_id)) == 2


async def test_a_batch_that_goes_on_after_its_end_is_refused_whole(
    log: EventLog, run_id: str
) -> None:
    await log.append(run_id, begin(run_id))
    with pytest.raises(RunClosed):
        await log.append(run_id, [*end(run_id), *deltas(run_id, 1)])
    assert len(await collect(log, run_id, follow=False)) == 1


async def test_only_its_beginning_is_appended_to_a_run_that_is_not_there(
    log: EventLog, run_id: str
) -> None:
    for orphan in (deltas(run_id, 1), end(run_id)):
        with pytest.raises(RunClosed):
            await log.append(run_id, orphan)
    assert not await log.exists(run_id)
    async with aclosing(log.read(run_id)) as reader, task_group() as tasks:
        waiting = tasks.create_task(_next(reader))
        await asyncio.sleep(0)
        with pytest.raises(RunClosed):
            await log.append(run_id, deltas(run_id, 1))
        await log.append(run_id, [*begin(run_id), *deltas(run_id, 1)])
        assert await waiting


async def test_what_comes_late_does_not_bring_a_forgotten_run_back(
    log: EventLog, run_id: str
) -> None:
    await log.append(run_id, begin(run_id))
    await log.begin(run_id, "a")
    await log.append(run_id, end(run_id))
    await log.expire(run_id, seconds=0)
    async with asyncio.timeout(10):
        while await log.exists(run_id):
            await asyncio.sleep(0.001)
    for _ in range(10):  # that it has ended may be remembered for a moment longer
        with pytest.raises(RunClosed):
            await log.append(run_id, deltas(run_id, 1), once="answer")
        await asyncio.sleep(0.001)
    assert not await log.exists(run_id)


async def test_of_two_ends_at_once_one_wins(log: EventLog, run_id: str) -> None:
    async def finish() -> bool:
        try:
            await log.append(run_id, end(run_id))
        except RunClosed:
            return False
        return True

    await log.append(run_id, begin(run_id))
    async with task_group() as tasks:
        writers = [tasks.create_task(finish()) for _ in range(8)]
    assert sum(writer.result() for writer in writers) == 1
    assert len(await collect(log, run_id)) == 2


async def test_of_several_appends_that_count_once_the_first_counts(
    log: EventLog, run_id: str
) -> None:
    async def answer(number: int) -> bool:
        try:
            await log.append(run_id, deltas(run_id, 1, first=number), once="question")
        except AppendedBefore:
            return False
        return True

    await log.append(run_id, begin(run_id))
    async with task_group() as tasks:
        writers = [tasks.create_task(answer(number)) for number in range(8)]
    assert sum(writer.result() for writer in writers) == 1
    await log.append(run_id, deltas(run_id, 1), once="another question")
    assert len(await collect(log, run_id, follow=False)) == 3


async def test_a_reader_cancelled_while_it_waits_disturbs_nobody(
    log: EventLog, run_id: str
) -> None:
    await log.append(run_id, begin(run_id))
    async with task_group() as tasks:
        waiting = tasks.create_task(collect(log, run_id))
        staying = tasks.create_task(collect(log, run_id))
        async with aclosing(log.read(run_id)) as reader:
            await anext(reader)
        await asyncio.sleep(0)
        waiting.cancel()
        await log.append(run_id, end(run_id))
    assert waiting.cancelled()
    assert len(staying.result()) == 2


async def test_a_run_is_known_from_its_first_event_on(log: EventLog, run_id: str) -> None:
    assert not await log.exists(run_id)
    assert await collect(log, run_id, follow=False) == []
    assert not await log.exists(run_id)
    await log.append(run_id, begin(run_id))
    assert await log.exists(run_id)


async def test_an_expired_run_is_forgotten(log: EventLog, run_id: str) -> None:
    await log.append(run_id, [*begin(run_id), *end(run_id)])
    await log.expire(run_id, seconds=0)
    async with asyncio.timeout(10):
        while await log.exists(run_id):
            await asyncio.sleep(0.001)


async def news(log: EventLog, after: str) -> list[tuple[str, str, RunEnd | None]]:
    """Return what is said of runs of this test's thread after an offset."""
    batches = [batch async for batch in log.news(after=after, follow=False)]
    return [(word.run_id, word.thread_id, word.status) for batch in batches for word in batch]


async def test_it_is_said_when_runs_begin_and_end_whoever_writes_that(log: EventLog) -> None:
    before, thread = await log.newest(), new_id()
    first, second, third = new_id(), new_id(), new_id()
    for run_id in (first, second, third):
        await log.append(run_id, events(started(run_id, thread), run_id=run_id))
    await log.append(second, deltas(second, 3))
    ends: dict[str, Payload] = {
        second: ResponseDone(response_id=second, status="complete"),
        first: ResponseDone(response_id=first, status="aborted"),
        third: ResponseError(response_id=third, error=ErrorInfo(code="x", message="y")),
    }
    for run_id, payload in ends.items():
        await log.append(run_id, events(payload, run_id=run_id))
    with pytest.raises(RunClosed):
        await log.append(first, end(first))
    assert await news(log, before) == [
        *((run_id, thread, None) for run_id in (first, second, third)),
        *((second, thread, "complete"), (first, thread, "aborted"), (third, thread, "error")),
    ]


async def test_word_of_runs_is_followed_from_any_offset(log: EventLog, run_id: str) -> None:
    before, heard = await log.newest(), list[RunNews]()

    async def listen(after: str) -> list[RunNews]:
        found: list[RunNews] = []
        async with aclosing(log.news(after=after)) as batches:
            async for batch in batches:
                found += [word for word in batch if word.run_id == run_id]
                if found and found[-1].status is not None:
                    return found
        return found

    async with task_group() as tasks, asyncio.timeout(10):
        listeners = [tasks.create_task(listen(before)) for _ in range(3)]
        await asyncio.sleep(0)
        await log.append(run_id, begin(run_id))
        await log.append(run_id, end(run_id))
        heard = await listeners[0]
        assert [await listener for listener in listeners] == [heard] * 3
    assert [word.status for word in heard] == [None, "complete"]
    assert await listen(heard[0].offset) == heard[1:]
    assert offset_key(await log.newest()) >= offset_key(heard[1].offset)
    with pytest.raises(ValueError, match="offset"):
        await listen("yesterday")


async def test_who_begins_to_work_on_a_run_learns_how_it_stands(log: EventLog, run_id: str) -> None:
    assert await log.begin(run_id, "a") == "gone"
    await log.append(run_id, begin(run_id))
    attempts = ["a", "a", "b", "a"]
    found = [await log.begin(run_id, attempt) for attempt in attempts]
    assert found == ["first", "first", "begun", "first"]
    await log.append(run_id, end(run_id))
    assert [await log.begin(run_id, attempt) for attempt in "ab"] == ["ended", "ended"]


async def test_closing_the_log_ends_its_readers(log: EventLog, run_id: str) -> None:
    await log.append(run_id, begin(run_id))
    async with asyncio.timeout(10), aclosing(log.read(run_id)) as reader:
        await anext(reader)
        async with aclosing(log.news(after=await log.newest())) as words, task_group() as tasks:
            listening = tasks.create_task(_heard(words))
            await asyncio.sleep(0.01)
            await log.aclose()
            assert await listening == []
        assert [batch async for batch in reader] == []


async def _next(reader: AsyncIterator[object]) -> object:
    return await anext(reader)


async def _heard(words: AsyncIterator[Sequence[RunNews]]) -> list[Sequence[RunNews]]:
    return [batch async for batch in words]


async def test_fifty_thousand_events(log: EventLog, run_id: str) -> None:
    async with task_group() as tasks:
        live = tasks.create_task(collect(log, run_id))
        await log.append(run_id, begin(run_id))
        for first in range(0, 50_000, 500):
            await log.append(run_id, deltas(run_id, 500, first=first))
        await log.append(run_id, end(run_id))
    entries = await collect(log, run_id)
    assert [entry.offset for entry in live.result()] == [entry.offset for entry in entries]
    assert payloads(entries)[1:-1] == [*map(delta, range(50_000))]
