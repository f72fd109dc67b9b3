"""``GET /health``: whether log and store can be reached, for whoever watches over the server."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from cody_core import __version__
from cody_core.api.dependencies import ServedHere, reply
from cody_core.client import Client
from cody_core.errors import CodyError, EventLogError
from cody_core.schema.wire import HealthBody, Part

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

PATIENCE_SECONDS: Final = 2.0
"""How long the log, and then the store, has to answer."""
NO_RUN: Final = "00000000-0000-7000-8000-000000000000"


@router.get("/health", response_model=HealthBody)
async def health(served: ServedHere) -> Response:
    """Tell the version and the state of log and store; 200 as long as the server answers."""
    log, store = await _log(served.client), await _store(served.client)
    ok = log == store == "ok"
    found = HealthBody(status="ok" if ok else "degraded", version=__version__, log=log, store=store)
    return reply(found)


async def _log(client: Client) -> Part:
    """Look up a run that is not there: whatever the store says to it, the log is asked as well."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await client.run(NO_RUN)
    except (EventLogError, TimeoutError) as error:
        logger.warning("the log does not answer: %s", error)
        return "unavailable"
    except CodyError:
        pass  # the log has answered; how the store is, is asked for below
    return "ok"


async def _store(client: Client) -> Part:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await client.threads(limit=1)
    except (CodyError, TimeoutError) as error:
        logger.warning("the store does not answer: %s", error)
        return "unavailable"
    return "ok"
