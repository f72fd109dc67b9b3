"""A server on a free port over a scripted model, in this process: what tests of the API speak to.

It is a real one: httpx's own way to call an app collects the whole answer before it returns, so no
stream ever would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from cody_core.api.server import listening, serve
from cody_core.daemon import Stop
from cody_core.providers.pool import ProviderPool
from cody_core.providers.scripted import ScriptedProvider
from cody_core.runtime import Runtime, open_runtime
from cody_core.settings import Settings, load_settings
from cody_core.sse import Decoder, ServerSentEvent
from cody_core.tools import Tool
from cody_core.tools.registry import Registry

from support.core import MODEL


@dataclass(frozen=True, slots=True)
class Served:
    """A server, the core behind it, and somebody who speaks to it."""

    url: str
    core: Runtime
    http: httpx.AsyncClient
    stop: Stop

    async def submit(self, prompt: str = "hello", **more: object) -> dict[str, str]:
        """Submit a prompt and return where its run is."""
        response = await self.http.post("/api/v2/submit", json={"prompt": prompt, **more})
        assert response.status_code == 202, response.text
        found: dict[str, str] = response.json()
        return found

    async def ask(self, prompt: str = "hello", **more: object) -> dict[str, str]:
        """Submit a prompt, and wait for the end of its run."""
        submitted = await self.submit(prompt, **more)
        await self.events(submitted["streamUrl"])
        return submitted

    async def events(self, url: str, **headers: str) -> list[ServerSentEvent]:
        """Read a stream to its end."""
        async with self.stream(url, **headers) as events:
            return [event async for event in events]

    @asynccontextmanager
    async def stream(
        self, url: str, **headers: str
    ) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
        """Open a stream, of which the answer is in order."""
        async with self.http.stream("GET", url, headers=headers) as response:
            assert response.status_code in (200, 204), await response.aread()
            yield _decoded(response)


async def _decoded(response: httpx.Response) -> AsyncIterator[ServerSentEvent]:
    decoder = Decoder()
    async for chunk in response.aiter_bytes():
        for event in decoder.feed(chunk):
            yield event


def settings_of(**flags: object) -> Settings:
    """Return the settings of a server with the provider ``scripted``, on any free port."""
    listed = {"scripted": {"kind": "demo", "models": ("model",)}}
    own = {"demo_delay": 0.0, "model": MODEL, "providers": listed, "port": 0}
    return load_settings(**{"policy": "full-auto", **flags, **own})


@asynccontextmanager
async def served(
    provider: ScriptedProvider,
    *,
    tools: Sequence[Tool] = (),
    headers: dict[str, str] | None = None,
    works: bool = True,
    **flags: object,
) -> AsyncIterator[Served]:
    """Serve a core whose provider ``scripted`` is the one given; ``flags`` are settings.

    As of ``cody serve``, its runs are shared over Redis, where there is one.
    """
    settings = settings_of(**flags)
    shared = settings.redis_url is not None
    pool = ProviderPool(settings, {"scripted": provider})
    stop = Stop()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    tell: Callable[[str], None] = url.set_result
    registry = Registry(tools)
    async with open_runtime(
        settings, providers=pool, tools=registry, shared=shared, works=works
    ) as core:
        with listening(settings) as listener:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(serve(core, settings, listener, stop, ready=tell))
                async with httpx.AsyncClient(base_url=await url, headers=headers) as http:
                    yield Served(await url, core, http, stop)
                stop.ask()
                stop.ask()
