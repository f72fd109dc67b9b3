"""``cody serve`` under load: what stands between a model and those who listen, over HTTP.

Server, model and clients are processes of their own and share the machine, as does Redis where it
holds the log. Deltas say when they were sent. How late one is counts from there to where its bytes
are in a client's hands; nothing is subtracted, not even what the client and the model's server take
themselves. What is stored is looked up in the database, from outside.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from benchmarks.servers import redis_server
from benchmarks.serving_client import Api, Listener, lateness
from benchmarks.serving_server import Server, serving
from benchmarks.source import source
from benchmarks.table import Goals
from benchmarks.timing import percentile

PACES: Final = {50: 150, 200: 800, 1000: 3000}
"""How many deltas are sent, by how many a second."""
FLAT_OUT: Final = 20_000
CROWDS: Final = (50, 100, 200)
CROWD_DELTAS: Final = 100
CROWD_PACE: Final = 20
CROWD_SECONDS: Final = 0.01
"""Between the submissions of two runs of a crowd."""
LISTENERS: Final = 100
ASKS: Final = 100
CALLS: Final = 50
IDLE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.01
PATIENCE: Final = 30.0


def tables() -> Iterator[Goals]:
    """Measure; see the module."""
    with source() as url, redis_server("serving") as redis_url:
        for log, place in {"memory log": None, "Redis log": redis_url}.items():
            if log == "memory log" or place is not None:
                with serving(url, place) as server:
                    yield asyncio.run(_Bench(server, log).table())


@dataclass
class _Bench:
    """The measurements of one server."""

    server: Server
    log: str
    goals: Goals = field(init=False)

    async def table(self) -> Goals:
        """Take them all; what comes first warms the server up."""
        self.goals = Goals(f"cody serve, {self.log}")
        await self._take(self._warm_up)
        await self._idle()
        await self._take(self._submitting)
        await self._take(self._calls)
        for pace in PACES:
            await self._take(partial(self._pace, pace))
        await self._take(self._flat_out)
        for crowd in CROWDS:
            await self._take(partial(self._crowd, crowd))
        await self._take(self._listeners)
        return self.goals

    async def _take(self, measure: Callable[[Api], Awaitable[None]]) -> None:
        """Take one measurement over a connection of its own: servers close idle ones."""
        async with Api.open(self.server.port) as api:
            await measure(api)

    async def _warm_up(self, api: Api) -> None:
        for _ in range(10):
            await self._short(api)

    @asynccontextmanager
    async def _costs(self, label: str, cpu_goal: float | None = None) -> AsyncIterator[None]:
        """Note what the server uses for the block."""
        usage = self.server.usage
        usage.forget_peak()
        cpu = usage.cpu_seconds
        yield
        spent = usage.cpu_seconds - cpu
        if cpu_goal is None:
            self.goals.note(f"{label}: CPU (s)", spent)
        else:
            self.goals.goal(f"{label}: CPU (s)", spent, cpu_goal)
        self.goals.note(f"{label}: peak memory (MB)", usage.peak_mb)

    async def _idle(self) -> None:
        cpu, began = self.server.usage.cpu_seconds, time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        spent = self.server.usage.cpu_seconds - cpu
        self.goals.goal("idle: CPU (%)", spent / (time.perf_counter() - began) * 100, 0.3)

    async def _submitting(self, api: Api) -> None:
        async with self._costs(f"{ASKS} short runs"):
            asks = [await self._short(api) for _ in range(ASKS)]
        accepted, first, visible = zip(*asks, strict=True)
        self.goals.note("submit → 202: p50 (ms)", percentile(accepted, 50))
        self.goals.goal("submit → first delta: p50 (ms)", percentile(first, 50), 12)
        self.goals.note("submit → first delta: p99 (ms)", percentile(first, 99))
        self.goals.goal("response_done → GET /runs says so: p50 (ms)", percentile(visible, 50), 10)

    async def _short(self, api: Api) -> tuple[float, float, float]:
        """Return the ms to the 202, to the first delta, and from the end to where it is seen."""
        began = time.perf_counter() * 1e3
        run_id = await api.submit("0-20")
        accepted = time.perf_counter() * 1e3
        async with Listener.open(api.port, run_id) as listener:
            ended = await listener.end()
        while await api.status(run_id) != "complete":
            pass
        return accepted - began, listener.first - began, time.perf_counter() * 1e3 - ended

    async def _calls(self, api: Api) -> None:
        took = []
        for _ in range(CALLS):
            run_id = await api.submit("0-call")
            async with Listener.open(api.port, run_id) as listener:
                await listener.end()
            took.append(listener.answered - listener.called)
        self.goals.goal("call → output: p50 (ms)", percentile(took, 50), 4)
        self.goals.note("call → output: p99 (ms)", percentile(took, 99))

    async def _pace(self, pace: int, api: Api) -> None:
        limits = {200: (1.5, 10), 1000: (None, 25)}.get(pace, (None, None))
        label = f"{pace:,} deltas/s"
        async with self._costs(label):
            run_id = await api.submit(f"{pace}-{PACES[pace]}")
            async with Listener.open(api.port, run_id) as listener:
                await listener.end()
        self._late(label, [listener], PACES[pace], *limits)

    def _late(
        self,
        label: str,
        listeners: list[Listener],
        count: int,
        p50: float | None = None,
        p99: float | None = None,
    ) -> None:
        assert {len(listener.late) for listener in listeners} == {count}, "deltas were lost"
        late = lateness(listeners)
        for percent, limit in ((50, p50), (99, p99)):
            value = percentile(late, percent)
            if limit is None:
                self.goals.note(f"{label}: late p{percent} (ms)", value)
            else:
                self.goals.goal(f"{label}: late p{percent} (ms)", value, limit)

    async def _flat_out(self, api: Api) -> None:
        label = f"{FLAT_OUT:,} deltas flat out"
        async with self._costs(label):
            began = time.perf_counter()
            run_id = await api.submit(f"0-{FLAT_OUT}")
            async with Listener.open(api.port, run_id) as listener:
                ended = await listener.end() / 1e3
            stored = (await self._until_stored(1, {run_id: ended}))[run_id]
        async with Listener.open(api.port, run_id) as late:
            await late.end()
        assert late.events == listener.events, "who came late did not get everything"
        self.goals.goal(f"{label}: until the last is there (s)", ended - began, 2)
        self.goals.goal(f"{label}: stored after that (s)", stored - ended, 0.3)

    async def _crowd(self, size: int, api: Api) -> None:
        label = f"{size} runs at {CROWD_PACE}/s"
        ends: dict[str, float] = {}
        async with self._costs(label), AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            listeners: list[Listener] = []

            async def note(run_id: str, listener: Listener) -> None:
                ends[run_id] = await listener.end() / 1e3

            watching = tasks.create_task(self._until_stored(size, ends))
            for _ in range(size):
                run_id = await api.submit(f"{CROWD_PACE}-{CROWD_DELTAS}")
                opened = Listener.open(api.port, run_id)
                listeners.append(await stack.enter_async_context(opened))
                tasks.create_task(note(run_id, listeners[-1]))
                await asyncio.sleep(CROWD_SECONDS)
            stored = await watching
        self._late(label, listeners, CROWD_DELTAS, None, 60 if size == max(CROWDS) else None)
        worst = max(stored[run_id] - ends[run_id] for run_id in ends)
        self.goals.goal(f"{label}: all are stored after their end (s)", worst, 1)

    async def _listeners(self, api: Api) -> None:
        label = f"{LISTENERS} listeners"
        async with self._costs(label, cpu_goal=2), AsyncExitStack() as stack:
            run_id = await api.submit("200-1000")
            opened = [Listener.open(api.port, run_id) for _ in range(LISTENERS)]
            listeners = [await stack.enter_async_context(each) for each in opened]
            for listener in listeners:
                await listener.end()
        self._late(f"{label}, also while they come", listeners, 1000)
        # To let them all in keeps the server busy, which is another thing than to serve them.
        late = lateness(listeners, since=max(listener.first for listener in listeners))
        self.goals.goal(f"{label}: late p99 (ms)", percentile(late, 99), 25)

    async def _until_stored(self, count: int, ends: Mapping[str, float]) -> dict[str, float]:
        """Return when the ends of so many runs were found in the database, once they are there."""
        found: dict[str, float] = {}
        deadline = time.perf_counter() + PATIENCE
        while len(found) < count:
            now = time.perf_counter()
            assert now < deadline, "runs were not stored"
            if waiting := ends.keys() - found.keys():
                found |= dict.fromkeys(self.server.stored(waiting), now)
            await asyncio.sleep(POLL_SECONDS)
        return found
