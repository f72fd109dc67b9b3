"""Model servers that run on this machine, found by asking at their usual ports."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cody_core.tasks import task_group

if TYPE_CHECKING:
    import httpx

    from cody_core.settings import Settings

LOCAL_PROVIDERS: Final = ("ollama", "lmstudio", "llamacpp")
TIMEOUT: Final = 1.0
"""Seconds for a server to say what it has: it is on this machine, and somebody waits."""
MOST_READ: Final = 1_000_000
"""Bytes of an answer that are read: whatever listens on that port may send anything."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answered, and the models it offers: at least one."""

    provider_id: str
    models: tuple[str, ...]


async def local_servers(settings: Settings) -> Sequence[LocalServer]:
    """Return the servers that answer now, in a fixed order; it takes a second at most."""
    import ssl

    httpx = await asyncio.to_thread(importlib.import_module, "httpx")
    # Certificates are slow to load and none is needed; a proxy would ask for its own machine.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with (
        httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=context) as client,
        task_group() as tasks,
    ):
        asked = [tasks.create_task(_ask(client, settings, name)) for name in LOCAL_PROVIDERS]
    return [server for task in asked if (server := task.result()) is not None]


async def _ask(client: httpx.AsyncClient, settings: Settings, name: str) -> LocalServer | None:
    import httpx

    provider = settings.provider(name)
    if provider is None or provider.base_url is None:
        return None
    try:
        async with asyncio.timeout(TIMEOUT):
            answer = await _read(client, f"{provider.base_url.rstrip('/')}/models")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return None
    models = _models(answer)
    return LocalServer(name, models) if models else None


async def _read(client: httpx.AsyncClient, url: str) -> bytes:
    answer = bytearray()
    async with client.stream("GET", url) as response:
        if response.status_code != 200:
            return b""
        async for piece in response.aiter_bytes():
            answer += piece
            if len(answer) > MOST_READ:
                return b""
    return bytes(answer)


def _models(answer: bytes) -> tuple[str, ...]:
    """Return the ids of an OpenAI-style list, those that can chat before those that embed."""
    try:
        listed = json.loads(answer)["data"]
        ids = [model["id"] for model in listed]
    except (ValueError, KeyError, TypeError):
        return ()
    names = [name for name in ids if isinstance(name, str) and name]
    return tuple(sorted(names, key=lambda name: "embed" in name.lower()))
