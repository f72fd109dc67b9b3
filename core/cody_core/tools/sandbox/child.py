"""The parent's end of a child process: start it, talk to it, end it. Nothing here blocks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from cody_core.tools.sandbox.limits import (
    CHILD_GROWTH,
    MESSAGE_BYTES,
    SCRIPTS_PER_CHILD,
    START_SECONDS,
)

BOOT = """
import json, sys
options = json.loads(sys.argv[1])
sys.path[:] = options["path"]
from importlib.util import find_spec, module_from_spec
for name in options["packages"]:
    sys.modules[name] = module_from_spec(find_spec(name))
from cody_core.tools.sandbox.guest import main
main(options)
"""
PACKAGES = ("cody_core", "cody_core.tools", "quickjs_rs")
"""Packages of which the child needs modules only: what they import would double the start."""


class ChildGone(Exception):
    """The child process has ended or cannot be understood; the message says how it ended."""


class Child:
    """A child process; ``Child.start`` makes a warm one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._scripts = 0
        self._spent = False
        self._warm_bytes = 0

    @classmethod
    async def start(cls, cache: Path, memory_bytes: int) -> Self:
        """Start one, and return it when its engine is compiled.

        Raises:
            ChildGone: it could not be started.
        """
        options = {
            "path": sys.path,
            "packages": PACKAGES,
            "cache": str(cache),
            "memory_bytes": memory_bytes,
        }
        # -I and -S: neither the environment nor the user's own site packages have a say. The engine
        # is imported nowhere else: if its bytecode were not kept, each start would compile it.
        keeping = ("-B",) if sys.dont_write_bytecode else ()
        flags = ("-I", "-S", *keeping, "-X", "utf8", "-c", BOOT)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *flags,
                json.dumps(options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MESSAGE_BYTES,
                env={},
                start_new_session=True,
            )
        except OSError as error:
            msg = f"the sandbox's process cannot be started: {error}"
            raise ChildGone(msg) from error
        child = cls(process)
        try:
            await child._warm()
        except BaseException:
            await child.close()
            raise
        return child

    async def _warm(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                ready = await self.receive()
        except TimeoutError as error:
            msg = f"the sandbox's process was not ready after {START_SECONDS:g} s"
            raise ChildGone(msg) from error
        except ChildGone as error:
            told = await self._stderr()
            last = told.strip().splitlines()[-1:] or [str(error)]
            msg = f"the sandbox's process cannot be started: {last[0]}"
            raise ChildGone(msg) from error
        self.note(ready["ready"])

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def is_fit(self) -> bool:
        """Whether it may run another script."""
        alive = self._process.returncode is None
        return alive and not self._spent and self._scripts < SCRIPTS_PER_CHILD

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send it a message.

        Raises:
            ChildGone: it has ended.
        """
        pipe = self._process.stdin
        assert pipe is not None, "the child was started with pipes"
        try:
            pipe.write(json.dumps(message).encode() + b"\n")
            await pipe.drain()
        except OSError as error:
            raise ChildGone(await self._epitaph()) from error

    async def receive(self) -> dict[str, Any]:
        """Wait for its next message.

        Raises:
            ChildGone: it has ended, or said what is no message.
        """
        pipe = self._process.stdout
        assert pipe is not None, "the child was started with pipes"
        try:
            line = await pipe.readline()
        except ValueError as error:
            self.kill()
            msg = "the sandbox's process sent a message that is too long"
            raise ChildGone(msg) from error
        if not line:
            raise ChildGone(await self._epitaph())
        message: dict[str, Any] = json.loads(line)
        return message

    def note(self, resident_bytes: int) -> None:
        """Note the memory it holds, which it tells before each script."""
        self._scripts += 1
        self._warm_bytes = self._warm_bytes or resident_bytes
        if resident_bytes > self._warm_bytes + CHILD_GROWTH:
            self._spent = True

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self._spent = True
        if self._process.returncode is None:
            # Not ``Process.kill``: it may reap the child, and asyncio then complains of its loss.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """End it and wait until it has ended."""
        self.kill()
        await self._process.wait()
        # The pipes are read to their end, or they would outlive the process.
        for pipe in (self._process.stdout, self._process.stderr):
            while pipe is not None and await pipe.read(MESSAGE_BYTES):
                continue
        if self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(OSError):
                await self._process.stdin.wait_closed()

    async def _stderr(self) -> str:
        pipe = self._process.stderr
        assert pipe is not None, "the child was started with pipes"
        return (await pipe.read()).decode(errors="replace")

    async def _epitaph(self) -> str:
        self.kill()
        code = await self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"the sandbox's process ended {how}"
