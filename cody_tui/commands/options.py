"""The options that more than one command has."""

from __future__ import annotations

from typing import Annotated

import typer


def _not_empty(value: str | None) -> str | None:
    if value is not None and not value.strip():
        msg = "it is empty: give a name, or provider/name"
        raise typer.BadParameter(msg)
    return value


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", callback=_not_empty, help="name, or provider/name"
    ),
]
ContinueOption = Annotated[
    bool, typer.Option("--continue", "-c", help="go on with the thread that changed last")
]
ThreadOption = Annotated[
    str | None, typer.Option("--thread", "-t", metavar="ID", help="go on with this thread")
]
PolicyOption = Annotated[
    str | None,
    typer.Option("--policy", metavar="POLICY", help="ask, auto-edit, full-auto or read-only"),
]
AgentOption = Annotated[
    str | None,
    typer.Option("--agent", "-a", metavar="NAME", help="an agent of config.toml; or default"),
]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="work on this cody serve; or CODY_SERVER"),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="the token it asks for; better CODY_TOKEN"),
]
