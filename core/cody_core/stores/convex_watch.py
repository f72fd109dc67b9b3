"""Watching the list of threads: told by Convex's official client, in a process of its own.

Without that process, or while it hears nothing, the list is looked at every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cody_core.errors import StoreError
from cody_core.stores.convex_api import ConvexApi

logger = logging.getLogger(__name__)

FIRST_SECONDS: Final = 15.0
"""How long the process has to connect and say so; a wrong key it tries for ever."""
LOOK_SECONDS: Final = 5.0
"""Between two looks at the list while nothing tells of it."""
LOOKS: Final = 6
"""How often it is looked before the process is started once more."""

CHILD: Final = Path(__file__).with_name("convex_child.py")
BOOT: Final = """
import json, runpy, sys
sys.path[:] = json.loads(sys.argv[1])
runpy.run_path(sys.argv[2], run_name="__main__")
"""


async def watch(api: ConvexApi, key: str) -> AsyncGenerator[bool]:
    """Yield whenever the list may have changed: ``True`` if the next change will be told at once.

    It never ends by itself.
    """
    last: str | None = None
    while True:
        async with _child(api.url, key) as lines:
            wait: float | None = FIRST_SECONDS
            while await _line(lines, wait):
                wait = None
                yield True
        logger.info("changes of the list of threads are looked for every %.0f s", LOOK_SECONDS)
        yield False
        for _ in range(LOOKS):
            digest = await _digest(api)
            if digest is not None and digest != last:
                last = digest
                yield False
            await asyncio.sleep(LOOK_SECONDS)


async def _digest(api: ConvexApi) -> str | None:
    try:
        found: str = await api.query("threads:digest")
    except StoreError as error:
        logger.debug("the list of threads cannot be looked at: %s", error)
        return None
    return found


async def _line(lines: asyncio.StreamReader, seconds: float | None) -> bytes:
    """Return the next line, or nothing if there is none in time or will be none any more."""
    try:
        async with asyncio.timeout(seconds):
            return await lines.readline()
    except TimeoutError:
        return b""


@asynccontextmanager
async def _child(url: str, key: str) -> AsyncIterator[asyncio.StreamReader]:
    """Start the process, and end it when the block is left; it also ends when we do.

    The key goes through a pipe: arguments and environment can be seen from outside.
    """
    path = [place for place in sys.path if place]
    # -I and -S: neither the environment nor the user's own site packages have a say. The client is
    # imported nowhere else: if its bytecode were not kept, each start would compile it.
    keeping = ("-B",) if sys.dont_write_bytecode else ()
    flags = ("-I", "-S", *keeping, "-X", "utf8", "-c", BOOT, json.dumps(path), str(CHILD))
    nowhere = asyncio.StreamReader()
    nowhere.feed_eof()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *flags),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
    except OSError as error:
        logger.warning("the process that tells of threads cannot be started: %s", error)
        yield nowhere
        return
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"url": url, "key": key}).encode() + b"\n")
        yield process.stdout
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.stdin.close()
        await asyncio.shield(process.wait())
