"""The sandbox the program uses: a child process kept warm, and another when it is needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cody_core.tasks import task_group
from cody_core.tools.sandbox import Call, Log, ScriptResult
from cody_core.tools.sandbox.child import Child, ChildGone
from cody_core.tools.sandbox.limits import Limits
from cody_core.tools.sandbox.session import Session

logger = logging.getLogger(__name__)

AT_ONCE = 4
"""Scripts that run at the same time; further ones wait for a place."""


class ProcessSandbox:
    """A ``Sandbox`` of child processes; a context manager, which leaves none behind.

    The first child is started when ``warm`` says that a script is coming, in the background, and
    the script waits for what is left of its start. One that is thrown away is replaced at once.
    """

    def __init__(self, cache: Path, *, limits: Limits | None = None) -> None:
        """Prepare a sandbox that keeps the compiled engine in a directory of the user's own."""
        self._cache = cache
        self._limits = limits or Limits()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._warm: asyncio.Queue[Child | ChildGone] = asyncio.Queue()
        self._wanted = 0
        self._starting: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup
        self._exits = AsyncExitStack()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._tasks = await self._exits.enter_async_context(task_group())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        for task in self._starting:
            task.cancel()
        try:
            await self._exits.__aexit__(kind, error, trace)
        finally:
            while not self._warm.empty():
                if isinstance(child := self._warm.get_nowait(), Child):
                    await child.close()

    def warm(self) -> None:
        """Start a child, if there is none."""
        if self._warm.empty() and not self._starting and not self._closed:
            self._start()

    async def run(
        self,
        code: str,
        *,
        tools: Sequence[str],
        call: Call,
        context: Mapping[str, Any],
        log: Log,
    ) -> ScriptResult:
        """Run a script; see ``Sandbox.run``."""
        size = len(code.encode(errors="replace"))
        if size > (most := self._limits.source_bytes):
            text = f"the script has {size} bytes, and at most {most} are taken: do it in steps"
            return ScriptResult(success=False, error=text, error_code="source_too_large")
        try:
            async with self._places, self._child() as child:
                session = Session(child, self._limits, tools, call, log)
                return await session.run(code, context)
        except ChildGone as error:
            return ScriptResult(success=False, error=str(error), error_code="sandbox_failed")

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[Child]:
        child = await self._take()
        try:
            yield child
        except BaseException:
            # Cancelled, most likely: it stops computing now, and is buried afterwards.
            child.kill()
            raise
        finally:
            if child.is_fit and self._warm.empty():
                self._warm.put_nowait(child)
            else:
                self._replace(child)

    async def _take(self) -> Child:
        while True:
            child = await self._next()
            if isinstance(child, ChildGone):
                raise child
            if child.is_fit:
                return child
            await child.close()

    async def _next(self) -> Child | ChildGone:
        """Wait for a warm child; everybody who waits has one on the way."""
        self._wanted += 1
        try:
            while self._warm.qsize() + len(self._starting) < self._wanted:
                self._start()
            return await self._warm.get()
        finally:
            self._wanted -= 1

    def _replace(self, child: Child) -> None:
        """Throw a child away, and start another if none is left."""
        child.kill()
        self._tasks.create_task(child.close())
        self.warm()

    def _start(self) -> None:
        task = self._tasks.create_task(self._fill())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _fill(self) -> None:
        child: Child | ChildGone
        try:
            child = await Child.start(self._cache, self._limits.memory_bytes)
        except ChildGone as error:
            logger.warning("%s", error)
            child = error
        self._warm.put_nowait(child)
