"""A sandbox with a bench around it: tools that tests can hold up, and a record of what came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cody_core.errors import ToolError
from cody_core.tools.sandbox import ScriptResult
from cody_core.tools.sandbox.host import ProcessSandbox
from cody_core.tools.sandbox.limits import Limits

from support.children import children as children_named

TOOLS = ("echo", "fail", "hold")


class Bench:
    """Runs scripts; ``echo`` answers with its arguments, ``fail`` fails, ``hold`` waits."""

    def __init__(self, sandbox: ProcessSandbox) -> None:
        self.sandbox = sandbox
        self.made: list[tuple[str, Any]] = []
        self.lines: list[str] = []
        self.holding = 0
        self.most_holding = 0
        self.cancelled = 0
        self.held = asyncio.Event()
        self.release = asyncio.Event()
        self.logged = asyncio.Event()

    async def run(
        self, code: str, *, tools: Sequence[str] = TOOLS, context: Mapping[str, Any] | None = None
    ) -> ScriptResult:
        return await self.sandbox.run(
            code, tools=tools, call=self._call, context=context or {}, log=self._log
        )

    async def value(self, code: str) -> Any:
        result = await self.run(code)
        assert result.success, result.error
        return json.loads(result.result)

    async def _call(self, name: str, arguments: str) -> str:
        self.made.append((name, json.loads(arguments)))
        if name == "fail":
            raise ToolError("no such file: 'x'")
        if name == "hold":
            await self._hold()
        return arguments

    async def _hold(self) -> None:
        self.holding += 1
        self.most_holding = max(self.most_holding, self.holding)
        self.held.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.holding -= 1

    async def _log(self, line: str) -> None:
        self.lines.append(line)
        self.logged.set()


@asynccontextmanager
async def open_bench(cache: Path, limits: Limits | None = None) -> AsyncIterator[Bench]:
    async with ProcessSandbox(cache, limits=limits) as sandbox:
        sandbox.warm()
        yield Bench(sandbox)


def children() -> list[int]:
    """Return the sandbox's processes among ours: other tests have servers of their own."""
    return children_named("sandbox")
