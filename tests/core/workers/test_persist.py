from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from cody_core.errors import EventLogUnavailable, StoreCorrupt, StoreUnavailable
from cody_core.eventlog import EventLog
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.ids import new_id, traceparent
from cody_core.mirror import Mirror
from cody_core.reducer import SEQUENCE_ERROR, ResponseReducer
from cody_core.schema.events import (
    EventFactory,
    ItemDelta,
    ItemDone,
    ItemStart,
    Payload,
    ResponseDone,
    TraceContext,
)
from cody_core.schema.items import Message
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.stores import RunWrite
from cody_core.stores.sqlite import SqliteStore
from cody_core.workers import persist
from cody_core.workers.outbox import Outbox
from cody_core.workers.persist import Persister
from support.shapes import RUN, THREAD, events, started

NEVER = 1000.0
"""An interval that no test reaches: only boundaries are saved."""
THREAD_OF_RUN = Thread(id=THREAD, title="t", created_at=1, updated_at=1)
DONE = ResponseDone(response_id=RUN, status="complete", finish_reason="stop")


class TryingStore(SqliteStore):
    """Counts what is saved, waits at its gate, and is away as often as it is told."""

    failures = 0
    attempts = 0
    answered = 0
    rotten = False

    def prepare(self) -> None:
        self.saves: list[Response] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def create_thread(self, thread: Thread, runs: Sequence[Response] = ()) -> bool:
        await self._pass()
        return await super().create_thread(thread, runs)

    async def save_run(self, write: RunWrite) -> bool:
        await self._pass()
        self.saves.append(write.response)
        is_written = await super().save_run(write)
        self.answered += 1
        return is_written

    async def _pass(self) -> None:
        self.attempts += 1
        await self.gate.wait()
        if self.rotten:
            raise StoreCorrupt("rotten")
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("locked")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[TryingStore]:
    async with TryingStore.open(tmp_path / "cody.db") as opened:
        opened.prepare()
        await SqliteStore.create_thread(opened, THREAD_OF_RUN)
        yield opened


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


@pytest.fixture
async def log() -> MemoryEventLog:
    return MemoryEventLog()


def persister(
    log: EventLog, store: SqliteStore, outbox: Outbox, interval: float = NEVER
) -> Persister:
    return Persister(log, store, outbox, owner="me", log_ttl=60, interval=interval)


async def add(log: EventLog, *payloads: Payload) -> None:
    await log.append(RUN, events(*payloads))


def message(item_id: str, text: str = "hi") -> tuple[Payload, ...]:
    done = ItemDone(item_id=item_id, final_item=Message(id=item_id, content=text))
    return ItemStart(item_id=item_id, item_type="message"), done


def delta(text: str) -> ItemDelta:
    return ItemDelta(item_id="m", delta_content=text)


