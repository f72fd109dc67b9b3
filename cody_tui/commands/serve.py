"""``cody serve``: the core without a screen, for remote ones."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cody_tui.commands.invocation import settings_with, usage


def serve(
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="the address to bind")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="the port; 0 for a free one")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TOKEN", help="what clients must show; see CODY_TOKEN"),
    ] = None,
    redis: Annotated[
        str | None, typer.Option("--redis", metavar="URL", help="the server of the event log")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option("--log-level", help="how much is written to standard error"),
    ] = "info",
) -> None:
    """Serve the HTTP API, for other screens and other programs."""
    if token is not None and not token.strip():
        usage("--token is empty")
    settings = settings_with(host=host, port=port, token=token, redis_url=redis)
    from cody_core.api import server

    server.run(settings, log_level=log_level, ready=_ready)


def _ready(url: str) -> None:
    """Say where it can be reached: the port may be any."""
    typer.echo(f"cody listens on {url}")
