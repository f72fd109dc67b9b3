"""``cody chat``: what is asked, how the answer is shown, and who is asked for consent."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cody_tui import streams
from cody_tui.commands.invocation import (
    EXIT_CLOSED_PIPE,
    complain,
    latest_thread,
    refuse_both,
    settings_with,
    thread_id,
    usage,
    with_client,
)
from cody_tui.commands.options import (
    AgentOption,
    ContinueOption,
    ModelOption,
    PolicyOption,
    ServerOption,
    ThreadOption,
    TokenOption,
)

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.requests import SubmitRequest

    from cody_tui.consent import Asker
    from cody_tui.views import TextSink, View


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
    server: ServerOption = None,
    token: TokenOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="let every tool run: --policy full-auto")
    ] = False,
) -> None:
    """Ask once, and write the answer to standard output as it comes."""
    text = _prompt(" ".join(prompt or []))
    refuse_both(continue_, thread)
    if yes and policy is not None:
        usage("--yes and --policy exclude each other")
    policy = "full-auto" if yes else policy
    settings = settings_with(model=model, policy=policy, server=server, token=token)
    streams.log_to_file(settings.home, lambda: settings.secrets)
    request = _request(
        text,
        model=model,
        agent_id=agent or None,
        system=system,
        policy=settings.policy if policy else None,
        thread_id=None if thread is None else thread_id(thread),
    )
    view = _view(json_=json_, whole=no_stream, quiet=quiet)
    code = with_client(
        settings, lambda client: _converse(client, request, continue_=continue_, view=view)
    )
    if code == EXIT_CLOSED_PIPE:
        streams.leave(code)
    sys.exit(code)


def _prompt(words: str) -> str:
    """Join what was said on the command line with what was piped in.

    Both are there in ``git diff | cody chat "review"``: then what is piped in comes second.
    """
    piped = ""
    if not sys.stdin.isatty():
        piped = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    text = "\n\n".join(part for part in (words, piped) if part.strip())
    if not text:
        usage("there is no prompt: cody chat 'prompt', or pipe it in")
    return text


def _request(prompt: str, **chosen: Any) -> SubmitRequest:
    from cody_core.schema.requests import MAX_PROMPT_CHARACTERS, SubmitRequest

    if len(prompt) > MAX_PROMPT_CHARACTERS:
        usage(f"the prompt has {len(prompt):,} characters, more than {MAX_PROMPT_CHARACTERS:,}")
    return SubmitRequest(prompt=prompt, **chosen)


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


async def _converse(client: Client, request: SubmitRequest, *, continue_: bool, view: View) -> int:
    from cody_tui.chat import converse

    if continue_:
        request = request.model_copy(update={"thread_id": await latest_thread(client)})
    outcome = await converse(client, request, view, _asker())
    if outcome.message is not None:
        complain(outcome.message)
    return outcome.exit_code


def _asker() -> Asker:
    from cody_tui.consent import Nobody, Terminal

    if sys.stdin.isatty() and sys.stderr.isatty():
        return Terminal(sys.stderr, sys.stdin.fileno())
    return Nobody()
