"""The options that more than one command has."""

from __future__ import annotations

from typing import Annotated

import typer

from cody_tui.commands import completion


def _not_empty(value: str | None) -> str | None:
    if value is not None and not value.strip():
        msg = "it is empty: give a name, or provider/name"
        raise typer.BadParameter(msg)
    return value


def _known_theme(value: str | None) -> str | None:
    if value is not None:
        from cody_tui.themes import AUTO, NAMES

        if value not in (AUTO, *NAMES):
            msg = f"there is no theme {value!r}: it is {AUTO}, {', '.join(NAMES)}"
            raise typer.BadParameter(msg)
    return value


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        callback=_not_empty,
        autocompletion=completion.offering(completion.models),
        help="name, or provider/name",
    ),
]
ContinueOption = Annotated[
    bool, typer.Option("--continue", "-c", help="go on with the thread that changed last")
]
OfferThreads = completion.offering(completion.threads)
ThreadOption = Annotated[
    str | None,
    typer.Option(
        "--thread",
        "-t",
        metavar="ID",
        autocompletion=OfferThreads,
        help="go on with this thread",
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="POLICY",
        autocompletion=completion.offering(completion.policies),
        help="ask, auto-edit, full-auto or read-only",
    ),
]
AgentOption = Annotated[
    str | None,
    typer.Option(
        "--agent",
        "-a",
        metavar="NAME",
        autocompletion=completion.offering(completion.agents),
        help="an agent of config.toml; or default",
    ),
]
ThemeOption = Annotated[
    str | None,
    typer.Option(
        "--theme",
        metavar="NAME",
        callback=_known_theme,
        autocompletion=completion.offering(completion.themes),
        help="how it looks this time; auto follows the terminal",
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="work on this cody serve; or CODY_SERVER"),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="the token it asks for; better CODY_TOKEN"),
]
