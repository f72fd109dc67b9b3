"""Questions on the screen: the real runtime, a scripted model, and a tool that asks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path, PurePath
from typing import ClassVar

from cody_core.client import Client
from cody_core.providers.scripted import Call, Say, ScriptedProvider
from cody_core.schema.events import ApprovalRequested
from cody_core.schema.items import FunctionCallOutput
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from pydantic import BaseModel
from support.core import MODEL, core
from textual.pilot import Pilot
from tui.screen import prompt_of, questioned, until

from cody_tui.app import CodyApp
from cody_tui.messages import Choices
from cody_tui.widgets.approval import Approval

HERE = Path(inspect.getfile(CodyApp)).parent
DIFF = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old line\n+new line\n"


class Arguments(BaseModel):
    command: str


class Runner:
    """Asks, and remembers what it was allowed."""

    name = "shell"
    description = "Run a command."
    arguments = Arguments

    def __init__(self, kind: ToolKind = "execute", preview: str | None = None) -> None:
        self.kind: ToolKind = kind
        self.ran: list[str] = []
        self.gate = asyncio.Event()
        """What it waits at before it is done."""
        self.gate.set()
        self._preview = preview

    async def intend(self, arguments: Arguments, context: ToolContext) -> Intent:
        command = arguments.command
        outside = (Path("/outside"),)
        return Intent(f"run {command}", preview=self._preview or command, paths=outside)

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        self.ran.append(arguments.command)
        await self.gate.wait()
        return ToolResult("ok")


class RingingApp(CodyApp):
    """Counts how often the bell rings, which no test terminal does."""

    CSS_PATH: ClassVar[list[str | PurePath]] = [HERE / path for path in CodyApp.CSS_PATH]
    rings = 0

    def bell(self) -> None:
        self.rings += 1


class Session:
    """An app over a scripted model, and the client below it."""

    def __init__(self, tool: Runner, *commands: str, together: bool = False) -> None:
        calls = [Call("shell", {"command": command}) for command in commands]
        turns: list[list[Call | Say]] = [[*calls]] if together else [[call] for call in calls]
        self.provider = ScriptedProvider([*turns, [Say("the end")]])
        self.tool = tool
        self.client: Client | None = None
        self.app = RingingApp(self._open, choices=Choices(model=MODEL))

    def _open(self) -> AbstractAsyncContextManager[Client]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Client]:
            async with core(self.provider, tools=[self.tool], policy="ask") as client:
                self.client = client
                yield client

        return opened()

    def output(self) -> FunctionCallOutput:
        item = self.provider.requests[1].items[-1]
        assert isinstance(item, FunctionCallOutput)
        return item


def panel_of(pilot: Pilot[None]) -> Approval:
    return pilot.app.screen.query_one(Approval)


def panel_rows(pilot: Pilot[None]) -> list[str]:
    """Return what the compositor draws where the panel is."""
    region = panel_of(pilot).region
    strips = pilot.app.screen._compositor.render_strips()[region.y : region.bottom]
    return ["".join(segment.text for segment in strip).strip() for strip in strips]


def panel_text(pilot: Pilot[None]) -> str:
    return "\n".join(panel_rows(pilot))


async def asked(pilot: Pilot[None], text: str = "wants to") -> Approval:
    """Wait until a question is on the screen and keys are answers."""
    panel = await questioned(pilot)
    await until(pilot, lambda: panel.display and text in panel_text(pilot))
    await until(pilot, lambda: panel.has_focus and not panel.is_guarded)
    return panel


def of_long_ago(panel: Approval) -> None:
    """Let it be hours since the question came, and keys wait for an hour."""
    panel.guard = 3600
    panel._quiet_since -= 2 * panel.guard
    assert not panel.is_guarded


async def gone(pilot: Pilot[None]) -> None:
    panel = panel_of(pilot)
    await until(pilot, lambda: not panel.display and pilot.app.focused is prompt_of(pilot))


async def log_of(client: Client, run_id: str) -> Sequence[object]:
    async with aclosing(client.follow(run_id)) as batches:
        return [entry.payload for entry in await anext(batches)]


async def open_run(session: Session) -> tuple[str, ApprovalRequested]:
    """Return the run that asks, and its question, as another client finds them."""
    assert session.client is not None
    (thread,) = (await session.client.threads()).threads
    run = (await session.client.thread(thread.id)).runs[-1]
    payloads = await log_of(session.client, run.id)
    (question,) = [p for p in payloads if isinstance(p, ApprovalRequested)]
    return run.id, question
