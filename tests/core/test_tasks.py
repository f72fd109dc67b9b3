"""A signal, and how many are woken by it at once."""

from __future__ import annotations

import asyncio

import pytest
from cody_core.tasks import FEW, LONGEST_PAUSE, Signal


async def _wait(signal: Signal, woken: list[float]) -> None:
    await signal.wait()
    woken.append(asyncio.get_running_loop().time())


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 1000])
async def test_all_who_wait_are_woken_and_who_comes_later_waits_on(count: int) -> None:
    signal = Signal()
    woken: list[float] = []
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_wait(signal, woken)) for _ in range(count)]
        await asyncio.sleep(0)
        signal.send()
        signal.send()
        await asyncio.wait(waiting)
        later = tasks.create_task(_wait(signal, woken))
        await asyncio.sleep(2 * LONGEST_PAUSE)
        assert not later.done()
        signal.send()
    assert len(woken) == count + 1


async def test_few_are_woken_at_once_and_many_together() -> None:
    for count, is_at_once in ((FEW, True), (FEW + 1, False)):
        signal, woken = Signal(), list[float]()
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(_wait(signal, woken))
            await asyncio.sleep(0)
            signal.send()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert bool(woken) == is_at_once


async def test_who_stops_waiting_is_forgotten() -> None:
    signal, woken = Signal(), list[float]()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_wait(signal, woken)) for _ in range(FEW + 2)]
        await asyncio.sleep(0)
        signal.send()
        waiting[0].cancel()
    assert len(woken) == FEW + 1
