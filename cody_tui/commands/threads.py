"""``cody threads``: the conversations there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cody_tui.commands.invocation import settings_with, shown, thread_id, usage, with_client
from cody_tui.commands.options import OfferThreads

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.copying import Copied
    from cody_core.settings import Settings

app = typer.Typer(
    name="threads",
    help="List, show, export and delete conversations.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ThreadArgument = Annotated[str, typer.Argument(metavar="ID", autocompletion=OfferThreads)]
JsonOption = Annotated[bool, typer.Option("--json", help="write JSON")]


@app.command("list")
def list_threads(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=500, help="how many threads at most")
    ] = 20,
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

    with_client(settings_with(), act)


@app.command("show")
def show_thread(thread: ThreadArgument, json_: JsonOption = False) -> None:
    """Show a conversation."""

    async def act(client: Client) -> None:
        detail = await client.thread(thread_id(thread))
        if json_:
            typer.echo(detail.model_dump_json())
        else:
            from cody_tui.views import write_thread

            write_thread(detail, sys.stdout)
            sys.stdout.flush()

    with_client(settings_with(), act)


@app.command("delete")
def delete_thread(
    thread: ThreadArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Delete a conversation and all its runs."""
    doomed = thread_id(thread)
    settings = settings_with()

    async def title(client: Client) -> str:
        return (await client.thread(doomed)).thread.title

    # Asked between two loops: one that runs would swallow the interrupt of a reader who thinks.
    if not yes:
        named = shown(with_client(settings, title))
        if not typer.confirm(f"Delete {named!r}?", err=True):
            raise typer.Exit(1)
    with_client(settings, lambda client: client.delete_thread(doomed))
    typer.echo(f"deleted {doomed}", err=True)


@app.command("export")
def export_thread(
    thread: ThreadArgument,
    format_: Annotated[
        str | None, typer.Option("--format", "-f", metavar="FORMAT", help="md, json or html")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="PATH", help="a new file, or where to make one"),
    ] = None,
) -> None:
    """Write a conversation as a document."""

    async def act(client: Client) -> None:
        from cody_tui.export import FORMATS, ending_of, save

        ending = format_ or (ending_of(str(out)) if out else None) or "md"
        if ending not in FORMATS:
            usage(f"there is no format {shown(ending)!r}: it is md, json or html")
        detail = await client.thread(thread_id(thread))
        if out is None:
            sys.stdout.write(FORMATS[ending](detail))
            sys.stdout.flush()
        else:
            typer.echo(f"written to {save(detail, out, ending)}", err=True)

    with_client(settings_with(), act)


@app.command("copy")
def copy_threads(
    source: Annotated[
        Literal["sqlite", "convex"], typer.Option("--from", help="the store that is read")
    ],
    target: Annotated[
        Literal["sqlite", "convex"], typer.Option("--to", help="the store that is written")
    ],
) -> None:
    """Copy all conversations into another store; what is there already is passed over."""
    if source == target:
        usage("--from and --to name the same store")
    import asyncio

    copied = asyncio.run(_copy(settings_with(), source, target))
    typer.echo("\r" if sys.stderr.isatty() else "", nl=False, err=True)
    deleted = f"; {copied.deleted} deleted there stay so" if copied.deleted else ""
    typer.echo(
        f"{copied.threads} threads, {copied.new} of them new, {copied.runs} new runs{deleted}",
        err=True,
    )


async def _copy(settings: Settings, source: str, target: str) -> Copied:
    from cody_core.copying import copy_threads
    from cody_core.resources import open_convex, open_sqlite

    opened = {"sqlite": open_sqlite, "convex": open_convex}
    async with opened[source](settings) as read, opened[target](settings) as written:
        return await copy_threads(read, written, _progress)


def _progress(copied: Copied) -> None:
    """Rewrite one line on a terminal; elsewhere, say something now and then."""
    if sys.stderr.isatty():
        typer.echo(f"\r{copied.threads} threads, {copied.runs} new runs", nl=False, err=True)
    elif copied.threads % 100 == 0:
        typer.echo(f"{copied.threads} threads, {copied.runs} new runs", err=True)
