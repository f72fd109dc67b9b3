"""From the end of a run to its end in the database, as somebody else sees it.

A second connection asks the database for the run over and over from the moment a reader has the
terminal event. The baseline is one save of the same response into a second, idle database, asked
for in the same process. What lies between the two is the persister.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

from cody_core.client import Client
from cody_core.ids import new_id
from cody_core.providers.pool import ProviderPool
from cody_core.providers.scripted import Say, ScriptedProvider
from cody_core.runtime import open_runtime
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.settings import Settings, load_settings
from cody_core.stores import RunWrite
from cody_core.stores.sqlite import SqliteStore

from benchmarks.table import Table
from benchmarks.timing import percentile

SIZES = {"an answer of 1 kB": (200, 30), "an answer of 50 kB": (10_000, 10)}
"""How many words of five bytes, and how often."""


def tables() -> Iterator[Table]:
    """Measure; see the module."""
    table = Table(
        "from response_done at the reader to stored (ms)",
        *("run", "p50", "p90", "one idle save p50", "times it", "one poll p50"),
    )
    for label, (words, runs) in SIZES.items():
        stored, saves, polls = asyncio.run(_measure(words, runs))
        p50, save = percentile(stored, 50), percentile(saves, 50)
        table.add(label, p50, percentile(stored, 90), save, p50 / save, percentile(polls, 50))
    yield table


async def _measure(words: int, runs: int) -> tuple[list[float], list[float], list[float]]:
    """Return, in ms, how long runs took to be stored, idle saves took, and polls took."""
    stored: list[float] = []
    saves: list[float] = []
    polls: list[float] = []
    text = "word " * words
    with tempfile.TemporaryDirectory(prefix="cody-bench-") as name:
        home = Path(name)
        settings = _settings(home / "home")
        pool = ProviderPool(settings, {"demo": ScriptedProvider(lambda _: [Say(text)])})
        async with (
            open_runtime(settings, providers=pool) as runtime,
            SqliteStore.open(settings.home / "cody.db") as watcher,
            SqliteStore.open(home / "idle.db") as idle,
        ):
            for _ in range(runs):
                run_id = await _run(runtime)
                response, took = await _until_stored(watcher, run_id, polls)
                stored.append(took)
                saves.append(await _idle_save(idle, response))
    return stored, saves, polls


def _settings(home: Path) -> Settings:
    settings = load_settings(home=home)
    return settings.model_copy(update={"redis_url": None, "convex_url": None})


async def _run(runtime: Client) -> str:
    """Let a run come to its end."""
    request = SubmitRequest(prompt="go on", model="words", provider_id="demo")
    run = await runtime.submit(request)
    async with aclosing(runtime.follow(run.run_id)) as batches:
        async for _ in batches:
            pass
    return run.run_id


async def _until_stored(
    watcher: SqliteStore, run_id: str, polls: list[float]
) -> tuple[Response, float]:
    began = time.perf_counter()
    while True:
        asked = time.perf_counter()
        response = await watcher.get_run(run_id)
        now = time.perf_counter()
        polls.append((now - asked) * 1e3)
        if response is not None and response.is_terminal:
            return response, (now - began) * 1e3


async def _idle_save(idle: SqliteStore, response: Response) -> float:
    thread = Thread(
        id=response.thread_id,
        title="idle",
        model_id=response.model_id,
        provider_id=response.provider_id,
        created_at=response.created_at,
        updated_at=response.updated_at,
    )
    await idle.create_thread(thread)
    fresh = response.model_copy(update={"id": new_id()})
    began = time.perf_counter()
    assert await idle.save_run(RunWrite(fresh, "1-0"))
    return (time.perf_counter() - began) * 1e3
