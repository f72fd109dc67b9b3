from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from cody_core.bulletin import Bulletin
from cody_core.errors import StoreUnavailable
from cody_core.schema.changes import Changes
from cody_core.stores.sqlite import SqliteStore


class TellingStore(SqliteStore):
    """Tells what it is told to, and counts who listens."""

    listeners = 0

    def prepare(self) -> None:
        self.words: asyncio.Queue[bool | None] = asyncio.Queue()

    async def changes(self) -> AsyncGenerator[bool]:
        self.listeners += 1
        try:
            while (word := await self.words.get()) is not None:
                yield word
            raise StoreUnavailable("away")
        finally:
            self.listeners -= 1


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[TellingStore]:
    async with TellingStore.open(tmp_path / "cody.db") as opened:
        opened.prepare()
        yield opened


async def said(reading: AsyncGenerator[Changes]) -> Changes:
    async with asyncio.timeout(10):
        return await anext(reading)


async def until_heard(store: TellingStore, listeners: int) -> None:
    async with asyncio.timeout(10):
        while store.listeners != listeners or not store.words.empty():
            await asyncio.sleep(0)


async def test_readers_see_the_newest_state_and_none_twice(store: TellingStore) -> None:
    unsaved: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        bulletin = Bulletin(store, tasks, unsaved=lambda: len(unsaved))
        async with aclosing(bulletin.read(threads=False)) as reading:
            assert await said(reading) == Changes()
            for run in ("a", "b", "c"):
                unsaved.append(run)
                bulletin.look()
            assert await said(reading) == Changes(unsaved=3)
            bulletin.look()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await anext(reading)
        assert store.listeners == 0


async def test_the_store_is_listened_to_once_and_while_somebody_wants_to_hear(
    store: TellingStore,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        bulletin = Bulletin(store, tasks, unsaved=lambda: 0)
        async with (
            aclosing(bulletin.read(threads=True)) as first,
            aclosing(bulletin.read(threads=True)) as second,
        ):
            assert await said(first) == await said(second) == Changes()
            store.words.put_nowait(True)
            assert await said(first) == await said(second) == Changes(threads=1, is_told=True)
            assert store.listeners == 1
            await second.aclose()
            store.words.put_nowait(False)
            assert await said(first) == Changes(threads=2)
        await until_heard(store, 0)
        async with aclosing(bulletin.read(threads=True)) as later:
            assert await said(later) == Changes(threads=2)
            store.words.put_nowait(True)
            assert await said(later) == Changes(threads=3, is_told=True)


async def test_a_store_that_cannot_tell_any_more_is_said_not_to(store: TellingStore) -> None:
    async with asyncio.TaskGroup() as tasks:
        bulletin = Bulletin(store, tasks, unsaved=lambda: 0)
        async with aclosing(bulletin.read(threads=True)) as reading:
            await said(reading)
            store.words.put_nowait(True)
            assert (await said(reading)).is_told
            store.words.put_nowait(None)
            assert await said(reading) == Changes(threads=1)
            await until_heard(store, 0)
            async with aclosing(bulletin.read(threads=True)) as later:  # it is asked again
                assert await said(later) == Changes(threads=1)
                store.words.put_nowait(True)
                assert await said(later) == await said(reading) == Changes(threads=2, is_told=True)


async def test_closing_ends_all_reading(store: TellingStore) -> None:
    async with asyncio.TaskGroup() as tasks:
        bulletin = Bulletin(store, tasks, unsaved=lambda: 0)
        async with aclosing(bulletin.read(threads=True)) as reading:
            await said(reading)
            bulletin.close()
            with pytest.raises(StopAsyncIteration):
                await said(reading)
        assert store.listeners == 0
