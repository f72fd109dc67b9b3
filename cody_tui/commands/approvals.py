"""``cody approvals``: what may run in this workspace without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cody_tui.commands.invocation import complain, settings_with, shown

if TYPE_CHECKING:
    from cody_core.tools.grants import Grants
    from cody_core.tools.policy import Grant

app = typer.Typer(
    name="approvals",
    help="List and revoke what may run in this workspace without asking.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_approvals() -> None:
    """List what was approved for good in this workspace."""
    for number, grant in enumerate(_grants().lasting(), 1):
        typer.echo(f"{number}  {_line(grant)}")


@app.command("revoke")
def revoke_approval(
    number: Annotated[int, typer.Argument(help="as cody approvals list numbers them", min=1)],
) -> None:
    """Ask again for what was approved for good."""
    revoked = _grants().revoke(number)
    if revoked is None:
        complain(f"there is no approval {number}: see cody approvals list")
        raise typer.Exit(1)
    typer.echo(f"revoked {_line(revoked)}", err=True)


def _grants() -> Grants:
    from cody_core.tools.grants import Grants

    return Grants.of(settings_with())


def _line(grant: Grant) -> str:
    words = f": {shown(grant.words)}" if grant.words else ""
    outside = f" (outside: {shown(', '.join(sorted(grant.outside)))})" if grant.outside else ""
    return f"{grant.tool}{words}{outside}"
