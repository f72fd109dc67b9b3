"""From the end of a run to its end in the store, as somebody else sees it, and what storing costs.

A second connection asks the store for the run over and over from the moment a reader has the
terminal event. The baseline is one save of the same response into a store that is idle, asked for
in the same process: what lies between the two is the persister. What it costs is the CPU time of
this process for a run that is read from a log in memory, reduced and stored, against one whose
store does nothing; a Convex server, a process of its own, is not in it.

Convex is the server of the tests, on this machine: its times are those of what is emulated, without
a network. What can be compared with a deployment is the CPU, and what the persister adds.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from pathlib import Path

from cody_core.client import Client
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.ids import new_id
from cody_core.providers.pool import ProviderPool
from cody_core.providers.scripted import Say, ScriptedProvider
from cody_core.runtime import open_runtime
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload, ResponseDone
from cody_core.schema.items import Message
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.settings import Settings, load_settings
from cody_core.stores import RunWrite, Store
from cody_core.stores.convex import ConvexStore
from cody_core.stores.sqlite import SqliteStore
from cody_core.workers.outbox import Outbox
from cody_core.workers.persist import Persister
from pydantic import SecretStr
from support.convex import ConvexServer, missing
from support.shapes import events, started

from benchmarks.table import Table
from benchmarks.timing import percentile

SIZES = {"1 kB": (200, 30, 60), "50 kB": (10_000, 10, 60)}
"""How many words of five bytes an answer has, how often it is stored, and how often for its CPU."""


def tables() -> Iterator[Table]:
    """Measure; see the module."""
    delays = Table(
        "from response_done at the reader to stored (ms)",
        *("store and answer", "p50", "p90", "p99", "one idle save p50", "times it", "one poll p50"),
    )
    costs = Table(
        "CPU of this process for a run that is stored (ms)",
        *("store and answer", "stored", "only reduced", "of storing"),
    )
    for name, places in _places():
        for label, (words, runs, costed) in SIZES.items():
            stored, saves, polls = asyncio.run(_measure(places, words, runs))
            p50, save = percentile(stored, 50), percentile(saves, 50)
            figures = (p50, percentile(stored, 90), percentile(stored, 99), save, p50 / save)
            delays.add(f"{name}, {label}", *figures, percentile(polls, 50))
            whole, bare = asyncio.run(_cost(places, words, costed))
            costs.add(f"{name}, {label}", whole, bare, whole - bare)
    yield delays
    yield costs


class Places:
    """Where runs are stored: a file in a directory, or a Convex server."""

    def __init__(self, home: Path, server: ConvexServer | None = None) -> None:
        self._home = home
        self._server = server

    def settings(self) -> Settings:
        """Return the settings of a core that stores there."""
        settings = load_settings(home=self._home / "home")
        where: dict[str, object] = {"redis_url": None, "convex_url": None}
        if self._server is not None:
            key = SecretStr(self._server.key)
            where |= {"convex_url": self._server.url, "convex_deploy_key": key}
        return settings.model_copy(update=where)

    @asynccontextmanager
    async def store(self, name: str = "home/cody") -> AsyncIterator[Store]:
        """Open a store there; the names of files tell those of SQLite apart."""
        if self._server is None:
            async with SqliteStore.open(self._home / f"{name}.db") as sqlite:
                yield sqlite
        else:
            async with ConvexStore.open(self._server.url, self._server.key) as convex:
                yield convex


def _places() -> Iterator[tuple[str, Places]]:
    with tempfile.TemporaryDirectory(prefix="cody-bench-") as name:
        yield "SQLite", Places(Path(name))
    if (reason := missing()) is not None:
        print(f"storing, Convex: skipped, {reason}")
        return
    with tempfile.TemporaryDirectory(prefix="cody-bench-") as name, _server() as server:
        yield "Convex", Places(Path(name), server)


@contextmanager
def _server() -> Iterator[ConvexServer]:
    server = ConvexServer()
    try:
        yield server
    finally:
        server.close()


async def _measure(
    places: Places, words: int, runs: int
) -> tuple[list[float], list[float], list[float]]:
    """Return, in ms, how long runs took to be stored, idle saves took, and polls took."""
    stored: list[float] = []
    saves: list[float] = []
    polls: list[float] = []
    text = "word " * words
    settings = places.settings()
    pool = ProviderPool(settings, {"demo": ScriptedProvider(lambda _: [Say(text)])})
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(settings, providers=pool))
        watcher = await stack.enter_async_context(places.store())
        idle = await stack.enter_async_context(places.store("idle"))
        for _ in range(runs):
            run_id = await _run(runtime)
            response, took = await _until_stored(watcher, run_id, polls)
            stored.append(took)
            saves.append(await _idle_save(idle, response))
    return stored, saves, polls


async def _run(runtime: Client) -> str:
    """Let a run come to its end."""
    request = SubmitRequest(prompt="go on", model="words", provider_id="demo")
    run = await runtime.submit(request)
    async with aclosing(runtime.follow(run.run_id)) as batches:
        async for _ in batches:
            pass
    return run.run_id


async def _until_stored(watcher: Store, run_id: str, polls: list[float]) -> tuple[Response, float]:
    began = time.perf_counter()
    while True:
        asked = time.perf_counter()
        response = await watcher.get_run(run_id)
        now = time.perf_counter()
        polls.append((now - asked) * 1e3)
        if response is not None and response.is_terminal:
            return response, (now - began) * 1e3


async def _idle_save(idle: Store, response: Response) -> float:
    thread_id = new_id()
    await idle.create_thread(Thread(id=thread_id, title="idle", created_at=1, updated_at=1))
    fresh = response.model_copy(update={"id": new_id(), "thread_id": thread_id})
    began = time.perf_counter()
    assert await idle.save_run(RunWrite(fresh, "1-0"))
    return (time.perf_counter() - began) * 1e3


class Nowhere(SqliteStore):
    """Takes everything and keeps nothing."""

    async def create_thread(self, thread: Thread, runs: object = ()) -> bool:
        """Do nothing."""
        return True

    async def save_run(self, write: RunWrite) -> bool:
        """Do nothing."""
        return True


async def _cost(places: Places, words: int, runs: int) -> tuple[float, float]:
    """Return the CPU, in ms a run, of storing runs and of only reducing them."""
    with tempfile.TemporaryDirectory(prefix="cody-bench-") as name:
        async with places.store() as store, Nowhere.open(Path(name) / "none.db") as nowhere:
            outbox = Outbox(Path(name) / "outbox")
            await _persist(store, outbox, words, 3)
            return (
                await _persist(store, outbox, words, runs),
                await _persist(nowhere, outbox, words, runs),
            )


async def _persist(store: Store, outbox: Outbox, words: int, runs: int) -> float:
    spent = 0.0
    for _ in range(runs):
        thread = Thread(id=new_id(), title="t", created_at=1, updated_at=1)
        log, run_id = MemoryEventLog(), new_id()
        await log.append(run_id, events(*_payloads(run_id, thread.id, words), run_id=run_id))
        persister = Persister(log, store, outbox, owner="bench", log_ttl=0)
        began = time.process_time()
        await persister.run(run_id, thread)
        spent += time.process_time() - began
    return spent / runs * 1e3


def _payloads(run_id: str, thread_id: str, words: int) -> list[Payload]:
    # Few of them: what a delta costs is measured elsewhere, and would be most of this.
    deltas = [ItemDelta(item_id="m", delta_content="word " * 50) for _ in range(words // 50)]
    done = Message(id="m", content="word " * words)
    return [
        started(run_id, thread_id),
        ItemStart(item_id="m", item_type="message"),
        *deltas,
        ItemDone(item_id="m", final_item=done),
        ResponseDone(response_id=run_id, status="complete", finish_reason="stop"),
    ]
