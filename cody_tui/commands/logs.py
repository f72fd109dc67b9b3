"""``cody logs``: what the program wrote down of itself."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated, Literal

import typer

from cody_tui import streams
from cody_tui.commands.invocation import complain, settings_with, usage


def logs(
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="how many of the last lines")
    ] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="wait for what comes")] = False,
    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"],
        typer.Option("--level", "-l", help="the lowest level to show"),
    ] = "debug",
    path: Annotated[bool, typer.Option("--path", help="write where the log is")] = False,
) -> None:
    """Show the log. What cody serve and cody worker log is on their standard error."""
    if path and follow:
        usage("--path and --follow exclude each other")
    settings = settings_with()
    file = settings.home / streams.LOG_FILE
    if path:
        typer.echo(file)
        return
    from cody_tui.log_file import LogReader

    if not file.exists():
        complain(f"nothing has been logged yet: {file}")
    with closing(LogReader(file, level=level, secrets=settings.secrets)) as reader:
        for line in reader.last(lines):
            typer.echo(line)
        if follow:
            for line in reader.follow():
                typer.echo(line)
                sys.stdout.flush()
