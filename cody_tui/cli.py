"""The command line: ``cody``, ``cody chat`` and ``cody threads``.

Imports wait until a command needs them: ``cody --version`` must not pay for a provider's SDK.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from cody_core import __version__
from cody_core.errors import CodyError

from cody_tui import streams

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.requests import SubmitRequest
    from cody_core.settings import Settings
    from cody_core.tools.grants import Grants
    from cody_core.tools.policy import Grant

    from cody_tui.consent import Asker
    from cody_tui.views import TextSink, View

T = TypeVar("T")
EXIT_USAGE = 2
EXIT_CLOSED_PIPE = 141
NO_KEY = (
    "No key and no model is set: this is the offline demo. Set OPENAI_API_KEY or "
    "ANTHROPIC_API_KEY, or choose a local server's model with --model ollama/NAME."
)

app = typer.Typer(
    name="cody",
    help="Talk to language models without leaving the terminal.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
threads_app = typer.Typer(
    name="threads",
    help="List, show and delete conversations.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
approvals_app = typer.Typer(
    name="approvals",
    help="List and revoke what may run in this workspace without asking.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(threads_app)
app.add_typer(approvals_app)


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
JsonOption = Annotated[bool, typer.Option("--json", help="write JSON")]


def main() -> None:
    """Run the program; an error the core foresaw is one line on standard error."""
    streams.repair()
    try:
        app(args=streams.arguments())
    except CodyError as error:
        _complain(error.message)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        _complain(str(error))
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
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version")
    ] = False,
) -> None:
    """Talk to language models without leaving the terminal."""
    if context.invoked_subcommand is not None:
        return
    _refuse_both(continue_, thread)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        _usage("cody needs a terminal; in a pipe, use: cody chat 'prompt'")
    from cody_tui.app import CodyApp
    from cody_tui.messages import Choices

    settings = _settings(model=model, policy=policy)
    streams.log_to_file(settings.home)
    thread_id = _thread_id(thread)
    if continue_ and thread_id is None:
        thread_id = _with_client(settings, _latest_thread)
    notice = None if settings.has_model or agent else NO_KEY
    choices = Choices(
        model=model or None, agent=agent or None, policy=settings.policy if policy else None
    )
    CodyApp(lambda: _open(settings), choices=choices, thread_id=thread_id, notice=notice).run()


@app.command()
def chat(
    prompt: Annotated[
        list[str] | None, typer.Argument(help="the prompt; text piped in is added to it")
    ] = None,
    model: ModelOption = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", metavar="TEXT", help="the system prompt")
    ] = None,
    continue_: ContinueOption = False,
    thread: ThreadOption = None,
    json_: Annotated[bool, typer.Option("--json", help="write one canonical event a line")] = False,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="write the answer when it is complete")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="no reasoning and no tool activity on stderr")
    ] = False,
    policy: PolicyOption = None,
    agent: AgentOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="let every tool run: --policy full-auto")
    ] = False,
) -> None:
    """Ask once, and write the answer to standard output as it comes."""
    text = _prompt(" ".join(prompt or []))
    _refuse_both(continue_, thread)
    if yes and policy is not None:
        _usage("--yes and --policy exclude each other")
    policy = "full-auto" if yes else policy
    settings = _settings(model=model, policy=policy)
    streams.log_to_file(settings.home)
    request = _request(
        text,
        model=model,
        agent_id=agent or None,
        system=system,
        policy=settings.policy if policy else None,
        thread_id=_thread_id(thread),
    )
    view = _view(json_=json_, whole=no_stream, quiet=quiet)
    code = _with_client(
        settings, lambda client: _chat(client, request, continue_=continue_, view=view)
    )
    if code == EXIT_CLOSED_PIPE:
        streams.leave(code)
    sys.exit(code)


@threads_app.command("list")
def list_threads(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500)] = 20,
    query: Annotated[
        str | None, typer.Option("--query", "-q", metavar="TEXT", help="words to search for")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG")] = None,
    json_: JsonOption = False,
) -> None:
    """List conversations, newest change first."""

    async def act(client: Client) -> None:
        from cody_tui.views import thread_line

        page = await client.threads(limit=limit, query=query, tag=tag)
        for thread in page.threads:
            typer.echo(thread.model_dump_json() if json_ else thread_line(thread))

    _with_client(_settings(), act)


@threads_app.command("show")
def show_thread(
    thread: Annotated[str, typer.Argument(metavar="ID")], json_: JsonOption = False
) -> None:
    """Show a conversation."""

    async def act(client: Client) -> None:
        detail = await client.thread(_thread_id(thread) or thread)
        if json_:
            typer.echo(detail.model_dump_json())
        else:
            from cody_tui.views import write_thread

            write_thread(detail, sys.stdout)
            sys.stdout.flush()

    _with_client(_settings(), act)


@threads_app.command("delete")
def delete_thread(
    thread: Annotated[str, typer.Argument(metavar="ID")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Delete a conversation and all its runs."""
    thread_id = _thread_id(thread) or thread
    settings = _settings()

    async def title(client: Client) -> str:
        return (await client.thread(thread_id)).thread.title

    # Asked between two loops: one that runs would swallow the interrupt of a reader who thinks.
    if not yes:
        shown = _printable(_with_client(settings, title))
        if not typer.confirm(f"Delete {shown!r}?", err=True):
            raise typer.Exit(1)
    _with_client(settings, lambda client: client.delete_thread(thread_id))
    typer.echo(f"deleted {thread_id}", err=True)


