from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cody_core.stores import Store
from cody_core.stores.convex import ConvexStore
from cody_core.stores.sqlite import SqliteStore
from support.convex import ConvexServer

from .contract import RunContract, SearchContract, ThreadContract


@pytest.fixture(params=["sqlite", "convex"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        async with SqliteStore.open(tmp_path / "cody.db") as sqlite:
            yield sqlite
    else:
        server: ConvexServer = request.getfixturevalue("convex")
        async with ConvexStore.open(server.url, server.key) as convex:
            yield convex


class TestThreads(ThreadContract):
    """Threads, in every store."""


class TestSearch(SearchContract):
    """Finding threads, in every store."""


class TestRuns(RunContract):
    """Runs, in every store."""
