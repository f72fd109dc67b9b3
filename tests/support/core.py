"""The whole core in this process, over a scripted model: how most tests of behaviour begin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cody_core.client import Client
from cody_core.providers.pool import ProviderPool
from cody_core.providers.scripted import ScriptedProvider
from cody_core.runtime import open_runtime
from cody_core.schema.events import Event
from cody_core.schema.items import Item, Message
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response
from cody_core.settings import load_settings
from cody_core.tools import Tool
from cody_core.tools.registry import Registry

MODEL = "scripted/model"


@asynccontextmanager
async def core(
    provider: ScriptedProvider, *, tools: Sequence[Tool] = (), **flags: object
) -> AsyncIterator[Client]:
    """Open a runtime whose provider ``scripted`` is the one given; ``flags`` are settings."""
    listed = {"scripted": {"kind": "demo", "models": ("model",)}}
    own = {"demo_delay": 0.0, "model": MODEL, "providers": listed}
    settings = load_settings(**{"policy": "full-auto", **flags, **own})
    pool = ProviderPool(settings, {"scripted": provider})
    async with open_runtime(settings, providers=pool, tools=Registry(tools)) as client:
        yield client


@asynccontextmanager
async def member(
    url: str, provider: ScriptedProvider, *, works: bool = True, **flags: object
) -> AsyncIterator[Client]:
    """Open one of several runtimes that share runs through a Redis; claims are soon lost."""
    listed = {"scripted": {"kind": "demo", "models": ("model",)}}
    own = {"redis_url": url, "model": MODEL, "providers": listed}
    settings = load_settings(**{"claim_seconds": 0.5, **flags, **own})
    pool = ProviderPool(settings, {"scripted": provider})
    async with open_runtime(settings, providers=pool, shared=True, works=works) as client:
        yield client


async def events_of(client: Client, run_id: str) -> list[Event]:
    """Follow a run to its end."""
    return [entry.event async for batch in client.follow(run_id) for entry in batch]


async def ask(client: Client, prompt: str = "hello", thread_id: str | None = None) -> Response:
    """Submit a prompt, wait for the end of its run, and return the answer.

    Every run a test makes this way is checked to have exactly one terminal event, at its end.
    """
    submitted = await client.submit(SubmitRequest(prompt=prompt, thread_id=thread_id))
    return await ended(client, submitted.run_id)


async def ended(client: Client, run_id: str) -> Response:
    """Wait for the end of a run and return it; it has exactly one terminal event."""
    run = await events_of(client, run_id)
    assert [event.is_terminal for event in run] == [False] * (len(run) - 1) + [True]
    return await client.run(run_id)


def texts(items: Sequence[Item]) -> list[str]:
    """Return the texts of the messages among items."""
    return [item.content for item in items if isinstance(item, Message)]
