"""Cancelling: from ``turn_aborted_by_user`` to ``response_done``, for a script that never ends.

The baseline cancels a run of the same core that waits for its model. What lies between the two is
the killing of the sandbox's process and of what the worker keeps open. The script says something
before it goes round, so that what is cancelled is the script and not its start.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cody_core.providers.scripted import Hang, Script, Step
from cody_core.schema.events import ItemDelta, Payload, ResponseDone, TurnAbortedByUser
from cody_core.schema.items import Cancelled, ScriptExecutionOutput

from benchmarks.servers import redis_server
from benchmarks.stamped import Core, open_core
from benchmarks.table import Table
from benchmarks.timing import percentile

TIMES = 15
WORD = "running"
ENDLESS = f"console.log('{WORD}'); for (;;);"


def tables() -> Iterator[Table]:
    """Measure; see the module."""
    table = Table(
        "from turn_aborted_by_user to response_done (ms)",
        *("what is cancelled", "p50", "p99", "times the model"),
    )
    with (
        redis_server("cancelling") as redis_url,
        tempfile.TemporaryDirectory(prefix="cody-bench-") as home,
    ):
        for log, url in {"memory": None, "Redis": redis_url}.items():
            if log == "memory" or url is not None:
                model, script = asyncio.run(_measure(Path(home), url))
                p50, bare = percentile(script, 50), percentile(model, 50)
                table.add(f"{log}: a model that hangs", bare, percentile(model, 99), 1.0)
                table.add(f"{log}: an endless script", p50, percentile(script, 99), p50 / bare)
    yield table


async def _measure(home: Path, redis_url: str | None) -> tuple[list[float], list[float]]:
    async with open_core(home, redis_url) as core:
        await core.run([[Script("1")], []])
        model = [await _cancelled(core, Hang(WORD)) for _ in range(TIMES)]
        script = [await _cancelled(core, Script(ENDLESS)) for _ in range(TIMES)]
    return model, script


async def _cancelled(core: Core, step: Step) -> float:
    """Return how long it took to cancel a run while it is at a step."""
    run_id = await core.begin([[step]])
    await core.until(run_id, _is_at_it)
    await core.client.cancel(run_id)
    stamps = await core.log.of_run(run_id)
    if isinstance(step, Script):
        response = await core.client.run(run_id)
        output = response.output_items[-1]
        assert isinstance(output, Cancelled), output
        assert isinstance(output.partial, ScriptExecutionOutput), output
    (asked,) = [stamp.given for stamp in stamps if isinstance(stamp.payload, TurnAbortedByUser)]
    (ended,) = [stamp.held for stamp in stamps if isinstance(stamp.payload, ResponseDone)]
    return ended - asked


def _is_at_it(payload: Payload | None) -> bool:
    return isinstance(payload, ItemDelta) and payload.delta_content.strip() == WORD
