from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cody_core.errors import ToolError
from cody_core.eventlog import EventLog
from cody_core.eventlog.memory import MemoryEventLog
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import (
    Entry,
    ItemDelta,
    ItemDone,
    ItemStart,
    Payload,
    ResponseDone,
    TurnAbortedByUser,
)
from cody_core.schema.items import Cancelled, FunctionCall, FunctionCallOutput, Item
from cody_core.schema.requests import Policy, RunRequest
from cody_core.tools import BaseTool, ToolContext, ToolKind, ToolResult
from cody_core.tools.grants import Grants
from cody_core.tools.registry import Registry
from cody_core.tools.sandbox.host import ProcessSandbox
from cody_core.workers.tools import ToolWorker
from pydantic import BaseModel
from support.shapes import TURN, events, started


class Arguments(BaseModel):
    path: str = "."


class Doing(BaseTool):
    """A tool that does what the test says, and notes what it was asked."""

    description = "Do it."
    arguments: type[BaseModel] = Arguments

    def __init__(
        self, name: str, kind: ToolKind, act: Callable[[ToolContext], Awaitable[ToolResult]]
    ) -> None:
        self.name = name
        self.kind: ToolKind = kind
        self.calls: list[str] = []
        self._act = act

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        self.calls.append(arguments.path)
        return await self._act(context)


async def well(context: ToolContext) -> ToolResult:
    return ToolResult("ok")


class Gate:
    """Lets calls through when it is opened, and knows how many stand before it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = 0
        self.most = 0

    async def __call__(self, context: ToolContext) -> ToolResult:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.open.wait()
        finally:
            self.inside -= 1
        return ToolResult(context.call_id)


@pytest.fixture(params=["memory", "redis"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    if request.param == "memory":
        memory = MemoryEventLog()
        yield memory
        await memory.aclose()
    else:
        server = request.getfixturevalue("redis_server")
        async with RedisEventLog.open(server.url) as shared:
            yield shared


def worker_of(run: Run, registry: Registry) -> ToolWorker:
    workspace = Path.cwd()
    grants = Grants(workspace / "approvals.json", workspace)
    return ToolWorker(
        run.log, registry, ProcessSandbox(workspace / "sandbox"), workspace=workspace, grants=grants
    )


class Run:
    """A run in the log, and what the log has of it."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.id = new_id()

    def request(self, policy: Policy = "full-auto") -> RunRequest:
        return RunRequest(
            run_id=self.id,
            turn_id=new_id(),
            thread_id=new_id(),
            provider_id="demo",
            model_id="demo",
            input_items=(),
            policy=policy,
        )

    async def add(self, *payloads: Payload) -> None:
        await self.log.append(self.id, events(*payloads, run_id=self.id))

    async def begin(self, *calls: FunctionCall) -> None:
        await self.add(started(self.id))
        await self.call(*calls)

    async def call(self, *calls: FunctionCall) -> None:
        for item in calls:
            start = ItemStart(item_id=item.id, item_type="function_call", name=item.name)
            await self.add(start, ItemDone(item_id=item.id, final_item=item))

    async def end(self) -> None:
        await self.add(ResponseDone(response_id=self.id, status="complete"))

    async def entries(self) -> list[Entry]:
        return [e async for batch in self.log.read(self.id, follow=False) for e in batch]

    async def outputs(self) -> list[Item]:
        """Return the output items that are complete, their ids taken off."""
        reducer = ResponseReducer()
        reducer.feed(await self.entries())
        assert reducer.response is not None
        assert reducer.response.error is None
        return [
            item.model_copy(update={"id": "out"})
            for item in reducer.response.output_items
            if not isinstance(item, FunctionCall) and item.id not in reducer.open_items
        ]

    async def until_outputs(self, count: int) -> list[Item]:
        while len(found := await self.outputs()) < count:
            await asyncio.sleep(0.001)
        return found


@pytest.fixture
def run(log: EventLog) -> Run:
    return Run(log)


def call(name: str, call_id: str = "c", arguments: str = "{}") -> FunctionCall:
    return FunctionCall(id=f"item-{call_id}", name=name, arguments=arguments, call_id=call_id)


