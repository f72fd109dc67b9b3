"""What stands between a provider's byte and the screen, in time: the whole core, run for real.

A server in another process streams deltas that say when they were sent. They go through the OpenAI
adapter, the engine and the log to a reader that follows the run, while the persister and the tool
worker follow it too. The baseline reads the same bytes with httpx and decodes them, and that is
all; a second one sends each text through a bare stream of the same Redis server. All end when the
delta's text is in hand.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import httpx
import orjson
import redis.asyncio
from cody_core.client import Client
from cody_core.runtime import open_runtime
from cody_core.schema.events import ItemDelta, ResponseError
from cody_core.schema.requests import SubmitRequest
from cody_core.settings import Settings, load_settings
from cody_core.sse import Decoder

from benchmarks.servers import redis_server
from benchmarks.source import sent_at, source
from benchmarks.table import Table
from benchmarks.timing import percentile

WARM_UP = "0-200"
PACES = {"200-800": "200 deltas/s", "1000-3000": "1,000 deltas/s"}
FLAT_OUT = "0-10000"


@dataclass
class Reading:
    """How late each delta was, and what the reading process spent on the whole answer."""

    late_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def take(self, delta: str) -> None:
        """Note that a delta is there."""
        self.late_ms.append((time.perf_counter_ns() - sent_at(delta)) / 1e6)

    @contextmanager
    def clocked(self) -> Iterator[None]:
        """Take the time of the block."""
        began, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds = time.perf_counter() - began
        self.cpu_seconds = time.process_time() - cpu


Ask = Callable[[str], Awaitable[Reading]]


def tables() -> Iterator[Table]:
    """Measure; see the module."""
    with source() as url, redis_server("latency") as redis_url:
        readings = asyncio.run(_measure(url, redis_url))
    for model, title in PACES.items():
        yield _latencies(title, {path: found[model] for path, found in readings.items()})
    yield _throughput({path: found[FLAT_OUT] for path, found in readings.items()})


async def _measure(url: str, redis_url: str | None) -> dict[str, dict[str, Reading]]:
    """Return the readings by path and model."""
    readings = {}
    async with httpx.AsyncClient(trust_env=False) as client:
        readings["bare: httpx and Decoder"] = await _all(lambda m: _directly(client, url, m))
        async with _runtime(url, None) as runtime:
            readings["cody, memory log"] = await _all(lambda m: _followed(runtime, m))
        if redis_url is None:
            return readings
        async with redis.asyncio.Redis.from_url(redis_url, socket_timeout=None) as bare:
            readings["bare: httpx, XADD, XREAD"] = await _all(
                lambda m: _through_redis(client, bare, url, m)
            )
        async with _runtime(url, redis_url) as shared:
            readings["cody, Redis log"] = await _all(lambda m: _followed(shared, m))
    return readings


async def _all(ask: Ask) -> dict[str, Reading]:
    await ask(WARM_UP)
    return {model: await ask(model) for model in (*PACES, FLAT_OUT)}


@asynccontextmanager
async def _runtime(url: str, redis_url: str | None) -> AsyncIterator[Client]:
    with tempfile.TemporaryDirectory(prefix="cody-bench-") as home:
        async with open_runtime(_settings(url, redis_url, Path(home))) as runtime:
            yield runtime


def _settings(url: str, redis_url: str | None, home: Path) -> Settings:
    settings = load_settings(home=home, openai_base_url=url, openai_api_key="benchmark")
    return settings.model_copy(update={"redis_url": redis_url, "convex_url": None})


async def texts(client: httpx.AsyncClient, url: str, model: str) -> AsyncGenerator[str]:
    """Yield the text of the deltas."""
    decoder = Decoder()
    async with client.stream("POST", f"{url}/responses", json={"model": model}) as response:
        async for chunk in response.aiter_raw():
            for event in decoder.feed(chunk):
                data = orjson.loads(event.data)
                if data["type"] == "response.output_text.delta":
                    yield data["delta"]


async def _directly(client: httpx.AsyncClient, url: str, model: str) -> Reading:
    reading = Reading()
    with reading.clocked():
        async with aclosing(texts(client, url, model)) as deltas:
            async for text in deltas:
                reading.take(text)
    return reading


async def _through_redis(
    client: httpx.AsyncClient, bare: redis.asyncio.Redis, url: str, model: str
) -> Reading:
    reading, key = Reading(), f"bare:{model}"
    with reading.clocked():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_xread(bare, key, reading, count=int(model.split("-")[1])))
            async with aclosing(texts(client, url, model)) as deltas:
                async for text in deltas:
                    await bare.xadd(key, {"event": text})
    return reading


async def _xread(bare: redis.asyncio.Redis, key: str, reading: Reading, *, count: int) -> None:
    position = b"0-0"
    while len(reading.late_ms) < count:
        reply = await bare.xread({key: position}, count=1000, block=2000)
        for _, entries in cast("list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]", reply):
            for _, fields in entries:
                reading.take(fields[b"event"].decode())
            position = entries[-1][0]


async def _followed(runtime: Client, model: str) -> Reading:
    reading = Reading()
    with reading.clocked():
        request = SubmitRequest(prompt="go on", model=model, provider_id="openai")
        run = await runtime.submit(request)
        async with aclosing(runtime.follow(run.run_id)) as batches:
            async for batch in batches:
                for entry in batch:
                    payload = entry.payload
                    if isinstance(payload, ItemDelta):
                        reading.take(payload.delta_content)
                    assert not isinstance(payload, ResponseError), payload
    return reading


def _latencies(title: str, readings: dict[str, Reading]) -> Table:
    table = Table(
        f"from the provider's byte to the reader, {title} (ms)",
        *("path", "p50", "p99", "max", "added p50", "added p99", "CPU µs/delta"),
    )
    bare = next(iter(readings.values())).late_ms
    for path, reading in readings.items():
        late = reading.late_ms
        p50, p99 = percentile(late, 50), percentile(late, 99)
        added = p50 - percentile(bare, 50), p99 - percentile(bare, 99)
        table.add(path, p50, p99, max(late), *added, reading.cpu_seconds / len(late) * 1e6)
    return table


def _throughput(readings: dict[str, Reading]) -> Table:
    table = Table(
        "an answer of 10,000 deltas, as fast as the provider sends",
        *("path", "deltas/s", "CPU µs/delta", "times bare CPU"),
    )
    bare = next(iter(readings.values())).cpu_seconds
    for path, reading in readings.items():
        count = len(reading.late_ms)
        cpu = reading.cpu_seconds
        table.add(path, count / reading.seconds, cpu / count * 1e6, cpu / bare)
    return table
