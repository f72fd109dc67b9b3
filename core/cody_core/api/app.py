"""The app: routes, guards and errors put together around a client."""

from __future__ import annotations

from fastapi import FastAPI

from cody_core import __version__
from cody_core.api import access, errors, health, lookups, runs, security, streams, threads
from cody_core.api.dependencies import FAILURES, Served
from cody_core.api.ending import Ending
from cody_core.api.feed import Feeds
from cody_core.client import Client
from cody_core.settings import Settings


def create_app(client: Client, settings: Settings, ending: Ending) -> FastAPI:
    """Return the API over a client, whose lifetime is the caller's, as is its ``ending``."""
    app = FastAPI(
        title="Cody",
        version=__version__,
        description="Runs of language models as events that can be read again.",
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        responses=FAILURES,
    )
    app.state.served = Served(client, settings, ending, Feeds())
    app.include_router(health.router)
    # Streams come first: they are below the path of what they stream.
    for module in (streams, runs, threads, lookups):
        app.include_router(module.router)
    errors.install(app, settings)
    security.install(app, settings)
    app.add_middleware(access.AccessLog)
    return app