@approvals_app.command("list")
def list_approvals() -> None:
    """List what was approved for good in this workspace."""
    for number, grant in enumerate(_grants().lasting(), 1):
        typer.echo(f"{number}  {_grant_line(grant)}")


@approvals_app.command("revoke")
def revoke_approval(
    number: Annotated[int, typer.Argument(help="as cody approvals list numbers them", min=1)],
) -> None:
    """Ask again for what was approved for good."""
    revoked = _grants().revoke(number)
    if revoked is None:
        _complain(f"there is no approval {number}: see cody approvals list")
        raise typer.Exit(1)
    typer.echo(f"revoked {_grant_line(revoked)}", err=True)


def _grants() -> Grants:
    from cody_core.tools.grants import Grants

    return Grants.of(_settings())


def _grant_line(grant: Grant) -> str:
    words = f": {_printable(grant.words)}" if grant.words else ""
    outside = f" (outside: {_printable(', '.join(sorted(grant.outside)))})" if grant.outside else ""
    return f"{grant.tool}{words}{outside}"


async def _latest_thread(client: Client) -> str:
    from cody_tui.chat import latest_thread

    return await latest_thread(client)


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[Client]:
    """Open the runtime; importing it in a thread leaves the screen alive."""
    import asyncio

    runtime = await asyncio.to_thread(importlib.import_module, "cody_core.runtime")
    async with runtime.open_runtime(settings) as client:
        yield client


async def _chat(
    client: Client,
    request: SubmitRequest,
    *,
    continue_: bool,
    view: View,
) -> int:
    from cody_tui.chat import converse

    if continue_:
        request = request.model_copy(update={"thread_id": await _latest_thread(client)})
    outcome = await converse(client, request, view, _asker())
    if outcome.message is not None:
        _complain(outcome.message)
    return outcome.exit_code


def _with_client(settings: Settings, act: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """Open the runtime, do something with it, and close it."""
    import asyncio

    async def run() -> T:
        async with _open(settings) as client:
            return await act(client)

    try:
        return asyncio.run(run())
    except BrokenPipeError:
        streams.leave(EXIT_CLOSED_PIPE)


def _view(*, json_: bool, whole: bool, quiet: bool) -> View:
    from cody_tui.views import Activity, JsonView, PlainText, TextView, WholeView

    if json_:
        return JsonView(sys.stdout.buffer)
    text: TextSink
    if sys.stdout.isatty():
        from cody_tui.live import LiveMarkdown

        text = LiveMarkdown()
    else:
        text = PlainText(sys.stdout)
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    activity = Activity(sys.stderr, colour=colour, quiet=quiet)
    return WholeView(text, activity) if whole else TextView(text, activity)


def _asker() -> Asker:
    from cody_tui.consent import Nobody, Terminal

    if sys.stdin.isatty() and sys.stderr.isatty():
        return Terminal(sys.stderr, sys.stdin.fileno())
    return Nobody()


def _settings(**flags: object) -> Settings:
    from cody_core.settings import load_settings

    return load_settings(**flags)


def _prompt(words: str) -> str:
    """Join what was said on the command line with what was piped in.

    Both are there in ``git diff | cody chat "review"``: then what is piped in comes second.
    """
    piped = ""
    if not sys.stdin.isatty():
        piped = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    text = "\n\n".join(part for part in (words, piped) if part.strip())
    if not text:
        _usage("there is no prompt: cody chat 'prompt', or pipe it in")
    return text


def _request(prompt: str, **chosen: Any) -> SubmitRequest:
    from cody_core.schema.requests import MAX_PROMPT_CHARACTERS, SubmitRequest

    if len(prompt) > MAX_PROMPT_CHARACTERS:
        _usage(f"the prompt has {len(prompt):,} characters, more than {MAX_PROMPT_CHARACTERS:,}")
    return SubmitRequest(prompt=prompt, **chosen)


def _refuse_both(continue_: bool, thread: str | None) -> None:
    if continue_ and thread is not None:
        _usage("--continue and --thread exclude each other")


def _thread_id(text: str | None) -> str | None:
    if text is None:
        return None
    from cody_core.ids import is_uuid

    if not is_uuid(text):
        _usage(f"{text!r} is not the id of a thread: see cody threads list")
    return text.lower()


def _printable(text: str) -> str:
    from cody_tui.text import one_line

    return one_line(text, 100)


def _complain(message: str) -> None:
    typer.echo(f"cody: {message}", err=True)


def _usage(message: str) -> NoReturn:
    _complain(message)
    sys.exit(EXIT_USAGE)
