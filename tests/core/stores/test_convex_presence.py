"""Who works on a run, as other machines see it."""

from __future__ import annotations

import asyncio

import pytest
from cody_core.stores import OpenRun, RunWrite
from cody_core.stores.convex import ConvexStore
from support.convex import ConvexServer

from .contract import run_of, stored
from .deployed import hurried, store, until

__all__ = ["hurried", "store"]


async def test_a_process_is_seen_for_as_long_as_it_gives_signs(
    convex: ConvexServer, store: ConvexStore
) -> None:
    run = run_of(await stored(store), status="in_progress")
    async with store.presence("me"):
        await store.save_run(RunWrite(run, "1-0", owner="me"))
        assert await store.open_runs() == [OpenRun(run.id, "1-0", "me", seen=True)]
        convex.advance(89_000)
        assert [run.seen for run in await store.open_runs()] == [True]
        convex.advance(91_000)
        assert [run.seen for run in await store.open_runs()] == [False]


async def test_signs_go_on_while_a_run_is_open_and_end_with_it(
    convex: ConvexServer, store: ConvexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cody_core.stores.convex_presence.BEAT_SECONDS", 0.02)

    def beats() -> int:
        return int(convex.stats()["calls"].get("owners:beat", 0))

    run = run_of(await stored(store), status="in_progress")
    async with store.presence("me"):
        await store.save_run(RunWrite(run, "1-0", owner="a dead process, from the outbox"))
        await asyncio.sleep(0.1)
        assert beats() == 0
        await store.save_run(RunWrite(run, "2-0", owner="me"))
        await until(lambda: beats() > 3)
        ended = run.model_copy(update={"status": "complete"})
        await store.save_run(RunWrite(ended, "3-0", owner="me"))
        await asyncio.sleep(0.05)
        last = beats()
        await asyncio.sleep(0.1)
        assert beats() == last
