"""A store in the Convex deployment of the tests, and a look at what is kept there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from cody_core.stores import convex_api as api
from cody_core.stores.convex import ConvexStore
from support.convex import ConvexServer

from .contract import say

HEAVY = "word " * 10_000
CHUNKS = 140
"""Of 70 items with that: one of JSON and one of words each."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "FIRST_PAUSE", 0.001)


@pytest.fixture
async def store(convex: ConvexServer) -> AsyncIterator[ConvexStore]:
    async with ConvexStore.open(convex.url, convex.key) as opened:
        yield opened


def large(count: int, text: str = HEAVY) -> list[Any]:
    return [say(f"{text}{at}", str(at)) for at in range(count)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def documents(convex: ConvexServer) -> dict[str, float]:
    return {table: count for table, count in convex.stats()["documents"].items() if count}