async def reduced(log: EventLog) -> Response:
    reducer = ResponseReducer()
    async for batch in log.read(RUN, follow=False):
        reducer.feed(batch)
    assert reducer.response is not None
    return reducer.response


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def test_it_saves_at_item_boundaries_and_at_the_end(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    steps: list[Sequence[Payload]] = [[started()], message("a"), message("b"), [DONE]]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(persister(log, store, outbox).run(RUN))
        for number, payloads in enumerate(steps, 1):
            await add(log, *payloads)
            await until(lambda number=number: len(store.saves) == number)  # type: ignore[misc]
            assert store.saves[-1] == await reduced(log)
    assert await store.get_run(RUN) == await reduced(log)
    assert len(store.saves) == len(steps)


async def test_text_alone_is_saved_at_most_every_interval(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(persister(log, store, outbox, interval=0.05).run(RUN))
        await add(log, started(), ItemStart(item_id="m", item_type="message"))
        await until(lambda: len(store.saves) == 1)
        begin = loop.time()
        while len(store.saves) < 4:
            await add(log, delta("x"))
            await asyncio.sleep(0.001)
        assert loop.time() - begin >= 3 * 0.05
        await add(log, DONE)
    assert await store.get_run(RUN) == await reduced(log)


async def test_text_alone_is_not_saved_before_the_interval_is_over(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(persister(log, store, outbox).run(RUN))
        await add(log, started(), ItemStart(item_id="m", item_type="message"))
        await until(lambda: len(store.saves) == 1)
        for _ in range(100):
            await add(log, delta("x"))
            await asyncio.sleep(0)
        assert len(store.saves) == 1
        await add(log, DONE)
    assert len(store.saves) == 2
    assert await store.get_run(RUN) == await reduced(log)


async def test_text_is_saved_more_seldom_when_many_runs_stream(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "AT_EASE", 1)
    loop, saving = asyncio.get_running_loop(), persister(log, store, outbox, interval=0.05)
    others = [new_id() for _ in range(3)]
    async with asyncio.TaskGroup() as tasks:
        for run_id in others:  # they have not begun, and do not end yet
            tasks.create_task(saving.run(run_id))
        tasks.create_task(saving.run(RUN))
        await add(log, started(), ItemStart(item_id="m", item_type="message"))
        await until(lambda: len(store.saves) == 1)
        begin = loop.time()
        while len(store.saves) < 3:
            await add(log, delta("x"))
            await asyncio.sleep(0.001)
        assert loop.time() - begin >= 2 * 0.05 * (1 + len(others))
        await add(log, DONE)
        whole = await reduced(log)
        await until(lambda: store.saves[-1] == whole)
        await log.aclose()


async def test_a_run_with_an_error_in_its_stream_is_stored_open_until_it_ends(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(persister(log, store, outbox).run(RUN))
        await add(log, started(), delta("of an item that is not open"), *message("a"))
        async with asyncio.timeout(10):
            while (found := await store.get_run(RUN)) is None:
                await asyncio.sleep(0.001)
        assert found.error is not None
        assert (found.status, found.error.code) == ("in_progress", SEQUENCE_ERROR)
        assert [run.run_id for run in await store.open_runs()] == [RUN]
        await add(log, DONE)
    assert await store.get_run(RUN) == await reduced(log)
    assert (await reduced(log)).status == "error"


async def test_a_replay_changes_nothing(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    await add(log, started(), *message("a"), DONE)
    for _ in range(2):
        await persister(log, store, outbox).run(RUN)
        assert await store.get_run(RUN) == await reduced(log)
    assert await store.list_runs(THREAD) == [await reduced(log)]


async def test_a_store_that_is_away_is_tried_again_and_nothing_is_lost(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    store.failures = 3
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(persister(log, store, outbox).run(RUN))
        await add(log, started(), *message("a", "first"))
        await until(lambda: store.failures < 3)
        await add(log, *message("b", "second"), DONE)
    assert store.attempts == 4
    assert await store.get_run(RUN) == await reduced(log)


async def test_a_store_that_is_away_for_days_is_tried_again(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "LONGEST_PAUSE", 0.0)
    store.failures = 1100
    await add(log, started(), DONE)
    await persister(log, store, outbox).run(RUN)
    assert await store.get_run(RUN) == await reduced(log)


async def test_a_slow_store_does_not_slow_the_reading_and_only_the_newest_state_is_written(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    store.gate.clear()
    saving = persister(log, store, outbox)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(saving.run(RUN))
        await add(log, started())
        await until(lambda: store.attempts == 1)
        for number in range(50):
            await add(log, *message(f"m{number}"))
        newest = await reduced(log)
        await until(lambda: list(saving.unsaved(THREAD)) == [newest])
        assert store.attempts == 1
        assert list(saving.unsaved(new_id())) == []
        await add(log, DONE)
        store.gate.set()
    assert len(store.saves) <= 3
    assert await store.get_run(RUN) == await reduced(log)
    assert list(saving.unsaved(THREAD)) == []


async def test_a_new_thread_is_stored_along_with_its_run(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    thread = THREAD_OF_RUN.model_copy(update={"id": new_id(), "title": "new"})
    store.failures = 1
    await add(log, started(thread_id=thread.id), DONE)
    await persister(log, store, outbox).run(RUN, thread)
    assert await store.list_runs(thread.id) == [await reduced(log)]
    stored = await store.get_thread(thread.id)
    assert stored is not None
    assert stored.title == "new"


async def test_a_thread_that_one_of_its_runs_has_brought_is_new_for_none_of_them(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "FIRST_PAUSE", 60.0)
    monkeypatch.setattr(persist, "LONGEST_PAUSE", 60.0)
    thread, other = THREAD_OF_RUN.model_copy(update={"id": new_id()}), new_id()
    saving = persister(log, store, outbox)
    store.failures = 1
    async with asyncio.TaskGroup() as tasks:
        await add(log, started(thread_id=thread.id), DONE)
        waits = tasks.create_task(saving.run(RUN, thread))
        await until(lambda: saving.pending == {RUN})
        ended = DONE.model_copy(update={"response_id": other})
        made = EventFactory(other, TraceContext(traceparent=traceparent(other)))
        await log.append(other, [made(started(other, thread.id)), made(ended)])
        assert saving.new_thread(thread.id) == thread
        await saving.run(other, thread)
        assert saving.new_thread(thread.id) is None
        assert [run.id for run in await store.list_runs(thread.id)] == [other]
        waits.cancel()


async def test_what_changes_while_the_thread_is_stored_is_saved_too(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    thread = THREAD_OF_RUN.model_copy(update={"id": new_id()})
    store.gate.clear()
    saving = persister(log, store, outbox)
    async with asyncio.TaskGroup() as tasks:
        await add(log, started(thread_id=thread.id), message("a")[0])
        tasks.create_task(saving.run(RUN, thread))
        await until(lambda: store.attempts == 1)
        await add(log, message("a", "all of it")[1])
        whole = await reduced(log)
        await until(lambda: list(saving.unsaved(thread.id)) == [whole])
        store.gate.set()
        await until(lambda: len(store.saves) == 2)
        await add(log, DONE)
    assert await store.get_run(RUN) == await reduced(log)


async def test_cancelled_it_leaves_the_newest_state_in_the_outbox(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    store.gate.clear()
    saving = persister(log, store, outbox)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(saving.run(RUN))
        await add(log, started(), *message("a"), message("m")[0], delta("half"))
        newest = await reduced(log)
        await until(lambda: list(saving.unsaved(THREAD)) == [newest] and store.attempts == 1)
        task.cancel()
    assert task.cancelled()
    store.gate.set()
    assert await store.get_run(RUN) is None
    assert await outbox.flush(store) == 1
    assert await store.get_run(RUN) == newest
    assert [run.owner for run in await store.open_runs()] == ["me"]


async def test_what_the_store_can_never_take_is_read_to_its_end_and_left_to_the_outbox(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    store.rotten = True
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(persister(log, store, outbox).run(RUN))
        await add(log, started(), *message("a"))
        await until(lambda: store.attempts == 1)
        await add(log, *message("b"), DONE)
    store.rotten = False
    assert await outbox.flush(store) == 1
    assert await store.get_run(RUN) == await reduced(log)


async def test_cancelled_with_everything_stored_it_leaves_nothing(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(persister(log, store, outbox).run(RUN))
        await add(log, started())
        await until(lambda: store.answered == 1)
        task.cancel()
    assert await outbox.flush(store) == 0


async def test_a_run_of_a_deleted_thread_is_dropped(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    await store.delete_thread(THREAD)
    await add(log, started(), DONE)
    await persister(log, store, outbox).run(RUN)
    assert await store.get_run(RUN) is None
    assert await outbox.flush(store) == 0


class KeepingLog(MemoryEventLog):
    """Notes what is to expire, and is away when it is told to be."""

    def __init__(self, *, away: bool = False) -> None:
        super().__init__()
        self.expiries: list[tuple[str, float]] = []
        self.away = away

    async def expire(self, run_id: str, *, seconds: float) -> None:
        if self.away:
            raise EventLogUnavailable("away")
        self.expiries.append((run_id, seconds))


async def test_the_log_forgets_a_run_once_it_is_over_and_stored(
    store: TryingStore, outbox: Outbox
) -> None:
    log = KeepingLog()
    store.failures = 1
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(persister(log, store, outbox).run(RUN))
        await add(log, started())
        await until(lambda: len(store.saves) == 1)
        assert log.expiries == []
        await add(log, DONE)
    assert log.expiries == [(RUN, 60)]


async def test_the_log_forgets_a_run_that_the_store_never_takes_after_a_week(
    store: TryingStore, outbox: Outbox
) -> None:
    log = KeepingLog()
    store.rotten = True
    await add(log, started(), DONE)
    assert await persister(log, store, outbox).run(RUN)
    assert log.expiries == [(RUN, 7 * 24 * 3600)]


async def test_a_run_whose_log_was_away_is_stored_whole_when_it_is_back(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    mirror, mine = Mirror(log, RUN), persister(log, store, outbox)
    start, done = message("m", "half of it")
    await add(log, started(), start, delta("half"))
    async with asyncio.TaskGroup() as tasks:
        storing = tasks.create_task(mine.run(RUN, mirror=mirror))
        await until(lambda: mine.mirror(RUN) is mirror)
        await mirror.catch_up()
        await until(lambda: store.answered == 1)
        store.rotten = True
        await add(log, done)
        await mirror.catch_up()
        await until(lambda: store.attempts == 2)
        mirror.over.set()  # as when it cannot be read any more
    assert storing.result() is False
    store.rotten = False
    await add(log, DONE)
    await mirror.catch_up()
    assert await mine.run(RUN, mirror=mirror)
    assert await store.get_run(RUN) == await reduced(log)


async def test_a_log_that_is_away_when_the_run_is_stored_is_no_failure(
    store: TryingStore, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    log = KeepingLog(away=True)
    await add(log, started(), DONE)
    await persister(log, store, outbox).run(RUN)
    assert await store.get_run(RUN) == await reduced(log)
    assert [record.message for record in caplog.records] == [
        f"run {RUN} is over, and stays in the log: away"
    ]


async def test_a_run_whose_log_is_closed_is_saved_as_far_as_it_came(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    saving = persister(log, store, outbox)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(saving.run(RUN))
        await add(log, started(), message("m")[0], delta("half"))
        newest = await reduced(log)
        await until(lambda: list(saving.unsaved(THREAD)) == [newest])
        await log.aclose()
    assert await store.get_run(RUN) == newest


async def test_told_to_hurry_it_leaves_what_the_store_does_not_take_to_the_outbox(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    store.failures = 1000
    saving = persister(log, store, outbox)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(saving.run(RUN))
        await add(log, started(), *message("a"), DONE)
        await until(lambda: saving.pending == {RUN})
        async with asyncio.timeout(5):
            saving.hurry()
            await until(lambda: saving.pending == set())
    store.failures = 0
    assert await outbox.flush(store) == 1
    assert await store.get_run(RUN) == await reduced(log)


async def test_the_end_of_a_run_is_kept_as_soon_as_the_store_is_away_and_dropped_when_it_is_back(
    log: MemoryEventLog, store: TryingStore, outbox: Outbox
) -> None:
    store.failures = 1000
    saving = persister(log, store, outbox)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(saving.run(RUN))
        await add(log, started(), *message("a"))
        await until(lambda: saving.pending == {RUN})
        assert outbox.kept == set(), "what goes on is kept when the program ends"
        await add(log, DONE)
        await until(lambda: outbox.kept == {RUN})
        store.failures = 0
    assert outbox.kept == set()
    assert await store.get_run(RUN) == await reduced(log)
