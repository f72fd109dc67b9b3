"""A tool that asks before it runs, and the question that a run comes to ask for it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from cody_core.client import Client
from cody_core.providers.scripted import Call, Say, ScriptedProvider
from cody_core.schema.events import ApprovalRequested
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from pydantic import BaseModel


class Arguments(BaseModel):
    command: str


class Runner:
    """Runs nothing, and remembers what it was allowed."""

    name = "shell"
    description = "Run a command."
    kind: ToolKind = "execute"
    arguments = Arguments

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def intend(self, arguments: Arguments, context: ToolContext) -> Intent:
        return Intent("run it", preview=arguments.command, command=arguments.command)

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        self.ran.append(arguments.command)
        return ToolResult("ok")


def commands(*texts: str) -> ScriptedProvider:
    """Return a model that wants these run, and then ends."""
    return ScriptedProvider([*([Call("shell", {"command": text})] for text in texts), [Say("end")]])


async def question(client: Client, run_id: str) -> ApprovalRequested:
    """Wait for the question a run asks."""
    async with asyncio.timeout(10), aclosing(client.follow(run_id)) as batches:
        async for batch in batches:
            for entry in batch:
                if isinstance(entry.payload, ApprovalRequested):
                    return entry.payload
    pytest.fail("nothing was asked")
