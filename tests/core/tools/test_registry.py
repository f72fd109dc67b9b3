from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from cody_core.errors import ToolError
from cody_core.schema.items import FunctionCall
from cody_core.schema.requests import ToolSpec
from cody_core.tools import BaseTool, ToolContext, ToolKind, ToolResult
from cody_core.tools.registry import Registry
from pydantic import BaseModel, ConfigDict, Field


class Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str = "."
    depth: Annotated[int, Field(ge=0)] = 0


class Listing(BaseTool):
    """A tool that does what the test says."""

    name = "list"
    description = "List files."
    kind: ToolKind = "write"
    arguments: type[BaseModel] = Arguments

    def __init__(self, act: Callable[[Arguments, ToolContext], Awaitable[ToolResult]]) -> None:
        self._act = act

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        return await self._act(arguments, context)


async def show(arguments: Arguments, context: ToolContext) -> ToolResult:
    return ToolResult(f"{arguments.path} {arguments.depth} {context.call_id}")


async def make(
    arguments: str = "{}", *, tool: Listing | None = None, name: str = "list", seconds: float = 60
) -> ToolResult:
    async def emit(text: str) -> None:
        raise AssertionError(text)

    call = FunctionCall(id="i", name=name, arguments=arguments, call_id="c")
    context = ToolContext(run_id="r", call_id="c", emit=emit)
    return await Registry([tool or Listing(show)], timeout=seconds).call(call, context)


def raising(error: BaseException) -> Listing:
    async def act(arguments: Arguments, context: ToolContext) -> ToolResult:
        raise error

    return Listing(act)


def test_a_model_is_told_what_tools_there_are() -> None:
    assert Registry([Listing(show)]).specs == (
        ToolSpec(name="list", description="List files.", parameters=Arguments.model_json_schema()),
    )
    assert Registry().specs == ()


def test_a_tool_that_does_not_exist_does_no_harm() -> None:
    registry = Registry([Listing(show)])
    assert (registry.kind("list"), registry.kind("nothing")) == ("write", "read")


@pytest.mark.parametrize(
    ("arguments", "output"),
    [('{"path": "a", "depth": 2}', "a 2 c"), ("{}", ". 0 c"), ("", ". 0 c"), (" \n", ". 0 c")],
)
async def test_a_tool_gets_its_arguments_validated(arguments: str, output: str) -> None:
    assert await make(arguments) == ToolResult(output)


async def test_a_tool_that_is_not_there_is_answered_with_those_that_are() -> None:
    text = "There is no tool named 'rm'. Available tools: list."
    assert await make(name="rm") == ToolResult(text, success=False)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"path": 5}', "path: Input should be a valid string"),
        ('{"depth": -1}', "depth: Input should be greater than or equal to 0"),
        ('{"dept": 1}', "dept: Extra inputs are not permitted"),
        ("[]", "arguments: Input should be an object"),
        ('{"path": "a', "arguments: Invalid JSON: EOF while parsing"),
    ],
)
async def test_wrong_arguments_are_named(arguments: str, problem: str) -> None:
    result = await make(arguments)
    assert not result.success
    assert result.output.startswith(f"The arguments of list are not valid: {problem}")


async def test_a_tool_says_itself_why_it_cannot() -> None:
    result = await make(tool=raising(ToolError("there is no file 'a'")))
    assert result == ToolResult("there is no file 'a'", success=False)


async def test_a_tool_that_breaks_is_a_result_and_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    result = await make(tool=raising(RuntimeError("boom")))
    assert result == ToolResult("list failed: RuntimeError: boom", success=False)
    assert [record.message for record in caplog.records] == ["tool 'list' failed"]


async def test_a_tool_that_takes_too_long_is_stopped() -> None:
    stopped = asyncio.Event()

    async def hang(arguments: Arguments, context: ToolContext) -> ToolResult:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ToolResult("")

    result = await make(tool=Listing(hang), seconds=0.01)
    assert result == ToolResult("list was stopped after 0.01 s.", success=False)
    assert stopped.is_set()


async def test_a_time_limit_of_the_tools_own_is_not_taken_for_ours() -> None:
    result = await make(tool=raising(TimeoutError("no answer from the server")))
    text = "list failed: TimeoutError: no answer from the server"
    assert result == ToolResult(text, success=False)


async def test_what_a_tool_cannot_read_is_not_taken_for_its_arguments() -> None:
    async def read(arguments: Arguments, context: ToolContext) -> ToolResult:
        return ToolResult(str(Arguments.model_validate_json("[]")))

    result = await make(tool=Listing(read))
    assert not result.success
    assert result.output.startswith("list failed: ValidationError: 1 validation error")


async def test_cancelling_a_call_is_no_failure_of_its_tool() -> None:
    with pytest.raises(asyncio.CancelledError):
        await make(tool=raising(asyncio.CancelledError()))
