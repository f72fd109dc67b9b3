"""The process that Convex's official client runs in: it tells when the list of threads changes.

That client holds the interpreter while it waits for its server, prints what functions log to
standard output, and asks for ever with a wrong key. So it has a process of its own, which imports
nothing of ours: it is told where to look on standard input, writes one line of JSON for each
change, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import IO

FUNCTION = "threads:digest"


def main() -> None:
    """Subscribe, and tell of changes until standard input ends."""
    asked = json.loads(sys.stdin.buffer.readline())
    told = os.fdopen(os.dup(1), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    asyncio.run(_tell(asked["url"], asked["key"], told))


async def _tell(url: str, key: str, told: IO[str]) -> None:
    from convex import ConvexClient

    asyncio.get_running_loop().add_reader(0, _end_with_input)
    client = ConvexClient(url)
    client.set_admin_auth(key)
    async for _ in client.subscribe(FUNCTION):
        told.write('{"changed": true}\n')
        told.flush()


def _end_with_input() -> None:
    if not os.read(0, 4096):
        os._exit(0)  # the client has threads that would not end


if __name__ == "__main__":
    main()
