"""A thousand runs stored while everything goes wrong that can go wrong on the way.

Requests are delayed, connections dropped before and after the commit, calls answered with errors,
before and after it, and the server goes away and comes back. In the end everything is there once,
as the log has it, and nobody who read in between saw anything go back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cody_core.errors import StoreUnavailable
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.ids import new_id
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload, ResponseDone
from cody_core.schema.items import Message
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.stores.convex import ConvexStore
from cody_core.workers import persist
from cody_core.workers.outbox import Outbox
from cody_core.workers.persist import Persister
from support.convex import ConvexServer
from support.loops import watched_loop
from support.shapes import events, started

RUNS = 128
AT_ONCE = 4
CHANCES: dict[str, object] = {
    "delay": [0, 10],
    "before": 0.06,
    "after": 0.06,
    "status": 0.08,
    "statuses": [503, 429, 500, -503, -500],
}
BLOCKED_SECONDS = 0.05


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause shortly where patience is not what is tested."""
    monkeypatch.setattr(persist, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr("cody_core.stores.convex_api.FIRST_PAUSE", 0.01)


@asynccontextmanager
async def away_now_and_then(server: ConvexServer, chance: random.Random) -> AsyncIterator[None]:
    """Let the server go away and come back, until the block is left; then it is there."""
    left = False

    async def come_and_go() -> None:
        while not left:
            await asyncio.sleep(chance.uniform(0.3, 0.8))
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(chance.uniform(0.0, 0.2))
            await asyncio.to_thread(server.start)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(come_and_go())
        try:
            yield
        finally:
            left = True


def payloads(run_id: str, thread_id: str, chance: random.Random) -> list[list[Payload]]:
    """Return what a run comes to, in steps: a few messages, one of them larger than a row."""
    steps: list[list[Payload]] = [[started(run_id, thread_id)]]
    for number in range(chance.choice([1, 1, 2, 3])):
        item_id, text = f"m{number}", "word " * chance.choice([1, 50, 50, 50, 50, 50, 50, 12_000])
        steps.append([ItemStart(item_id=item_id, item_type="message")])
        steps.append([ItemDelta(item_id=item_id, delta_content=text)])
        done = Message(id=item_id, content=text)
        steps.append([ItemDone(item_id=item_id, final_item=done)])
    steps.append([ResponseDone(response_id=run_id, status="complete", finish_reason="stop")])
    return steps


class Reader:
    """Reads one run over and over, and sees that it only ever goes on."""

    def __init__(self, store: ConvexStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._last: Response | None = None

    async def look(self) -> None:
        with suppress(StoreUnavailable):
            found = await self._store.get_run(self._run_id)
            if self._last is not None:
                assert found is not None, "a run that was there is gone"
                assert progress(found) >= progress(self._last)
            self._last = found


def progress(run: Response) -> tuple[bool, int, int]:
    text = sum(len(item.content) for item in run.output_items if isinstance(item, Message))
    return run.is_terminal, len(run.output_items), text


async def one_run(
    store: ConvexStore,
    other: ConvexStore,
    outbox: Outbox,
    thread: Thread,
    chance: random.Random,
    *,
    is_first: bool,
) -> tuple[str, MemoryEventLog]:
    """Let a run come about and be stored, and return its id and the log that has it.

    The first of a thread brings that along; of others, one now and then.
    """
    log, run_id = MemoryEventLog(), new_id()
    persister = Persister(log, store, outbox, owner="me", log_ttl=60, interval=0.02)
    reader = Reader(other, run_id)
    async with asyncio.TaskGroup() as tasks:
        brings = is_first or chance.random() < 0.2
        tasks.create_task(persister.run(run_id, thread if brings else None))
        for step in payloads(run_id, thread.id, chance):
            await log.append(run_id, events(*step, run_id=run_id))
            await asyncio.sleep(chance.choice([0, 0, 0.005]))
            if chance.random() < 0.05:
                await reader.look()
    await reader.look()
    return run_id, log


async def reduced(run_id: str, log: MemoryEventLog) -> Response:
    reducer = ResponseReducer()
    async for batch in log.read(run_id, follow=False):
        reducer.feed(batch)
    assert reducer.response is not None
    return reducer.response


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_goes_wrong_everything_is_stored_once_and_nothing_goes_back(
    convex: ConvexServer, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    outbox = Outbox(tmp_path / "outbox")
    logs: dict[str, MemoryEventLog] = {}
    threads = [Thread(id=new_id(), title=f"t{n}", created_at=n, updated_at=n) for n in range(25)]

    async def some(store: ConvexStore, other: ConvexStore, threads: Sequence[Thread]) -> None:
        for number in range(RUNS // AT_ONCE):
            thread = threads[number % len(threads)]
            is_first = number < len(threads)
            run_id, log = await one_run(store, other, outbox, thread, chance, is_first=is_first)
            logs[run_id] = log

    async with (
        ConvexStore.open(convex.url, convex.key) as store,
        ConvexStore.open(convex.url, convex.key) as other,
    ):
        convex.faults(seed=seed, **CHANCES)
        async with (
            watched_loop() as lateness,
            away_now_and_then(convex, chance),
            asyncio.TaskGroup() as tasks,
        ):
            for begin in range(AT_ONCE):
                tasks.create_task(some(store, other, threads[begin::AT_ONCE]))
        convex.faults()
        found = [run for thread in threads for run in await other.list_runs(thread.id)]
    # What is expected is worked out here: above, it would be held against the program.
    expected = {run_id: await reduced(run_id, log) for run_id, log in logs.items()}
    assert len(found) == len(expected) == RUNS
    assert {run.id: run for run in found} == expected
    assert list(outbox_files(tmp_path)) == []
    assert lateness.busy < BLOCKED_SECONDS
    assert lateness.late < 20 * BLOCKED_SECONDS, "nor was there anything waited for in it"
    documents = convex.stats()["documents"]
    assert documents["runs"] == RUNS
    assert documents["items"] == sum(
        len(run.input_items) + len(run.output_items) for run in found
    ), "nothing is doubled, and nothing of what was replaced is left"


def outbox_files(path: Path) -> list[Path]:
    return list((path / "outbox").glob("*.json"))
