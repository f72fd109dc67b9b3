"""How long the event loop is held up."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

TICK_SECONDS = 0.002


@dataclass
class Lateness:
    """The longest times between two ticks, in seconds.

    Attributes:
        busy: What the loop's thread computed: the same however busy the machine is.
        late: What passed on the clock. Some of it may be the machine's: others had the core.
    """

    busy: float = 0.0
    late: float = 0.0


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Lateness]:
    """Watch the loop while the block runs.

    What the tests have in memory by then is left out of the search for garbage, as the program
    leaves out what it began with: to look through it takes longer than all that is watched.
    """
    found = Lateness()

    async def watch() -> None:
        while True:
            began, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            found.busy = max(found.busy, time.thread_time() - computed)
            found.late = max(found.late, time.perf_counter() - began - TICK_SECONDS)

    gc.collect()
    gc.freeze()
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch())
            try:
                yield found
            finally:
                watching.cancel()
    finally:
        gc.unfreeze()
