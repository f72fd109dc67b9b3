"""``cody convex``: the deployment that threads are stored in."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cody_tui.commands.invocation import complain, settings_with

if TYPE_CHECKING:
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
    said = asyncio.run(_status(settings))
    typer.echo(f"deployment  {settings.convex_url}")
    typer.echo("\n".join(said.lines))
    if not said.is_usable:
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


class _Said:
    """What there is to say of a deployment."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_usable = False

    def add(self, what: str, text: str) -> None:
        self.lines.append(f"{what:<12}{text}")


async def _version(settings: Settings) -> int | None:
    from cody_core.resources import open_convex

    async with open_convex(settings) as store:
        return await store.version()


async def _status(settings: Settings) -> _Said:
    from cody_core.errors import StoreError
    from cody_core.resources import open_convex
    from cody_core.stores.convex_api import FUNCTIONS_VERSION
    from cody_core.workers.outbox import Outbox

    said = _Said()
    async with open_convex(settings) as store:
        began = time.monotonic()
        try:
            found = await store.version()
        except StoreError as error:
            said.add("problem", error.message)
        else:
            said.add("answers in", f"{(time.monotonic() - began) * 1000:.0f} ms")
            said.add("key", "accepted")
            said.is_usable = found == FUNCTIONS_VERSION
            said.add("functions", _functions(found, FUNCTIONS_VERSION))
    if waiting := len(Outbox(settings.home / "outbox").kept):
        runs = "1 run waits" if waiting == 1 else f"{waiting} runs wait"
        said.add("outbox", f"{runs} to be stored")
    return said


def _functions(found: int | None, needed: int) -> str:
    if found == needed:
        return f"version {found}, up to date"
    what = "not deployed" if found is None else f"version {found}, this cody needs {needed}"
    return f"{what}: run cody convex deploy"
