from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cody_core.stores import Store
from cody_core.stores.sqlite import SqliteStore

from .contract import RunContract, SearchContract, ThreadContract


@pytest.fixture(params=["sqlite"])
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with SqliteStore.open(tmp_path / "cody.db") as opened:
        yield opened


class TestThreads(ThreadContract):
    """Threads, in every store."""


class TestSearch(SearchContract):
    """Finding threads, in every store."""


class TestRuns(RunContract):
    """Runs, in every store."""
