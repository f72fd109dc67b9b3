from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cody_core.errors import StoreCorrupt, StoreUnavailable
from cody_core.eventlog import EventLog
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import (
    ItemDelta,
    ItemDone,
    ItemStart,
    Payload,
    ResponseDone,
    TurnAbortedByUser,
)
from cody_core.schema.items import ErrorItem, FunctionCall, Message, Partial
from cody_core.schema.requests import RunRequest
from cody_core.schema.response import ErrorInfo, Response
from cody_core.schema.threads import Thread
from cody_core.stores import OpenRun, RunWrite
from cody_core.stores.sqlite import SqliteStore
from cody_core.workers.outbox import Outbox
from cody_core.workers.recovery import INTERRUPTED, recover
from support.shapes import THREAD, TURN, events, response, started

THREAD_OF_RUN = Thread(id=THREAD, title="t", created_at=1, updated_at=1)
SAID = Message(id="m", content="all of it")
DONE: tuple[Payload, ...] = (
    ItemStart(item_id="m", item_type="message"),
    ItemDone(item_id="m", final_item=SAID),
)
OPEN: tuple[Payload, ...] = (
    *DONE,
    ItemStart(item_id="n", item_type="message"),
    ItemDelta(item_id="n", delta_content="half of"),
    ItemStart(item_id="c", item_type="function_call", name="ls", call_id="c1"),
)


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
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "cody.db") as opened:
        await opened.create_thread(THREAD_OF_RUN)
        yield opened


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


async def reduced(log: EventLog, run_id: str) -> ResponseReducer:
    reducer = ResponseReducer()
    async for batch in log.read(run_id, follow=False):
        reducer.feed(batch)
    return reducer


async def left(
    log: EventLog, store: SqliteStore, *payloads: Payload, stored: int | None = None
) -> Response:
    """Leave a run as a process does that dies: in the log, and the first events in the store."""
    run_id = new_id()
    run = events(started(run_id), *payloads, run_id=run_id)
    await log.append(run_id, run[: stored or len(run)])
    reducer = await reduced(log, run_id)
    assert reducer.response is not None
    assert reducer.last_offset is not None
    await store.save_run(RunWrite(reducer.response, reducer.last_offset, owner="dead"))
    if stored is not None:
        await log.append(run_id, run[stored:])
    return reducer.response


def nobody(process_id: str | None, seen: bool) -> bool:
    return False


def interrupted(response: Response, after: Response | None) -> Response:
    """Return the response as it is when it was ended by others."""
    assert after is not None
    changes = {"status": "error", "error": INTERRUPTED, "updated_at": after.updated_at}
    return response.model_copy(update=changes)


def failed(partial: Partial) -> ErrorItem:
    code, message = INTERRUPTED.code, INTERRUPTED.message
    return ErrorItem(id=partial.id, code=code, message=message, partial=partial)


async def test_a_run_of_a_dead_process_is_ended_and_what_was_streamed_is_kept(
    log: EventLog, store: SqliteStore, outbox: Outbox
) -> None:
    run = await left(log, store, *OPEN)
    await recover(log, store, outbox, nobody)
    after = await store.get_run(run.id)
    call = FunctionCall(id="c", name="ls", arguments="", call_id="c1")
    assert after == interrupted(run, after).model_copy(
        update={
            "output_items": (
                SAID,
                failed(Message(id="n", content="half of")),
                failed(call),
            )
        }
    )
    assert (await reduced(log, run.id)).response == after
    assert await store.open_runs() == []
    await recover(log, store, outbox, nobody)
    assert await store.get_run(run.id) == after


async def test_a_run_that_somebody_had_cancelled_is_ended_as_aborted(
    log: EventLog, store: SqliteStore, outbox: Outbox
) -> None:
    run = await left(log, store, *OPEN, TurnAbortedByUser(turn_id=TURN, reason="enough"))
    await recover(log, store, outbox, nobody)
    after = await store.get_run(run.id)
    assert after is not None
    assert (after.status, after.error) == ("aborted", None)
    assert [item.type for item in after.output_items] == ["message", "cancelled", "cancelled"]


async def test_who_follows_the_run_sees_its_end(
    log: EventLog, store: SqliteStore, outbox: Outbox
) -> None:
    run = await left(log, store, *OPEN)
    await recover(log, store, outbox, nobody)
    entries = [entry async for batch in log.read(run.id) for entry in batch]
    assert [entry.is_terminal for entry in entries] == [False] * (len(entries) - 1) + [True]


async def test_a_run_of_a_live_process_is_left_alone(
    log: EventLog, store: SqliteStore, outbox: Outbox
) -> None:
    run = await left(log, store, *OPEN)
    asked: list[str | None] = []

    def alive(process_id: str | None, seen: bool) -> bool:
        asked.append(process_id)
        return True

    await recover(log, store, outbox, alive)
    assert asked == ["dead"]
    assert await store.get_run(run.id) == run
    assert not (await reduced(log, run.id)).is_terminal


