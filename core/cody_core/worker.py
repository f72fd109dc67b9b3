"""``cody worker``: engines, tools and the storing of what they come to, for runs from elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from cody_core.daemon import Stop, finish, seldom_collect, signals, switch_often
from cody_core.runtime import open_runtime
from cody_core.settings import Settings
from cody_core.stderr_log import log_to_stderr

logger = logging.getLogger(__name__)


def run(settings: Settings, *, log_level: str, ready: Callable[[], None]) -> None:
    """Work until a signal asks for the end; ``ready`` is told when runs are taken.

    Raises:
        SettingsError: there is no REDIS_URL to take runs from.
        CodyError: log or store cannot be opened.
    """
    log_to_stderr(log_level, settings.secrets)
    seldom_collect()
    switch_often()
    asyncio.run(_until_signal(settings, ready))


async def _until_signal(settings: Settings, ready: Callable[[], None]) -> None:
    stop = Stop()
    with signals(stop):
        async with open_runtime(settings, shared=True) as runtime:
            runtime.warm()
            ready()
            await stop.asked.wait()
            logger.info("shutting down")
            await finish(runtime, settings.serve.grace, stop.hurry)
