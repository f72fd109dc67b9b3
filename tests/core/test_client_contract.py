from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cody_core.client import Client
from cody_core.providers.scripted import ScriptedProvider
from cody_core.remote import open_remote
from cody_core.tools import Tool
from support.core import core
from support.server import served

from .client_contract import ApprovalContract, Opened, RunContract
from .client_thread_contract import PlaceContract, ThreadContract


@asynccontextmanager
async def remote(
    provider: ScriptedProvider, *, tools: Sequence[Tool] = (), **flags: Any
) -> AsyncIterator[Client]:
    """Open a client of a server over a core as ``support.core.core`` opens it."""
    async with (
        served(provider, tools=tools, **flags) as server,
        open_remote(server.url) as client,
    ):
        yield client


@pytest.fixture(params=[core, remote], ids=["local", "remote"])
def opened(request: pytest.FixtureRequest) -> Opened:
    opener: Opened = request.param
    return opener


class TestRuns(RunContract):
    """Runs, through every client."""


class TestApprovals(ApprovalContract):
    """Questions and answers, through every client."""


class TestThreads(ThreadContract):
    """Threads, through every client."""


class TestPlace(PlaceContract):
    """What there is around a conversation, through every client."""