@pytest.mark.parametrize("alive", [None, False])
async def test_a_run_that_a_worker_elsewhere_has_is_left_alone_unless_that_is_known_to_be_dead(
    log: EventLog, store: SqliteStore, outbox: Outbox, alive: bool | None
) -> None:
    run = await left(log, store, *OPEN)
    request = RunRequest(
        run_id=run.id,
        turn_id=run.turn_id,
        thread_id=run.thread_id,
        provider_id=run.provider_id,
        model_id=run.model_id,
        input_items=(),
    )

    async def taken() -> list[RunRequest]:
        return [request]

    await recover(log, store, outbox, lambda process_id, seen: alive, taken=taken)
    after = await store.get_run(run.id)
    assert after is not None
    assert after.is_terminal == (alive is False)


async def test_an_error_in_the_stream_is_the_error_of_a_run_that_was_left_open(
    store: SqliteStore, outbox: Outbox
) -> None:
    error = ErrorInfo(code="STREAM_SEQUENCE_ERROR", message="out of order")
    run = response(status="in_progress", error=error)
    await store.save_run(RunWrite(run, "1-0", owner="dead"))
    await recover(MemoryEventLog(), store, outbox, nobody)
    after = await store.get_run(run.id)
    assert after is not None
    assert (after.status, after.error) == ("error", error)


async def test_a_run_whose_log_is_complete_is_stored_complete(
    log: EventLog, store: SqliteStore, outbox: Outbox
) -> None:
    run_id = new_id()
    done = ResponseDone(response_id=run_id, status="complete", finish_reason="stop")
    run = events(started(run_id), *DONE, done, run_id=run_id)
    offsets = await log.append(run_id, run[:2])
    early = (await reduced(log, run_id)).response
    assert early is not None
    await store.save_run(RunWrite(early, offsets[-1], owner="dead"))
    await log.append(run_id, run[2:])
    await recover(log, store, outbox, nobody)
    whole = (await reduced(log, run_id)).response
    assert whole is not None
    assert (whole.status, whole.output_items) == ("complete", (SAID,))
    assert await store.get_run(run_id) == whole


async def test_what_the_log_has_beyond_the_store_is_kept(
    log: EventLog, store: SqliteStore, outbox: Outbox
) -> None:
    run = await left(log, store, *DONE, stored=1)
    await recover(log, store, outbox, nobody)
    after = await store.get_run(run.id)
    assert after == interrupted(run, after).model_copy(update={"output_items": (SAID,)})


async def test_a_run_that_only_the_store_knows_is_ended_there(
    store: SqliteStore, outbox: Outbox
) -> None:
    run = await left(MemoryEventLog(), store, *DONE)
    await recover(MemoryEventLog(), store, outbox, nobody)
    after = await store.get_run(run.id)
    assert after == interrupted(run, after)
    assert await store.open_runs() == []


async def test_what_is_in_the_outbox_is_stored_first(store: SqliteStore, outbox: Outbox) -> None:
    run = await left(MemoryEventLog(), store, *DONE)
    whole = run.model_copy(update={"status": "complete", "finish_reason": "stop"})
    outbox.put(RunWrite(whole, f"{2**60}-0", owner="dead"))
    await recover(MemoryEventLog(), store, outbox, nobody)
    assert await store.get_run(run.id) == whole


class AwayStore(SqliteStore):
    async def open_runs(self) -> list[OpenRun]:
        raise StoreUnavailable("the disk is away")


async def test_what_cannot_be_done_now_waits_for_the_next_start(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    async with AwayStore.open(tmp_path / "away.db") as store:
        await recover(MemoryEventLog(), store, outbox, nobody)
    assert [record.message for record in caplog.records] == [
        "the list of open runs, left by an earlier process, was not put in order: the disk is away"
    ]


class PartlyCorruptStore(SqliteStore):
    async def get_run(self, run_id: str) -> Response | None:
        if run_id == self.damaged:
            raise StoreCorrupt("rotten")
        return await super().get_run(run_id)

    damaged = ""


async def test_a_run_that_cannot_be_read_does_not_stand_in_the_way_of_others(
    tmp_path: Path, outbox: Outbox
) -> None:
    async with PartlyCorruptStore.open(tmp_path / "cody.db") as store:
        await store.create_thread(THREAD_OF_RUN)
        first, second = [await left(MemoryEventLog(), store, *DONE) for _ in range(2)]
        store.damaged = first.id
        await recover(MemoryEventLog(), store, outbox, nobody)
        after = await store.get_run(second.id)
        assert after == interrupted(second, after)
        assert [run.run_id for run in await store.open_runs()] == [first.id]


class OddStore(SqliteStore):
    """Has a version in one of its rows that is no offset."""

    async def open_runs(self) -> list[OpenRun]:
        first, *others = await super().open_runs()
        return [OpenRun(first.run_id, "yesterday", first.owner), *others]


async def test_a_run_whose_stored_version_is_none_does_not_stop_the_program(
    tmp_path: Path, outbox: Outbox
) -> None:
    async with OddStore.open(tmp_path / "cody.db") as store:
        await store.create_thread(THREAD_OF_RUN)
        _, second = [await left(MemoryEventLog(), store, *DONE) for _ in range(2)]
        await recover(MemoryEventLog(), store, outbox, nobody)
        after = await store.get_run(second.id)
        assert after == interrupted(second, after)
