"""What does not fit into one call: stored once, or not at all."""

from __future__ import annotations

import asyncio

import pytest
from cody_core.errors import (
    StoreUnavailable,
)
from cody_core.schema.response import Response
from cody_core.stores import RunWrite
from cody_core.stores.convex import ConvexStore
from support.convex import ConvexServer

from .contract import a_thread, found, run_of, saved, say, stored
from .deployed import CHUNKS, HEAVY, documents, hurried, large, store, until

__all__ = ["hurried", "store"]


@pytest.mark.parametrize("fault", ["before", "after", -503])
async def test_a_save_in_parcels_that_is_disturbed_is_stored_once(
    convex: ConvexServer, store: ConvexStore, fault: str | int
) -> None:
    thread = await stored(store)
    run = run_of(thread, *large(70), status="in_progress")
    convex.next(*[fault, 0] * 40)
    assert await store.save_run(RunWrite(run, "1-0"))
    assert await store.get_run(run.id) == run
    changed = large(70, HEAVY.replace("word", "sword"))
    whole = run.model_copy(update={"output_items": tuple(changed), "status": "complete"})
    convex.next(*[fault, 0] * 40)
    assert await store.save_run(RunWrite(whole, "2-0"))
    assert await store.get_run(run.id) == whole
    assert await store.list_runs(thread.id) == [whole]
    expected = {"threads": 1, "runs": 1, "items": 71, "chunks": CHUNKS}
    await until(lambda: documents(convex) == expected)
    assert await store.get_run(run.id) == whole
    assert await found(store, "sword") == ["Weather"]
    assert await found(store, "word") == []


async def test_rows_that_are_not_sorted_in_yet_count_as_if_they_were(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread = await stored(store)
    items = [say(f"{HEAVY[:4000]}{at}", str(at)) for at in range(1500)]
    run = run_of(thread, *items, status="in_progress")
    await saved(store, run)
    items[3] = say("changed in between", "3")
    again = run.model_copy(update={"output_items": tuple(items)})
    assert await store.save_run(RunWrite(again, "2-0", changed=frozenset({3})))
    assert await store.get_run(run.id) == again
    assert await found(store, "changed between") == ["Weather"]
    short = again.model_copy(update={"output_items": tuple(items[:2]), "status": "complete"})
    assert await store.save_run(RunWrite(short, "3-0", changed=frozenset()))
    assert await store.get_run(run.id) == short
    await until(lambda: documents(convex) == {"threads": 1, "runs": 1, "items": 3})
    assert await store.get_run(run.id) == short


async def test_a_run_is_read_as_one_state_while_it_is_written(store: ConvexStore) -> None:
    thread = await stored(store)
    states = [
        run_of(
            thread,
            *(say(f"{HEAVY[:20_000]} {version} {at}", str(at)) for at in range(120 + version)),
            run_id=thread.id,
            status="in_progress",
            updated_at=version,
        )
        for version in range(6)
    ]
    seen: list[Response] = []

    async def read() -> None:
        while not seen or seen[-1] != states[-1]:
            seen.extend(await store.list_runs(thread.id))

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        for version, state in enumerate(states):
            await store.save_run(RunWrite(state, f"{version}-0"))
    places = [states.index(run) for run in seen]
    assert places == sorted(places)


async def test_what_was_sent_ahead_of_a_save_that_never_came_is_swept_away(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread = await stored(store)
    run = run_of(thread, *large(70), status="in_progress")
    await store._api.query("threads:get", threadId=thread.id)
    convex.faults(only="runs:save", before=1)
    with pytest.raises(StoreUnavailable):
        await store.save_run(RunWrite(run, "1-0"))
    convex.faults()
    assert await store.get_run(run.id) is None
    before = documents(convex)
    assert (before["items"], before["chunks"]) == (71, CHUNKS)
    assert await store.save_run(RunWrite(run, "1-0"))
    # In an hour those of rows are swept, in two those of chunks, which had been sent first.
    for sweep in reversed(convex.stats()["sweeps"]):
        convex.call("mutation", "parcels:sweep", key=convex.key, **sweep)
    await until(
        lambda: documents(convex) == {"threads": 1, "runs": 1, "items": 71, "chunks": CHUNKS}
    )
    assert await store.get_run(run.id) == run


async def test_a_deleted_thread_is_removed_in_batches_and_nothing_is_left_of_it(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread = await stored(store, tags=("a", "b"))
    runs = [run_of(thread, *large(40)) for _ in range(4)]
    for run in runs:
        await saved(store, run)
    assert await store.delete_thread(thread.id)
    assert await store.list_runs(thread.id) == []
    assert await found(store, "word") == []
    assert not await store.save_run(RunWrite(runs[0], "9-0"))
    assert not await store.save_run(RunWrite(run_of(thread, *large(70)), "9-0"))
    await until(lambda: documents(convex) == {"threads": 1})


async def test_a_thread_that_is_not_finished_being_made_is_seen_by_nobody(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread = a_thread("copy")
    run = run_of(thread, say("umbrella"), status="in_progress")
    await store.list_threads()
    convex.faults(only="threads:reveal", before=1)
    with pytest.raises(StoreUnavailable):
        await store.create_thread(thread, [run])
    convex.faults()
    assert await store.get_thread(thread.id) is None
    assert await store.get_run(run.id) is None
    assert (await store.list_threads()).threads == ()
    assert await store.open_runs() == []
    assert await found(store, "umbrella") == await found(store, "copy") == []
    assert await store.create_thread(thread, [run]), "made again, it is taken over"
    assert await store.list_runs(thread.id) == [run]
    listed = (await store.list_threads()).threads
    assert [(t.title, t.state) for t in listed] == [("copy", "running")]
