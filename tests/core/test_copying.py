from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cody_core.copying import Copied, copy_threads
from cody_core.errors import StoreUnavailable
from cody_core.schema.threads import Thread, ThreadChanges
from cody_core.stores import RunWrite, Store
from cody_core.stores.convex import ConvexStore
from cody_core.stores.sqlite import SqliteStore
from support.convex import ConvexServer

from .stores.contract import run_of, saved, say, stored

Stores = tuple[Store, Store]


@pytest.fixture(params=["to convex", "to sqlite"])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, convex: ConvexServer
) -> AsyncIterator[Stores]:
    async with (
        SqliteStore.open(tmp_path / "cody.db") as sqlite,
        ConvexStore.open(convex.url, convex.key) as shared,
    ):
        yield (sqlite, shared) if request.param == "to convex" else (shared, sqlite)


def nobody(copied: Copied) -> None:
    """Tell nobody."""


async def all_of(store: Store) -> dict[str, tuple[Thread, list[object]]]:
    page = await store.list_threads(limit=500)
    return {t.id: (t, [*await store.list_runs(t.id)]) for t in page.threads}


async def filled(store: Store, count: int = 3) -> list[Thread]:
    threads = []
    for at in range(count):
        thread = await stored(store, f"thread {at}", at=at, tags=(f"tag{at}",), summary="s")
        await saved(store, run_of(thread, say("one"), created_at=1, updated_at=10 + at))
        await saved(store, run_of(thread, say("two"), created_at=2, updated_at=20 + at))
        threads.append(thread)
    return threads


async def test_all_is_copied_and_copying_again_changes_nothing(stores: Stores) -> None:
    source, target = stores
    await filled(source)
    told: list[int] = []
    copied = await copy_threads(source, target, lambda copied: told.append(copied.threads))
    assert copied == Copied(threads=3, new=3, runs=6)
    assert told == [1, 2, 3]
    assert await all_of(target) == await all_of(source)
    assert await copy_threads(source, target, nobody) == Copied(threads=3)
    assert await all_of(target) == await all_of(source)
    assert await copy_threads(target, source, nobody) == Copied(threads=3)


async def test_what_has_happened_since_is_added(stores: Stores) -> None:
    source, target = stores
    first, second, _ = await filled(source)
    await copy_threads(source, target, nobody)
    await saved(source, run_of(first, say("three"), created_at=3, updated_at=50))
    await saved(target, there := run_of(first, say("four"), created_at=4, updated_at=40))
    await source.update_thread(second.id, ThreadChanges(title="renamed", tags=()), now=60)
    copied = await copy_threads(source, target, nobody)
    assert (copied.new, copied.runs) == (0, 1)
    runs = await target.list_runs(first.id)
    assert [*runs] == [*await source.list_runs(first.id), there]
    renamed = await target.get_thread(second.id)
    assert renamed == await source.get_thread(second.id)


async def test_what_is_newer_there_stays_and_what_was_deleted_there_stays_deleted(
    stores: Stores,
) -> None:
    source, target = stores
    first, second, _ = await filled(source)
    await copy_threads(source, target, nobody)
    await target.delete_thread(first.id)
    await target.update_thread(second.id, ThreadChanges(title="newer"), now=99)
    assert await copy_threads(source, target, nobody) == Copied(threads=3, deleted=1)
    assert await target.get_thread(first.id) is None
    assert (await target.get_thread(second.id) or second).title == "newer"


async def test_a_run_that_has_not_ended_is_copied_when_it_has(stores: Stores) -> None:
    source, target = stores
    thread = await stored(source)
    run = run_of(thread, say("half"), status="in_progress", updated_at=5)
    await saved(source, run)
    await copy_threads(source, target, nobody)
    assert await target.list_runs(thread.id) == []
    ended = run.model_copy(update={"status": "complete", "updated_at": 6})
    await source.save_run(RunWrite(ended, "2-0"))
    await copy_threads(source, target, nobody)
    assert await target.list_runs(thread.id) == [ended]


async def test_copying_that_was_cut_off_goes_on_where_it_was(
    tmp_path: Path, convex: ConvexServer
) -> None:
    async with (
        SqliteStore.open(tmp_path / "cody.db") as source,
        ConvexStore.open(convex.url, convex.key) as target,
    ):
        threads = await filled(source, 6)

        def cut(copied: Copied) -> None:
            if copied.threads == 3:
                convex.stop()

        with pytest.raises(StoreUnavailable):
            await copy_threads(source, target, cut)
        convex.start()
        there = await all_of(target)
        assert {*there} == {thread.id for thread in threads[:3]}
        convex.faults(before=0.1, after=0.1, status=0.1)
        async with asyncio.timeout(60):
            copied = await copy_threads(source, target, nobody)
        convex.faults()
        assert copied == Copied(threads=6, new=3, runs=6)
        assert await all_of(target) == await all_of(source)
