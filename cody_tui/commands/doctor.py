"""``cody doctor``: whether what is set up works, and what to do where it does not."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cody_tui.commands.invocation import reported

if TYPE_CHECKING:
    from collections.abc import Collection

    from cody_core.checkup import Finding

_COLOURS: Final = {"ok": 32, "note": 33, "problem": 31}


def doctor(
    json_: Annotated[
        bool, typer.Option("--json", help="write one finding a line, as JSON")
    ] = False,
) -> None:
    """Check what is set up, and say what to do where it does not work."""
    import asyncio
    import platform

    from cody_core import __version__
    from cody_core.checkup.chosen import read_settings
    from cody_core.checkup.every import checkup
    from cody_core.checkup.programs import ripgrep
    from cody_core.glance import environment

    from cody_tui.terminal_checkup import terminal

    finding, found = read_settings()
    report = _Report(as_json=json_, secrets=found[0].secrets if found is not None else ())
    report.head(f"cody {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for each in (*terminal(environment()), finding):
        report.add(each)
    if found is not None:
        asyncio.run(checkup(*found, report.add))
    else:
        for each in asyncio.run(ripgrep()):
            report.add(each)
    report.end()
    if report.problems:
        raise typer.Exit(1)


class _Report:
    """What is written, as it is found."""

    def __init__(self, *, as_json: bool, secrets: Collection[str]) -> None:
        self.problems = 0
        self._as_json = as_json
        self._secrets = secrets
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def head(self, text: str) -> None:
        """Say what is looked at."""
        if not self._as_json:
            typer.echo(text)

    def add(self, finding: Finding) -> None:
        """Write a finding."""
        self.problems += finding.state == "problem"
        if self._as_json:
            said = {key: value and self._safe(value) for key, value in asdict(finding).items()}
            typer.echo(json.dumps(said))
        else:
            state = f"{finding.state:<8}"
            if self._colour:
                state = f"\x1b[{_COLOURS[finding.state]}m{state}\x1b[0m"
            typer.echo(f"{state} {finding.subject:<18} {self._safe(finding.text)}")
            if finding.remedy is not None:
                typer.echo(f"{'':<27} → {self._safe(finding.remedy)}")
        sys.stdout.flush()

    def end(self) -> None:
        """Say what it comes to."""
        if self._as_json:
            return
        counted = "1 problem" if self.problems == 1 else f"{self.problems} problems"
        works = "What is set up works; cody verify sends a prompt through all of it."
        typer.echo(f"\n{counted}: see above." if self.problems else f"\n{works}")

    def _safe(self, text: str) -> str:
        return reported(text, self._secrets)
