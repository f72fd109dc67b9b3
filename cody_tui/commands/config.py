"""``cody config``: every setting, what it is, and where that comes from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cody_tui.commands.invocation import complain, settings_with, shown, usage
from cody_tui.commands.options import ModelOption, PolicyOption, ServerOption, TokenOption

if TYPE_CHECKING:
    from cody_core.configured import Row


def config(
    path: Annotated[bool, typer.Option("--path", help="write where config.toml is")] = False,
    edit: Annotated[
        bool, typer.Option("--edit", help="open config.toml in $VISUAL or $EDITOR")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="write JSON")] = False,
    model: ModelOption = None,
    policy: PolicyOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Show every setting, and where it comes from. Keys are not shown."""
    if path + edit + json_ > 1:
        usage("--path, --edit and --json exclude each other")
    from cody_core.glance import config_path

    if path:
        typer.echo(config_path())
    elif edit:
        _edit(config_path())
    else:
        from cody_core.configured import ignored, rows
        from cody_core.settings import traced_settings

        flags = {"model": model, "policy": policy, "server": server, "token": token}
        _show(rows(*traced_settings(**flags)), as_json=json_)
        for remark in ignored():
            complain(remark)


def _show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        said = {
            row.name: {
                "value": row.value,
                "source": row.origin.source,
                "name": row.origin.name,
                **({"sought": row.sought} if row.sought else {}),
            }
            for row in rows
        }
        typer.echo(json.dumps(said, indent=2))
        return
    shortened = [(row.name, _said(row.value), _origin(row)) for row in rows]
    width = max(len(name) for name, _, _ in shortened)
    for name, value, origin in shortened:
        typer.echo(f"{name:<{width}}  {value:<32}  {origin}")


def _origin(row: Row) -> str:
    """Say where a setting comes from, or where it could and does not."""
    return f"not set: {' or '.join(row.sought)}" if row.sought else str(row.origin)


def _said(value: object) -> str:
    if value is None:
        return "-"
    return shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _edit(path: Path) -> None:
    """Let somebody edit the file, which is there afterwards, and say what is wrong with it."""
    from cody_core.errors import SettingsError
    from cody_core.glance import environment

    from cody_tui.editor import EditorFailed, editor_of

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        usage(f"--edit needs a terminal; the file is {path}")
    try:
        command = editor_of(environment())
    except EditorFailed as error:
        usage(f"{error}; the file is {path}")
    _begin(path)
    # What is typed there is the editor's own business, an interrupt as well.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode
    except OSError as error:
        usage(f"the editor {command[0]!r} cannot be started ({error.strerror}); the file is {path}")
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        complain(f"the editor {command[0]!r} ended with status {code}; the file is {path}")
        raise typer.Exit(1)
    try:
        settings_with()
    except SettingsError as error:
        raise SettingsError(
            f"{error.message}; the file stays as it is: cody config --edit"
        ) from error


def _begin(path: Path) -> None:
    """Make the file, with every setting commented out, if there is none."""
    from cody_core.config_template import template

    text = template()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # For its owner alone: somebody may put a key in it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
