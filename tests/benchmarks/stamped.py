"""The whole core over a log that notes when events come: for times from one event to another.

An event has two times: when the log was asked to take it, and when it said that it had. What is
measured runs from the first time of one event to the second of another, so it is never too short:
with Redis it includes both round trips.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cody_core.client import Client
from cody_core.eventlog import Beginning, EventLog
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.eventlog.redis import RedisEventLog
from cody_core.process import ProcessLock
from cody_core.providers.pool import ProviderPool
from cody_core.providers.scripted import ScriptedProvider, Step
from cody_core.resources import Resources
from cody_core.runqueue.memory import MemoryRunQueue
from cody_core.runtime import Runtime
from cody_core.schema.events import START, Entry, Event, Payload, ResponseDone
from cody_core.schema.news import RunNews
from cody_core.schema.requests import SubmitRequest
from cody_core.settings import Settings, load_settings
from cody_core.stores.sqlite import SqliteStore
from cody_core.tasks import task_group
from cody_core.tools import BaseTool, ToolContext, ToolKind, ToolResult
from cody_core.tools.registry import Registry
from cody_core.tools.sandbox.host import ProcessSandbox
from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an event says, and in ms of ``perf_counter`` when it was given and when it was held."""

    payload: Payload
    given: float
    held: float


class StampedLog:
    """An ``EventLog`` around another one."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._stamps: defaultdict[str, list[Stamp]] = defaultdict(list)
        self._ended: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def append(
        self, run_id: str, events: Sequence[Event], *, once: str | None = None
    ) -> Sequence[str]:
        given = time.perf_counter() * 1e3
        offsets = await self._log.append(run_id, events, once=once)
        held = time.perf_counter() * 1e3
        self._stamps[run_id] += [Stamp(event.payload, given, held) for event in events]
        if events[-1].is_terminal:
            self._ended[run_id].set()
        return offsets

    def append_now(self, run_id: str, events: Sequence[Event]) -> None:
        """Let it be awaited, so that it is stamped."""

    async def of_run(self, run_id: str) -> list[Stamp]:
        """Wait for the end of a run, and return its stamps: readers see it before the writer."""
        await self._ended[run_id].wait()
        stamps = self._stamps[run_id]
        assert isinstance(stamps[-1].payload, ResponseDone), stamps[-1].payload
        return stamps

    @property
    def trouble(self) -> str | None:
        return self._log.trouble

    def read(
        self, run_id: str, *, after: str = START, follow: bool = True
    ) -> AsyncGenerator[Sequence[Entry]]:
        return self._log.read(run_id, after=after, follow=follow)

    async def begin(self, run_id: str, attempt: str) -> Beginning:
        return await self._log.begin(run_id, attempt)

    async def exists(self, run_id: str) -> bool:
        return await self._log.exists(run_id)

    async def expire(self, run_id: str, *, seconds: float) -> None:
        await self._log.expire(run_id, seconds=seconds)

    def news(self, *, after: str, follow: bool = True) -> AsyncGenerator[Sequence[RunNews]]:
        return self._log.news(after=after, follow=follow)

    async def newest(self) -> str:
        return await self._log.newest()

    async def aclose(self) -> None:
        await self._log.aclose()


class Number(BaseModel):
    n: int


class Double(BaseTool):
    """A tool that costs next to nothing."""

    name = "double"
    description = "Double a number."
    kind: ToolKind = "read"
    arguments = Number

    async def call(self, arguments: Number, context: ToolContext) -> ToolResult:
        return ToolResult(str(2 * arguments.n))


@dataclass(frozen=True, slots=True)
class Core:
    """A runtime, its log, and what its model will answer next."""

    client: Client
    log: StampedLog
    turns: deque[Sequence[Step]]

    async def run(self, turns: Iterable[Sequence[Step]]) -> list[Stamp]:
        """Let the model take these turns, and return the run's stamps."""
        run_id = await self.begin(turns)
        return await self.log.of_run(run_id)

    async def begin(self, turns: Iterable[Sequence[Step]]) -> str:
        """Start a run."""
        self.turns.clear()
        self.turns.extend(turns)
        request = SubmitRequest(prompt="go on", model="model", provider_id="scripted")
        return (await self.client.submit(request)).run_id

    async def until(self, run_id: str, seen: Callable[[Payload | None], bool]) -> None:
        """Follow a run to an event."""
        async with aclosing(self.client.follow(run_id)) as batches:
            async for batch in batches:
                if any(seen(entry.payload) for entry in batch):
                    return
        msg = f"run {run_id} ended before that came"
        raise AssertionError(msg)


@asynccontextmanager
async def open_log(redis_url: str | None) -> AsyncIterator[StampedLog]:
    """Open the log on a server, or in memory."""
    if redis_url is not None:
        async with RedisEventLog.open(redis_url) as shared:
            yield StampedLog(shared)
        return
    memory = MemoryEventLog()
    yield StampedLog(memory)
    await memory.aclose()


@asynccontextmanager
async def open_core(home: Path, redis_url: str | None) -> AsyncIterator[Core]:
    """Open everything as ``open_runtime`` does, but for the log.

    The sandbox's compiled engine is kept in ``home``, and used by whoever comes next.
    """
    settings = _settings(home, redis_url)
    turns: deque[Sequence[Step]] = deque()
    provider = ScriptedProvider(lambda _: turns.popleft(), record=False)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore.open(home / "cody.db"))
        log = await stack.enter_async_context(open_log(redis_url))
        resources = Resources(
            settings=settings,
            log=log,
            queue=MemoryRunQueue(log, limit=settings.serve.max_live),
            store=store,
            providers=ProviderPool(settings, {"scripted": provider}),
            tools=Registry([Double()]),
            sandbox=await stack.enter_async_context(ProcessSandbox(home / "sandbox")),
            process=stack.enter_context(ProcessLock(home / "processes")),
            tasks=await stack.enter_async_context(task_group()),
        )
        runtime = Runtime(resources)
        stack.push_async_callback(runtime.stop)
        runtime.start()
        yield Core(runtime, log, turns)


def _settings(home: Path, redis_url: str | None) -> Settings:
    listed = {"scripted": {"kind": "demo", "models": ("model",)}}
    settings = load_settings(home=home, providers=listed, policy="full-auto")
    changes = {"redis_url": redis_url, "convex_url": None, "workspace": home}
    return settings.model_copy(update=changes)
