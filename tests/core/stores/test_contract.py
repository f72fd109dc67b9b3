from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cody_core.stores import Store
from cody_core.stores.convex import ConvexStore
from cody_core.stores.sqlite import SqliteStore
from support.convex import ConvexServer

from .contract import RunContract, SearchContract, ThreadContract

LIVE = os.environ.get("CODY_TEST_CONVEX_URL"), os.environ.get("CODY_TEST_CONVEX_KEY")
"""A deployment that is nobody's: whatever threads there are in it are deleted."""
STORES = [
    "sqlite",
    "convex",
    *([pytest.param("live", marks=pytest.mark.live)] if all(LIVE) else []),
]


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        async with SqliteStore.open(tmp_path / "cody.db") as sqlite:
            yield sqlite
    elif request.param == "convex":
        server: ConvexServer = request.getfixturevalue("convex")
        async with ConvexStore.open(server.url, server.key) as convex:
            yield convex
    else:
        url, key = LIVE
        async with ConvexStore.open(url or "", key or "") as hosted:
            for thread in (await hosted.list_threads(limit=500)).threads:
                await hosted.delete_thread(thread.id)
            yield hosted


class TestThreads(ThreadContract):
    """Threads, in every store."""


class TestSearch(SearchContract):
    """Finding threads, in every store."""


class TestRuns(RunContract):
    """Runs, in every store."""
