"""``cody`` itself, and the other commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer
from cody_core import __version__

from cody_tui.commands import approvals, convex, interactive, threads
from cody_tui.commands.chat import chat
from cody_tui.commands.config import config
from cody_tui.commands.doctor import doctor
from cody_tui.commands.logs import logs
from cody_tui.commands.opening import CommandsOrThread
from cody_tui.commands.options import (
    AgentOption,
    ContinueOption,
    ModelOption,
    PolicyOption,
    ServerOption,
    ThemeOption,
    ThreadOption,
    TokenOption,
)
from cody_tui.commands.serve import serve, worker
from cody_tui.commands.verify import verify

app = typer.Typer(
    name="cody",
    cls=CommandsOrThread,
    help="Talk to language models without leaving the terminal.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(chat)
app.command()(serve)
app.command()(worker)
app.command()(doctor)
app.command()(verify)
app.command()(config)
app.command()(logs)
app.add_typer(threads.app)
app.add_typer(approvals.app)
app.add_typer(convex.app)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"cody {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    model: ModelOption = None,
    continue_: ContinueOption = False,
    thread: ThreadOption = None,
    policy: PolicyOption = None,
    agent: AgentOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
    theme: ThemeOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version")
    ] = False,
) -> None:
    """Talk to language models without leaving the terminal."""
    if context.invoked_subcommand is not None:
        return
    interactive.start(
        continue_=continue_,
        thread=thread,
        agent=agent,
        theme=theme,
        flags={"model": model, "policy": policy, "server": server, "token": token},
    )
