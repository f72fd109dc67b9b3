"""``cody verify``: one prompt through the real pipeline, and how each part of it did."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cody_tui import streams
from cody_tui.commands.invocation import complain, reported, settings_with, usage
from cody_tui.commands.options import AgentOption, ModelOption

if TYPE_CHECKING:
    from collections.abc import Collection

    from cody_core.verification import Passage, Stage

PROMPT: Final = "This is a test. Say hello in one short sentence, and do nothing else."


def verify(
    prompt: Annotated[str, typer.Argument(help="the prompt that is sent")] = PROMPT,
    model: ModelOption = None,
    agent: AgentOption = None,
    seconds: Annotated[
        float, typer.Option("--timeout", min=1.0, metavar="SECONDS", help="for all of it")
    ] = 120.0,
    keep: Annotated[bool, typer.Option("--keep", help="do not delete its thread")] = False,
    json_: Annotated[bool, typer.Option("--json", help="write JSON, one stage a line")] = False,
) -> None:
    """Send a prompt from provider to store and back, and show each stage with its time."""
    import asyncio

    from cody_core.schema.requests import SubmitRequest
    from cody_core.verification import verify

    settings = settings_with(model=model)
    if settings.server is not None:
        usage("verify looks into this machine: run it where cody serve runs, with no server set")
    streams.log_to_file(settings.home, lambda: settings.secrets)
    # Tools are no part of this: a model that wants one is refused what would change something.
    request = SubmitRequest(prompt=prompt, model=model, agent_id=agent or None, policy="read-only")
    report = _Report(as_json=json_, secrets=settings.secrets)
    passage = asyncio.run(verify(settings, request, report.stage, seconds=seconds, keep=keep))
    report.passage(passage)
    if passage.failed is not None:
        complain(f"the stage that failed: {passage.failed}; cody doctor may know why")
        raise typer.Exit(1)


class _Report:
    """What is written, as the prompt passes."""

    def __init__(self, *, as_json: bool, secrets: Collection[str]) -> None:
        self._as_json = as_json
        self._secrets = secrets

    def stage(self, stage: Stage) -> None:
        """Write how a stage went."""
        spent, text = stage.seconds * 1000, reported(stage.text, self._secrets)
        state = "ok" if stage.is_passed else "failed"
        if self._as_json:
            said = {"stage": stage.name, "state": state, "ms": round(spent, 3), "text": text}
            self._write(json.dumps(said))
        else:
            self._write(f"{state:<7} {stage.name:<10} {spent:>9.1f} ms  {text}")

    def passage(self, passage: Passage) -> None:
        """Write the trace and the events."""
        if self._as_json:
            said = {
                "run_id": passage.run_id,
                "trace_id": passage.trace_id,
                "events": passage.sequence,
                "failed": passage.failed,
            }
            self._write(json.dumps(said))
        elif passage.run_id is not None:
            self._write(f"\nrun     {passage.run_id}\ntrace   {passage.trace_id or 'none'}")
            self._write(f"events  {', '.join(passage.sequence)}")

    def _write(self, text: str) -> None:
        typer.echo(text)
        sys.stdout.flush()
