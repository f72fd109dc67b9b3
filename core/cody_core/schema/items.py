"""Items: the blocks a response is made of, discriminated by ``type``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from cody_core.schema.base import JsonObject, NonEmpty, Omittable, Shape

Origin: TypeAlias = Literal["user", "agent", "system"]
ItemType: TypeAlias = Literal[
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "script_execution",
    "script_execution_output",
    "cancelled",
    "error",
]


class ProviderData(Shape):
    """Opaque data that must go back to the provider it came from, untouched, and to no other.

    Anthropic's thinking signatures and OpenAI's encrypted reasoning travel here.
    """

    provider_id: NonEmpty
    data: JsonObject


class BaseItem(Shape):
    """What every item carries."""

    id: NonEmpty
    origin: Origin = "agent"
    correlation_id: Omittable[str] = None
    """The item this one belongs to: the script of a call made by a script, for example."""
    provider_data: Omittable[ProviderData] = None
    step: Omittable[int] = None
    """Which request to the model, counted from 0 within the run, the item came from."""


class Message(BaseItem):
    """Text, from whoever ``origin`` says."""

    type: Literal["message"] = "message"
    content: str


class Reasoning(BaseItem):
    """The model's thinking, or the summary of it that the provider shows."""

    type: Literal["reasoning"] = "reasoning"
    content: str


class FunctionCall(BaseItem):
    """A call the model wants made; ``arguments`` is JSON text as the model wrote it."""

    type: Literal["function_call"] = "function_call"
    name: str
    arguments: str
    call_id: NonEmpty


class FunctionCallOutput(BaseItem):
    """What came of the call with the same ``call_id``."""

    type: Literal["function_call_output"] = "function_call_output"
    origin: Origin = "system"
    call_id: NonEmpty
    output: str
    success: bool


class ScriptExecution(BaseItem):
    """A script the model wants run.

    ``unclosed`` marks one whose end never came: it is not run, and its output says so.
    """

    type: Literal["script_execution"] = "script_execution"
    code: str
    unclosed: Omittable[Literal[True]] = None


class ScriptExecutionOutput(BaseItem):
    """What came of the script whose item id is ``script_id``; ``result`` is JSON text.

    ``logs`` are the lines it wrote to its console, joined: what streams while it runs.
    """

    type: Literal["script_execution_output"] = "script_execution_output"
    origin: Origin = "system"
    script_id: NonEmpty
    result: str
    success: bool
    error: Omittable[str] = None
    logs: Omittable[str] = None


Partial: TypeAlias = Annotated[
    Message
    | Reasoning
    | FunctionCall
    | FunctionCallOutput
    | ScriptExecution
    | ScriptExecutionOutput,
    Field(discriminator="type"),
]
"""An item as far as it had been streamed."""


class Cancelled(BaseItem):
    """An item that was still open when its run was aborted; ``partial`` keeps what was streamed."""

    type: Literal["cancelled"] = "cancelled"
    reason: Omittable[str] = None
    partial: Omittable[Partial] = None


class ErrorItem(BaseItem):
    """An item that failed; ``partial`` keeps what was streamed."""

    type: Literal["error"] = "error"
    code: NonEmpty
    message: str
    details: Omittable[JsonObject] = None
    partial: Omittable[Partial] = None


Item: TypeAlias = Annotated[
    Message
    | Reasoning
    | FunctionCall
    | FunctionCallOutput
    | ScriptExecution
    | ScriptExecutionOutput
    | Cancelled
    | ErrorItem,
    Field(discriminator="type"),
]

ITEM: TypeAdapter[Item] = TypeAdapter(Item)
"""Validates one item of any type."""


def text_of(item: Item) -> str:
    """Return the text an item streams: its content, arguments, code, output or logs.

    Of a cancelled or failed item that is what had been streamed.
    """
    match item:
        case Message(content=text) | Reasoning(content=text):
            return text
        case FunctionCall(arguments=text) | ScriptExecution(code=text):
            return text
        case FunctionCallOutput(output=text):
            return text
        case ScriptExecutionOutput(logs=logs):
            return logs or ""
        case Cancelled(partial=partial) | ErrorItem(partial=partial):
            return "" if partial is None else text_of(partial)


def script_report(output: ScriptExecutionOutput) -> str:
    """Return what a model is told of a script: its error or its result, and what it logged."""
    said = output.error if output.error else output.result
    logs = f"\n\nConsole:\n{output.logs.rstrip()}" if output.logs else ""
    return f"{said}{logs}"