def output(text: str, call_id: str = "c", *, success: bool = True) -> FunctionCallOutput:
    return FunctionCallOutput(id="out", call_id=call_id, output=text, success=success)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def test_a_call_starts_when_its_end_is_in_the_log_and_the_runs_end_stops_the_worker(
    run: Run,
) -> None:
    tool = Doing("ls", "read", well)
    item = call("ls", arguments='{"path": "src"}')
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker_of(run, Registry([tool])).run(run.request()))
        await run.add(started(run.id))
        await run.add(ItemStart(item_id=item.id, item_type="function_call", name="ls"))
        await run.add(ItemDelta(item_id=item.id, delta_content=item.arguments))
        await run.add(ItemDone(item_id=item.id, final_item=item))
        assert await run.until_outputs(1) == [output("ok")]
        await run.end()
    assert tool.calls == ["src"]


async def test_calls_that_only_read_overlap(run: Run) -> None:
    gate = Gate()
    await run.begin(*(call("ls", f"c{n}") for n in range(5)))
    async with asyncio.TaskGroup() as tasks:
        registry = Registry([Doing("ls", "read", gate)])
        tasks.create_task(worker_of(run, registry).run(run.request()))
        await until(lambda: gate.inside == 5)
        gate.open.set()
        found = await run.until_outputs(5)
        await run.end()
    expected = [output(f"c{n}", f"c{n}") for n in range(5)]
    assert sorted(found, key=str) == sorted(expected, key=str)


async def test_calls_that_write_run_one_after_the_other_in_their_order(run: Run) -> None:
    gate, reading = Gate(), Gate()
    write, execute = Doing("write", "write", gate), Doing("run", "execute", gate)
    read = Doing("ls", "read", reading)
    kinds = ["write", "run", "write", "run"]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker_of(run, Registry([write, execute, read])).run(run.request()))
        await run.begin(*(call(name, f"c{n}") for n, name in enumerate(kinds)), call("ls", "r"))
        await until(lambda: gate.inside == 1 and reading.inside == 1)
        gate.open.set()
        found = await run.until_outputs(4)
        reading.open.set()
        await run.until_outputs(5)
        await run.end()
    assert found == [output(f"c{n}", f"c{n}") for n in range(4)]
    assert gate.most == 1


async def test_live_output_streams_as_deltas_of_the_output_item(run: Run) -> None:
    gate = Gate()

    async def talk(context: ToolContext) -> ToolResult:
        await context.emit("one ")
        await context.emit("two")
        await gate(context)
        return ToolResult("one two!")

    async with asyncio.TaskGroup() as tasks:
        registry = Registry([Doing("sh", "execute", talk)])
        tasks.create_task(worker_of(run, registry).run(run.request()))
        await run.begin(call("sh"))
        await until(lambda: gate.inside == 1)
        while len(entries := await run.entries()) < 6:
            await asyncio.sleep(0.001)
        gate.open.set()
        await run.until_outputs(1)
        await run.end()
    streamed = [entry.event.payload for entry in entries[3:]]
    assert isinstance(streamed[0], ItemStart)
    item_id = streamed[0].item_id
    assert streamed == [
        ItemStart(
            item_id=item_id,
            item_type="function_call_output",
            call_id="c",
            origin="system",
        ),
        ItemDelta(item_id=item_id, delta_content="one "),
        ItemDelta(item_id=item_id, delta_content="two"),
    ]
    assert await run.outputs() == [output("one two!")]
    of_call = entries[2].event.trace_context
    assert {entry.event.trace_context for entry in (await run.entries())[3:7]} == {of_call}


async def test_whatever_goes_wrong_in_a_call_is_told_to_the_model(run: Run) -> None:
    async def refuse(context: ToolContext) -> ToolResult:
        raise ToolError("no such file")

    async def crash(context: ToolContext) -> ToolResult:
        raise RuntimeError("boom")

    async def hang(context: ToolContext) -> ToolResult:
        await asyncio.Event().wait()
        return ToolResult("")

    acts = {"refuse": refuse, "crash": crash, "hang": hang}
    registry = Registry([Doing(name, "read", act) for name, act in acts.items()], timeout=0.01)
    calls = [call(name, name) for name in ("refuse", "crash", "hang", "nothing")]
    await run.begin(*calls, call("hang", "json", '{"path": 1'))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker_of(run, registry).run(run.request()))
        found = await run.until_outputs(5)
        await run.end()
    outputs = {item.call_id: item for item in found if isinstance(item, FunctionCallOutput)}
    json = outputs.pop("json")
    assert not json.success
    assert json.output.startswith("The arguments of hang are not valid: arguments: Invalid JSON")
    text = {
        "refuse": "no such file",
        "crash": "crash failed: RuntimeError: boom",
        "hang": "hang was stopped after 0.01 s.",
        "nothing": "There is no tool named 'nothing'. Available tools: crash, hang, refuse.",
    }
    assert outputs == {key: output(value, key, success=False) for key, value in text.items()}


