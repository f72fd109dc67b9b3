"""Changes of the list of threads, told by the official client in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from cody_core.schema.threads import ThreadChanges
from cody_core.stores import RunWrite, Store
from cody_core.stores import convex_watch as watching
from cody_core.stores.convex import ConvexStore
from support.children import children as children_named
from support.convex import ConvexServer

from .contract import run_of, stored


@pytest.fixture
async def store(convex: ConvexServer) -> AsyncIterator[ConvexStore]:
    async with ConvexStore.open(convex.url, convex.key) as opened:
        yield opened


@asynccontextmanager
async def changes_of(store: Store) -> AsyncIterator[AsyncGenerator[bool]]:
    async with aclosing(store.changes()) as changes:
        yield changes


async def told(changes: AsyncGenerator[bool], seconds: float = 20.0) -> bool:
    async with asyncio.timeout(seconds):
        return await anext(changes)


def children() -> list[int]:
    """Return the processes that run the official client for this one."""
    return children_named(watching.CHILD.name)


def seen_of(pid: int) -> str:
    """Return what others can see of a process."""
    return "".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "environ"))


async def test_what_others_do_is_told_within_a_second(
    convex: ConvexServer, store: ConvexStore
) -> None:
    async with changes_of(store) as changes, ConvexStore.open(convex.url, convex.key) as other:
        assert await told(changes)
        thread = await stored(other)
        assert await told(changes, 1)
        run = run_of(thread, status="in_progress")
        await other.save_run(RunWrite(run, "1-0"))
        assert await told(changes, 1)
        await other.update_thread(thread.id, ThreadChanges(title="new"), now=9)
        assert await told(changes, 1)
        await other.delete_thread(thread.id)
        assert await told(changes, 1)


async def test_the_process_ends_with_the_watching_and_its_key_is_not_seen(
    convex: ConvexServer, store: ConvexStore
) -> None:
    async with changes_of(store) as changes:
        assert await told(changes)
        (pid,) = children()
        assert convex.key not in seen_of(pid)
    assert children() == []


async def test_a_connection_that_is_cut_is_made_again(
    convex: ConvexServer, store: ConvexStore
) -> None:
    async with changes_of(store) as changes:
        assert await told(changes)
        await asyncio.to_thread(convex.stop)
        await asyncio.to_thread(convex.start)
        thread = await stored(store)
        assert await told(changes)
        await store.delete_thread(thread.id)
        assert await told(changes)


async def test_without_the_process_the_list_is_looked_at_now_and_then(
    convex: ConvexServer, store: ConvexStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watching, "CHILD", tmp_path / "missing.py")
    async with changes_of(store) as changes:
        await stored(store)
        assert await told(changes) is False
        await stored(store, at=7)
        assert await told(changes) is False


async def test_a_process_that_dies_is_started_once_more(
    convex: ConvexServer, store: ConvexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.02)
    async with changes_of(store) as changes:
        assert await told(changes)
        (pid,) = children()
        os.kill(pid, signal.SIGKILL)
        assert await told(changes) is False
        while not await told(changes):
            pass


async def test_a_key_that_is_wrong_does_not_hold_anything_up(
    convex: ConvexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FIRST_SECONDS", 0.5)
    async with (
        ConvexStore.open(convex.url, "test|wrong") as store,
        changes_of(store) as changes,
    ):
        began = time.monotonic()
        assert await told(changes) is False
        assert time.monotonic() - began < 5
        assert children() == []
