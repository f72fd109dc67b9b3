"""``cody serve`` and ``cody worker``: the core without a screen."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cody_tui.commands.invocation import settings_with, usage

RedisOption = Annotated[
    str | None, typer.Option("--redis", metavar="URL", help="the server of the event log")
]
LogLevelOption = Annotated[
    Literal["debug", "info", "warning", "error"],
    typer.Option("--log-level", help="how much is written to standard error"),
]


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
    redis: RedisOption = None,
    workers: Annotated[
        bool, typer.Option("--workers/--no-workers", help="answer here, or leave it to cody worker")
    ] = True,
    log_level: LogLevelOption = "info",
) -> None:
    """Serve the HTTP API, for other screens and other programs."""
    if token is not None and not token.strip():
        usage("--token is empty")
    settings = settings_with(host=host, port=port, token=token, redis_url=redis)
    from cody_core.api import server

    server.run(settings, log_level=log_level, ready=_listens, works=workers)


def worker(redis: RedisOption = None, log_level: LogLevelOption = "info") -> None:
    """Answer what is submitted to servers on the same Redis."""
    settings = settings_with(redis_url=redis)
    from cody_core.worker import run

    run(settings, log_level=log_level, ready=_works)


def _listens(url: str) -> None:
    """Say where it can be reached: the port may be any."""
    typer.echo(f"cody listens on {url}")


def _works() -> None:
    typer.echo("cody works")