async def test_an_abort_cancels_what_runs_and_closes_its_items(run: Run) -> None:
    gate = Gate()
    read, write = Doing("ls", "read", gate), Doing("write", "write", gate)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker_of(run, Registry([read, write])).run(run.request()))
        await run.begin(call("ls", "c1"), call("write", "c2"), call("write", "c3"))
        await until(lambda: gate.inside == 2)
        await run.add(TurnAbortedByUser(turn_id=TURN, reason="stop"))
        found = await run.until_outputs(2)
        assert gate.inside == 0
        await run.end()
    expected = [Cancelled(id="out", origin="system", reason="stopped")] * 2
    assert [item.model_copy(update={"partial": None}) for item in found] == expected
    assert len(write.calls) == 1


async def test_a_call_that_comes_after_the_abort_is_not_made(run: Run) -> None:
    tool = Doing("write", "write", well)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker_of(run, Registry([tool])).run(run.request()))
        await run.begin(call("write", "before"))
        await run.until_outputs(1)
        await run.add(TurnAbortedByUser(turn_id=TURN, reason="stop"))
        await run.call(call("write", "after"))
        await run.end()
    assert await run.outputs() == [output("ok", "before")]
    assert len(tool.calls) == 1


async def test_a_second_abort_does_not_disturb_a_tool_that_is_cleaning_up(run: Run) -> None:
    cleaning, finish, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def careful(context: ToolContext) -> ToolResult:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await finish.wait()
            cleaned.set()
        return ToolResult("")

    abort = TurnAbortedByUser(turn_id=TURN, reason="stop")
    tool, marker = Doing("sh", "execute", careful), Doing("ls", "read", well)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker_of(run, Registry([tool, marker])).run(run.request()))
        await run.begin(call("sh"))
        await until(lambda: len(tool.calls) == 1)
        await run.add(abort)
        await cleaning.wait()
        await run.add(abort)
        await asyncio.sleep(0)
        finish.set()
        found = await run.until_outputs(1)
        await run.end()
    assert cleaned.is_set()
    assert isinstance(found[0], Cancelled)


async def test_the_end_of_the_run_cancels_what_runs(run: Run) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as tasks:
        registry = Registry([Doing("ls", "read", gate)])
        worker = tasks.create_task(worker_of(run, registry).run(run.request()))
        await run.begin(call("ls"))
        await until(lambda: gate.inside == 1)
        await run.end()
        await worker
    assert gate.inside == 0
    assert await run.outputs() == []


async def test_a_replay_makes_no_call_twice(run: Run) -> None:
    tool = Doing("write", "write", well)
    worker = worker_of(run, Registry([tool]))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(worker.run(run.request()))
        await run.begin(call("write", "c1", '{"path": "1"}'))
        await run.until_outputs(1)
        first.cancel()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run(run.request()))
        await run.call(call("write", "c2", '{"path": "2"}'))
        await run.until_outputs(2)
        await run.end()
    await worker.run(run.request("ask"))
    assert tool.calls == ["1", "2"]
    assert await run.outputs() == [output("ok", "c1"), output("ok", "c2")]


async def test_a_worker_that_comes_late_makes_the_calls_that_are_open(run: Run) -> None:
    tool = Doing("ls", "read", well)
    await run.begin(call("ls", "c1"), call("ls", "c2"))
    start = ItemStart(item_id="o1", item_type="function_call_output", call_id="c1")
    done = output("made by another", "c1").model_copy(update={"id": "o1"})
    await run.add(start, ItemDone(item_id="o1", final_item=done))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker_of(run, Registry([tool])).run(run.request()))
        await run.until_outputs(2)
        await run.end()
    assert await run.outputs() == [output("made by another", "c1"), output("ok", "c2")]


async def test_of_a_run_that_was_aborted_or_has_ended_no_call_is_made(run: Run) -> None:
    tool = Doing("ls", "read", well)
    await run.begin(call("ls"))
    await run.add(TurnAbortedByUser(turn_id=TURN, reason="stop"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker_of(run, Registry([tool])).run(run.request()))
        await run.call(call("ls", "late"))
        await run.end()
    await worker_of(run, Registry([tool])).run(run.request())
    assert tool.calls == []
