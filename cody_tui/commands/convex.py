"""``cody convex``: the deployment that threads are stored in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cody_tui.commands.invocation import complain, settings_with

if TYPE_CHECKING:
    from cody_core.checkup import Finding
    from cody_core.settings import Settings

app = typer.Typer(
    name="convex",
    help="Deploy and look at the Convex deployment that threads are stored in.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("status")
def status() -> None:
    """Tell whether the deployment can be reached and used."""
    import asyncio

    settings = settings_with()
    found = asyncio.run(_status(settings))
    typer.echo(f"{'deployment':<18}{settings.convex_url}")
    for finding in found:
        remedy = f": {finding.remedy}" if finding.remedy else ""
        typer.echo(f"{finding.subject:<18}{finding.text}{remedy}")
    if any(finding.state == "problem" for finding in found):
        raise typer.Exit(1)


@app.command("deploy")
def deploy(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Bring the functions that store threads to the deployment; needs Node.js."""
    import asyncio

    from cody_core.convex_functions import prepare
    from cody_core.glance import environment

    settings = settings_with()
    deployment = prepare(settings, environment())
    commands = deployment.commands()
    if not yes and asyncio.run(_version(settings)) is None:
        question = f"This replaces whatever functions there are in {deployment.url}. Go on?"
        if not typer.confirm(question, err=True):
            raise typer.Exit(1)
    for command in commands:
        sys.stdout.flush()
        if code := deployment.run(command):
            complain(f"{' '.join(command[1:3])} failed with exit code {code}: see above")
            raise typer.Exit(1)
    status()


async def _version(settings: Settings) -> int | None:
    from cody_core.resources import open_convex

    async with open_convex(settings) as store:
        return await store.version()


async def _status(settings: Settings) -> Sequence[Finding]:
    from cody_core.checkup import Finding
    from cody_core.checkup.home import outbox
    from cody_core.checkup.servers import convex_deployment
    from cody_core.errors import StoreError

    try:
        found = await convex_deployment(settings)
    except StoreError as error:  # whose message says what to do
        found = [Finding("convex", "problem", error.message)]
    return [*found, *await outbox(settings)]
