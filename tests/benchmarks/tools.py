"""Tools and scripts: how soon they begin, and what a script's call costs.

The whole core runs a scripted model: one call, or one script, per answer, in a sandbox that is
warm. A call has begun when its output item is in the log, a script when the item of its first call
is. The bare ways hand the same event to a reader that does nothing with it, or that appends an
event in return.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

from cody_core.eventlog import EventLog
from cody_core.ids import new_id
from cody_core.providers.scripted import Call, Say, Script, Step
from cody_core.schema.events import Heartbeat, ItemDone, ItemStart
from cody_core.schema.items import FunctionCall, ScriptExecution
from cody_core.tools import ToolContext
from cody_core.tools.registry import Registry
from cody_core.tools.sandbox.host import ProcessSandbox
from support.shapes import events, started

from benchmarks.servers import redis_server
from benchmarks.stamped import Core, Double, Stamp, open_core, open_log
from benchmarks.table import Table
from benchmarks.timing import percentile

RUNS = 6
TURNS = 20
"""Answers of a run that have something done: so many calls, or scripts."""
LOOP = 30
"""Calls of a script in a loop."""
LOOPS = 6

ARGUMENTS = {"n": 21}
ONE_CALL = "return await tools.double({n: 21});"
MANY_CALLS = f"for (let at = 0; at < {LOOP}; at++) await tools.double({{n: 21}});"
END: list[Step] = [Say("Done.")]

Costs = dict[str, list[float]]
"""Times in ms, by what took them."""


def tables() -> Iterator[Table]:
    """Measure; see the module."""
    with (
        redis_server("tools") as redis_url,
        tempfile.TemporaryDirectory(prefix="cody-bench-") as home,
    ):
        loops = asyncio.run(_without_log(Path(home)))
        for name, url in {"memory": None, "Redis": redis_url}.items():
            if name == "memory" or url is not None:
                begins, loops[f"script, {name} log"] = asyncio.run(_with_log(Path(home), url))
                yield _begin_table(name, begins)
    yield _loop_table(loops)


def _loop_table(loops: Costs) -> Table:
    table = Table(
        "one call of many in a row (µs)", "way", "p50", "p99", "times direct", "times the process"
    )
    p50s = {way: percentile(costs, 50) * 1e3 for way, costs in loops.items()}
    direct, process = p50s["directly, through the registry"], p50s["bare: a process and back"]
    for way, costs in loops.items():
        p50 = p50s[way]
        table.add(way, p50, percentile(costs, 99) * 1e3, p50 / direct, p50 / process)
    return table


def _begin_table(log: str, costs: Costs) -> Table:
    table = Table(
        f"from item_done in the log to the first event of it, {log} log (ms)",
        *("what", "p50", "p99", "times hand-over", "times a function call"),
    )
    p50s = {what: percentile(took, 50) for what, took in costs.items()}
    bare, call = p50s["bare: append, read"], p50s["function call: its output begins"]
    for what, took in costs.items():
        p50 = p50s[what]
        table.add(what, p50, percentile(took, 99), p50 / bare, p50 / call)
    return table


async def _with_log(home: Path, redis_url: str | None) -> tuple[Costs, list[float]]:
    """Return how long it takes to begin, by what begins, and what each call of a loop takes."""
    async with open_log(redis_url) as log:
        handed, answered = await _hand_over(log, RUNS * TURNS)
    calls, scripts, loop = list[float](), list[float](), list[float]()
    async with open_core(home, redis_url) as core:
        await core.run([[Script(ONE_CALL)], END])
        for _ in range(RUNS):
            calls += _call_starts(await _repeated(core, Call("double", ARGUMENTS)))
            scripts += _script_starts(await _repeated(core, Script(ONE_CALL)))
        for _ in range(LOOPS):
            stamps = await core.run([[Script(MANY_CALLS)], END])
            loop += _gaps([stamp.given for stamp in stamps if _starts_call(stamp)])
    begins = {
        "bare: append, read": handed,
        "bare: append, read, append": answered,
        "function call: its output begins": calls,
        "script: its first call begins": scripts,
    }
    return begins, loop


async def _repeated(core: Core, step: Step) -> Sequence[Stamp]:
    return await core.run([*([step] for _ in range(TURNS)), END])


def _call_starts(stamps: Sequence[Stamp]) -> list[float]:
    began = {
        stamp.payload.call_id: stamp.held
        for stamp in stamps
        if isinstance(stamp.payload, ItemStart)
        and stamp.payload.item_type == "function_call_output"
    }
    took = [
        began[item.call_id] - given
        for item, given in _done(stamps)
        if isinstance(item, FunctionCall)
    ]
    assert len(took) == TURNS
    return took


def _script_starts(stamps: Sequence[Stamp]) -> list[float]:
    began = {
        stamp.payload.correlation_id: stamp.held
        for stamp in stamps
        if isinstance(stamp.payload, ItemStart) and stamp.payload.item_type == "function_call"
    }
    took = [
        began[item.id] - given for item, given in _done(stamps) if isinstance(item, ScriptExecution)
    ]
    assert len(took) == TURNS
    return took


def _done(stamps: Sequence[Stamp]) -> Iterator[tuple[object, float]]:
    for stamp in stamps:
        if isinstance(stamp.payload, ItemDone):
            yield stamp.payload.final_item, stamp.given


def _starts_call(stamp: Stamp) -> bool:
    return isinstance(stamp.payload, ItemStart) and stamp.payload.item_type == "function_call"


def _gaps(times: Sequence[float]) -> list[float]:
    """Return what lies between calls: each is made when the one before it has its answer."""
    assert len(times) == LOOP
    return [later - earlier for earlier, later in pairwise(times)]


async def _hand_over(log: EventLog, count: int) -> tuple[list[float], list[float]]:
    """Return what it takes to hand an event to a reader, and to have its answer in the log."""
    call = FunctionCall(id="c1", call_id="c1", name="double", arguments='{"n": 21}')
    run_id = new_id()
    opening, event, answer = events(
        started(run_id), ItemDone(item_id="c1", final_item=call), Heartbeat(), run_id=run_id
    )
    await log.append(run_id, [opening])
    handed: list[float] = []
    answered: list[float] = []
    async with aclosing(log.read(run_id)) as batches:
        await anext(batches)

        async def answering() -> None:
            async for batch in batches:
                for entry in batch:
                    if isinstance(entry.payload, ItemDone):
                        handed.append(time.perf_counter() * 1e3 - began)
                        await log.append(run_id, [answer])
                        answered.append(time.perf_counter() * 1e3 - began)
                        ready.set()
                if len(answered) == count:
                    return

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(answering())
            for _ in range(count):
                ready = asyncio.Event()
                await asyncio.sleep(0)
                began = time.perf_counter() * 1e3
                await log.append(run_id, [event])
                await ready.wait()
    return handed, answered


async def _without_log(home: Path) -> Costs:
    """Return what a call takes that is made directly, and by a script that is all there is."""
    registry = Registry([Double()])

    async def emit(_: str) -> None:
        pass

    context = ToolContext(run_id=new_id(), call_id="c1", emit=emit, workspace=home)
    made: list[float] = []

    async def call(name: str, arguments: str) -> str:
        made.append(time.perf_counter() * 1e3)
        asked = FunctionCall(id="c1", call_id="c1", name=name, arguments=arguments)
        return (await registry.call(asked, context)).output

    for _ in range(LOOP * LOOPS + 1):
        await call("double", '{"n": 21}')
    direct = [later - earlier for earlier, later in pairwise(made)]
    looped: list[float] = []
    async with ProcessSandbox(home / "sandbox") as sandbox:
        for _ in range(LOOPS):
            made.clear()
            result = await sandbox.run(
                MANY_CALLS, tools=registry.names, call=call, context={}, log=emit
            )
            assert result.success, result.error
            looped += _gaps(made)
    return {
        "directly, through the registry": direct,
        "bare: a process and back": await _echoes(LOOP * LOOPS),
        "script, no log": looped,
    }


async def _echoes(count: int) -> list[float]:
    """Return what it takes to send a line to another process and to have it back."""
    process = await asyncio.create_subprocess_exec(
        "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    took = []
    for _ in range(count):
        began = time.perf_counter() * 1e3
        process.stdin.write(b'{"name": "double", "arguments": {"n": 21}}\n')
        await process.stdout.readline()
        took.append(time.perf_counter() * 1e3 - began)
    process.stdin.close()
    await process.wait()
    return took
