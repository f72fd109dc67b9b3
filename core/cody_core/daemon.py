"""What runs until it is told to end, and how it does.

The end, in order: no new runs are taken; those there are have a grace period to finish; what has
not is aborted, with its terminal event; the store is flushed. A second signal cuts the grace short.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cody_core.runtime import Runtime
from cody_core.tasks import task_group

BETWEEN_LOOKS: Final = 5_000
"""Objects that come to be, more than go, between two looks for garbage."""
LOOKS: Final = (BETWEEN_LOOKS, 4, 50)
"""That, and how many looks at the newest objects there are to one at older ones, which takes longer
the more of them there are, and then to one at all."""
TURN_SECONDS: Final = 0.0005
"""How long a thread may keep others waiting that could go on: Python begins with 5 ms."""


class Stop:
    """The wish that a server end: asked for once, at the end of its grace; twice, at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()

    def ask(self) -> None:
        """Ask for the end."""
        if self.asked.is_set():
            self.hurry.set()
        self.asked.set()


async def finish(runtime: Runtime, grace: float, hurry: asyncio.Event) -> None:
    """End the runs, when they have had ``grace`` seconds; at once if there is need to hurry."""
    async with task_group() as tasks:
        ending = tasks.create_task(runtime.stop(grace=grace))
        await either(hurry, ending)
        await runtime.stop()


async def either(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Wait for one of the two."""
    async with task_group() as tasks:
        wait = tasks.create_task(event.wait())
        await asyncio.wait((wait, task), return_when=asyncio.FIRST_COMPLETED)
        wait.cancel()


def seldom_collect() -> None:
    """Let Python look for garbage more seldom: each look halts all streams for as long as it takes.

    Nearly all that a run leaves behind goes by itself; what is looked for are the few cycles.
    """
    gc.freeze()
    gc.set_threshold(*LOOKS)


def switch_often() -> None:
    """Let Python's threads take turns more often: while streams keep one busy, others store them.

    What a run waits for in the database would come ten turns later.
    """
    sys.setswitchinterval(TURN_SECONDS)


@contextmanager
def signals(stop: Stop) -> Iterator[None]:
    """Let SIGTERM and SIGINT ask for the end, and do nothing else."""
    loop = asyncio.get_running_loop()
    both = (signal.SIGTERM, signal.SIGINT)
    for number in both:
        loop.add_signal_handler(number, stop.ask)
    try:
        yield
    finally:
        for number in both:
            loop.remove_signal_handler(number)
