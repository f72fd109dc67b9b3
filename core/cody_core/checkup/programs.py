"""What runs in processes of its own: scripts in their sandbox, and ripgrep."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from cody_core.checkup import Finding
from cody_core.errors import ToolError
from cody_core.glance import environment
from cody_core.settings import Settings
from cody_core.tools.sandbox import ScriptErrorCode, ScriptResult
from cody_core.tools.sandbox.host import ProcessSandbox
from cody_core.tools.sandbox.limits import MEGABYTE, Limits

LIMITS: Final = Limits(seconds=0.5, memory_bytes=16 * MEGABYTE)
_ENDLESS: Final = "for (;;) {}"
_GREEDY: Final = "const kept = []; for (;;) kept.push(new ArrayBuffer(10_000));"


async def sandbox(settings: Settings) -> Sequence[Finding]:
    """Run a script, and two that must be stopped at the limits."""
    async with AsyncExitStack() as stack:
        cache = settings.home / "sandbox"
        if not settings.home.is_dir():  # a checkup makes none
            cache = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cody-")))
        host = await stack.enter_async_context(ProcessSandbox(cache, limits=LIMITS))
        began = time.monotonic()
        first = await _run(host, "return 6 * 7")
        spent = (time.monotonic() - began) * 1000
        if first.result != "42":
            text = f"scripts cannot be run: {first.error or first.result}"
            return [
                Finding("sandbox", "problem", text, "see 'cody logs', or set tool_mode to calls")
            ]
        stopped: dict[ScriptErrorCode, ScriptResult] = {
            "timeout": await _run(host, _ENDLESS),
            "memory_limit": await _run(host, _GREEDY),
        }
    for code, result in stopped.items():
        if result.error_code != code:
            text = f"a script went on beyond its {code.replace('_', ' ')}: {result.error_code}"
            return [Finding("sandbox", "problem", text, "set tool_mode to calls")]
    return [Finding("sandbox", "ok", f"runs a script in {spent:.0f} ms, and its limits hold")]


async def ripgrep() -> Sequence[Finding]:
    """Look for the program that ``grep_files`` searches with, where it is there."""
    program = shutil.which("rg", path=environment().get("PATH"))
    if program is None:
        text = "it is not installed: grep_files searches by itself, and slower"
        return [Finding("ripgrep", "note", text, "install ripgrep to search large projects")]
    asked = await asyncio.create_subprocess_exec(
        program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        said, _ = await asked.communicate()
    finally:
        if asked.returncode is None:
            asked.kill()
            await asked.wait()
    version = said.decode(errors="replace").partition("\n")[0]
    if asked.returncode:
        text = f"{program!r} does not run: grep_files searches by itself, and slower"
        return [Finding("ripgrep", "note", text, "install ripgrep anew")]
    return [Finding("ripgrep", "ok", version or program)]


async def _run(host: ProcessSandbox, code: str) -> ScriptResult:
    return await host.run(code, tools=(), call=_no_tool, context={}, log=_no_log)


async def _no_tool(name: str, arguments: str) -> str:
    raise ToolError(f"there is no {name}")


async def _no_log(line: str) -> None:
    return None
