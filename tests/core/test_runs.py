"""Where a run is looked for: in the store where that has all of it, else in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cody_core.errors import StoreCorrupt, StoreError, StoreUnavailable
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.ids import new_id
from cody_core.reducer import ResponseReducer
from cody_core.runs import Runs, up_to_date
from cody_core.schema.events import START, Entry, ItemDelta, ItemStart, Payload, ResponseDone
from cody_core.schema.response import ErrorInfo, Response
from cody_core.schema.threads import Thread
from cody_core.stores import RunWrite
from cody_core.stores.sqlite import SqliteStore
from cody_core.workers.outbox import Outbox
from cody_core.workers.persist import Persister
from support.shapes import RUN, THREAD, events, response, started

BEGIN = (started(), ItemStart(item_id="m", item_type="message"))
DONE = ResponseDone(response_id=RUN, status="complete", finish_reason="stop")


class CountingLog(MemoryEventLog):
    """Counts how often runs are read from the beginning."""

    readings = 0

    def read(
        self, run_id: str, *, after: str = START, follow: bool = True
    ) -> AsyncGenerator[Sequence[Entry]]:
        self.readings += after == START
        return super().read(run_id, after=after, follow=follow)


class DistantStore(SqliteStore):
    """Counts what is asked for, and fails when it is told to; it takes its time to answer."""

    asked = answered = 0
    failure: StoreError | None = None
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def get_run(self, run_id: str) -> Response | None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        found = await super().get_run(run_id)
        await self._answer()
        return found

    async def list_runs(self, thread_id: str) -> Sequence[Response]:
        found = await super().list_runs(thread_id)
        await self._answer()
        return found

    async def _answer(self) -> None:
        self.answered += 1
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()


@dataclass(frozen=True, slots=True)
class Places:
    """Where runs are."""

    log: CountingLog
    store: DistantStore
    persister: Persister
    settled: asyncio.Event
    runs: Runs

    async def add(self, *payloads: Payload) -> None:
        await self.log.append(RUN, events(*payloads))

    async def reduced(self) -> Response:
        reducer = ResponseReducer()
        async for batch in MemoryEventLog.read(self.log, RUN, follow=False):
            reducer.feed(batch)
        assert reducer.response is not None
        return reducer.response


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[Places]:
    log = CountingLog()
    async with DistantStore.open(tmp_path / "cody.db") as store:
        await store.create_thread(Thread(id=THREAD, title="t", created_at=1, updated_at=1))
        persister = Persister(log, store, Outbox(tmp_path / "outbox"), owner="me", log_ttl=60)
        settled = asyncio.Event()
        yield Places(log, store, persister, settled, Runs(log, store, persister, settled))


async def test_what_is_stored_to_its_end_is_not_read_from_the_log(places: Places) -> None:
    await places.add(*BEGIN, DONE)
    await places.persister.run(RUN)
    before = places.log.readings
    assert await places.runs.find(RUN) == await places.reduced()
    assert (places.log.readings, places.store.asked) == (before, 1)


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), StoreCorrupt("rotten")])
async def test_the_log_is_enough_while_the_store_fails(places: Places, failure: StoreError) -> None:
    await places.add(*BEGIN, DONE)
    await places.persister.run(RUN)
    places.store.failure = failure
    assert await places.runs.find(RUN) == await places.reduced()
    with pytest.raises(type(failure)):
        await places.runs.find(new_id())


async def test_a_run_that_is_followed_here_is_asked_of_nobody_and_read_once(
    places: Places,
) -> None:
    await places.add(*BEGIN)
    async with asyncio.TaskGroup() as tasks:
        saving = tasks.create_task(places.persister.run(RUN))
        while places.persister.mirror(RUN) is None:
            await asyncio.sleep(0)
        for number in range(3):
            await places.add(ItemDelta(item_id="m", delta_content=f"{number} "))
            found = await places.runs.find(RUN)  # at once: before it is told what has come
            assert found == await places.reduced()
        assert (places.log.readings, places.store.asked) == (1, 0)
        await places.add(DONE)
    assert saving.done()
    assert await places.store.get_run(RUN) == await places.reduced()
    assert places.persister.mirror(RUN) is None


async def test_a_run_that_is_not_stored_to_its_end_is_read_from_the_log_if_it_has_it(
    places: Places,
) -> None:
    await places.add(*BEGIN)
    async with asyncio.TaskGroup() as tasks:
        saving = tasks.create_task(places.persister.run(RUN))
        async with asyncio.timeout(10):
            while (stored := await places.store.get_run(RUN)) is None:
                await asyncio.sleep(0.001)
        saving.cancel()
    await places.add(ItemDelta(item_id="m", delta_content="more"))
    assert await places.runs.find(RUN) == await places.reduced() != stored
    await places.log.expire(RUN, seconds=0)
    while await places.log.exists(RUN):
        await asyncio.sleep(0.001)
    places.settled.set()
    assert await places.runs.find(RUN) == stored


async def test_a_run_that_was_left_open_is_found_when_it_has_been_ended(places: Places) -> None:
    left = response(status="in_progress", finish_reason=None)
    await places.store.save_run(RunWrite(left, "1-0", owner="dead"))
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
        finding = tasks.create_task(places.runs.find(RUN))
        reading = tasks.create_task(places.runs.all_of_thread(THREAD))
        while places.store.answered < 2:
            await asyncio.sleep(0.001)
        ended = left.model_copy(update={"status": "error", "updated_at": 3})
        await places.store.save_run(RunWrite(ended, "2-0", owner="dead"))
        assert not finding.done()
        assert not reading.done()
        places.settled.set()
    assert finding.result() == ended == await places.store.get_run(RUN)
    assert reading.result() == [ended]


async def found(runs: Runs) -> Response | None:
    return await runs.find(RUN)


async def of_thread(runs: Runs) -> Response:
    (run,) = await runs.of_thread(THREAD)
    return run


async def followed(runs: Runs) -> Response | None:
    reducer = ResponseReducer()
    async for batch in runs.follow(RUN):
        reducer.feed(batch)
    return reducer.response


@pytest.mark.parametrize("look", [found, of_thread, followed])
async def test_a_run_that_is_ended_while_it_is_read_is_read_again(
    places: Places, look: Callable[[Runs], Awaitable[Response | None]]
) -> None:
    left = response(status="in_progress", finish_reason=None)
    await places.store.save_run(RunWrite(left, "1-0", owner="dead"))

    async def put_in_order() -> None:
        ended = left.model_copy(
            update={"status": "error", "error": ErrorInfo(code="c", message="")}
        )
        await places.store.save_run(RunWrite(ended, "2-0"))
        places.settled.set()

    places.store.meanwhile = put_in_order
    assert (run := await look(places.runs)) is not None
    assert run.status == "error"


async def test_a_run_that_nobody_knows_is_not_found(places: Places) -> None:
    assert await places.runs.find(new_id()) is None


def test_a_thread_is_as_new_as_the_newest_run_told_along_with_it() -> None:
    thread = Thread(id=THREAD, title="t", created_at=1, updated_at=2)
    runs = [response(updated_at=9), response(updated_at=5, model_id="other", provider_id="q")]
    expected = {"updated_at": 5, "model_id": "other", "provider_id": "q"}
    assert up_to_date(thread, runs) == thread.model_copy(update=expected)
    renamed = thread.model_copy(update={"updated_at": 7})
    assert up_to_date(renamed, runs).updated_at == 7
    assert up_to_date(thread, ()) == thread
