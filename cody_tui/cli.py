"""The command line: ``cody`` itself, and the commands of ``cody_tui.commands`` put together.

Imports wait until a command needs them: ``cody --version`` must not pay for a provider's SDK.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from cody_core import __version__
from cody_core.errors import CodyError

from cody_tui import collecting, streams
from cody_tui.commands import approvals, threads
from cody_tui.commands.chat import chat
from cody_tui.commands.invocation import (
    AgentOption,
    ContinueOption,
    ModelOption,
    PolicyOption,
    ServerOption,
    ThreadOption,
    TokenOption,
    complain,
    latest_thread,
    open_client,
    refuse_both,
    settings_with,
    usage,
    with_client,
)
from cody_tui.commands.opening import CommandsOrThread, thread_named
from cody_tui.commands.serve import serve

if TYPE_CHECKING:
    from cody_core.settings import Settings

NO_KEY = (
    "No key and no model is set: this is the offline demo. Set OPENAI_API_KEY or "
    "ANTHROPIC_API_KEY, or choose a local server's model with --model ollama/NAME."
)

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
app.add_typer(threads.app)
app.add_typer(approvals.app)


def main() -> None:
    """Run the program; an error the core foresaw is one line on standard error."""
    streams.repair()
    try:
        app(args=streams.arguments())
    except CodyError as error:
        complain(error.message)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        complain(str(error))
        streams.leave(1)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"cody {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def interactive(
    context: typer.Context,
    model: ModelOption = None,
    continue_: ContinueOption = False,
    thread: ThreadOption = None,
    policy: PolicyOption = None,
    agent: AgentOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version")
    ] = False,
) -> None:
    """Talk to language models without leaving the terminal."""
    if context.invoked_subcommand is not None:
        return
    refuse_both(continue_, thread)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        usage("cody needs a terminal; in a pipe, use: cody chat 'prompt'")
    collecting.pause()
    from cody_tui.app import CodyApp
    from cody_tui.commands.first_run import KeptFirstRun
    from cody_tui.leaving import run_app
    from cody_tui.messages import Choices

    settings = settings_with(model=model, policy=policy, server=server, token=token)
    streams.log_to_file(settings.home)
    shown_thread = None if thread is None else thread_named(settings, thread)
    if continue_:
        shown_thread = with_client(settings, latest_thread)
    choices = Choices(
        model=model or None, agent=agent or None, policy=settings.policy if policy else None
    )
    notice = notice_for(settings, agent)
    first_run = KeptFirstRun(settings, lambda: settings_with(model=model, policy=policy))
    tui = CodyApp(
        lambda: open_client(first_run.settings),
        choices=choices,
        settings=settings,
        thread_id=shown_thread,
        notice=notice,
        first_run=first_run if notice and not settings.secrets else None,
    )
    sys.exit(run_app(tui, settings.home / streams.LOG_FILE))


def notice_for(settings: Settings, agent: str | None) -> str | None:
    """Say that it is the demo that answers, where neither the settings nor the agent name a model.

    An agent that does not exist is an error of the first prompt. A server has its own settings.
    """
    from cody_core.settings import DEFAULT_AGENT

    if settings.server is not None:
        return None
    chosen = settings.agent(agent or DEFAULT_AGENT)
    return None if settings.has_model or chosen is None or chosen.model else NO_KEY
