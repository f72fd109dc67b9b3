"""A signal, and who is woken by it."""

from __future__ import annotations

import asyncio

from cody_core.tasks import Signal


async def _wait(signal: Signal, woken: list[int], number: int) -> None:
    await signal.wait()
    woken.append(number)


async def test_all_who_wait_are_woken_in_their_order_and_who_comes_later_waits_on() -> None:
    signal = Signal()
    woken: list[int] = []
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_wait(signal, woken, number)) for number in range(100)]
        await asyncio.sleep(0)
        signal.send()
        signal.send()
        await asyncio.wait(waiting)
        assert woken == list(range(100))
        later = tasks.create_task(_wait(signal, woken, 100))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not later.done()
        signal.send()
    assert woken == list(range(101))


async def test_who_stops_waiting_is_forgotten() -> None:
    signal = Signal()
    woken: list[int] = []
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_wait(signal, woken, number)) for number in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        signal.send()
        waiting[1].cancel()  # woken already, and cancelled before its turn
    assert woken == [2]
