"""What a model is sent of a thread: canonical items of earlier turns and of the run so far.

Pure functions. They keep what every provider's API demands: each call is followed by exactly one
output, no output stands without its call, and what is cut off is cut off between turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.response import Response

BYTES_PER_TOKEN = 4
"""A rule of thumb for prose and code; scripts with longer characters have more tokens too."""

UNANSWERED = "The call was interrupted before it had an output."


def conversation(
    earlier: Sequence[Response], current: Response, *, budget: int | None = None
) -> tuple[Item, ...]:
    """Return the items of a request: earlier turns, oldest first, then the current run so far.

    ``budget`` is in tokens, by estimate. Where the turns do not fit it, the oldest are left out;
    the current run always stays. Of several runs of one turn only the last counts.
    """
    own = [*current.input_items, *settled(current.output_items)]
    turns = [
        [*response.input_items, *settled(response.output_items)]
        for response in _last_of_each_turn(earlier, current.turn_id)
    ]
    if budget is not None:
        turns = _newest_that_fit(turns, budget - estimate_tokens(own))
    return tuple(item for turn in turns for item in turn) + tuple(own)


def settled(items: Iterable[Item]) -> list[Item]:
    """Return the items a model may see, every call with exactly one output right behind its group.

    Failed items are left out, of cancelled ones the text remains. Reasoning stays only in front of
    what it led to, because that is the only place where providers take it back. Calls that a script
    made are the script's own affair: its output says what they came to.
    """
    items = list(items)
    scripts = {item.id for item in items if isinstance(item, ScriptExecution)}
    own = [item for item in items if item.correlation_id not in scripts]
    visible = [shown for item in own if (shown := _visible(item)) is not None]
    outputs = {key: item for item in reversed(visible) if (key := _answers(item))}
    calls = [item for item in visible if not _answers(item)]
    return list(_paired(_without_idle_reasoning(calls), outputs))


def estimate_tokens(items: Iterable[Item]) -> int:
    """Estimate the tokens of items from the length of their JSON."""
    return sum(len(item.model_dump_json().encode()) for item in items) // BYTES_PER_TOKEN


def _last_of_each_turn(responses: Sequence[Response], current: str) -> list[Response]:
    last = {response.turn_id: response for response in responses}
    last.pop(current, None)
    return list(last.values())


def _newest_that_fit(turns: list[list[Item]], budget: int) -> list[list[Item]]:
    kept = len(turns)
    while kept and (cost := estimate_tokens(turns[kept - 1])) <= budget:
        budget -= cost
        kept -= 1
    return turns[kept:]


def _visible(item: Item) -> Item | None:
    match item:
        case Cancelled(partial=Message() as partial) if partial.content.strip():
            return partial.model_copy(update={"id": item.id})
        case Cancelled(partial=FunctionCallOutput() as partial):
            so_far = f"{partial.output}\n" if partial.output else ""
            output = f"{so_far}[interrupted: {item.reason or 'cancelled'}]"
            return partial.model_copy(update={"output": output, "success": False})
        case Cancelled(partial=ScriptExecutionOutput() as partial):
            error = f"[interrupted: {item.reason or 'cancelled'}]"
            return partial.model_copy(update={"error": error, "success": False})
        case Cancelled() | ErrorItem():
            return None
        case _:
            return item


def _calls(item: Item) -> str | None:
    """Return the key by which an item's output will name it."""
    match item:
        case FunctionCall():
            return f"call:{item.call_id}"
        case ScriptExecution():
            return f"script:{item.id}"
        case _:
            return None


def _answers(item: Item) -> str | None:
    match item:
        case FunctionCallOutput():
            return f"call:{item.call_id}"
        case ScriptExecutionOutput():
            return f"script:{item.script_id}"
        case _:
            return None


def _without_idle_reasoning(items: list[Item]) -> list[Item]:
    """Leave out reasoning that nothing of the model's follows."""
    kept: list[Item] = []
    follower: Item | None = None
    for item in reversed(items):
        if not isinstance(item, Reasoning):
            follower = item
        elif follower is None or follower.origin != "agent" or follower.step != item.step:
            continue
        kept.append(item)
    return kept[::-1]


def _paired(items: list[Item], outputs: dict[str, Item]) -> Iterable[Item]:
    """Put the outputs of a group of calls right behind the group, in the order of the calls."""
    waiting: list[Item] = []
    step: int | None = None
    for item in items:
        same_group = _calls(item) is not None if item.step is None else item.step == step
        if waiting and not same_group:
            yield from waiting
            waiting = []
        yield item
        step = item.step
        if key := _calls(item):
            waiting.append(outputs.get(key) or _unanswered(item))
    yield from waiting


def _unanswered(call: Item) -> Item:
    if isinstance(call, FunctionCall):
        output_id = f"{call.id}-output"
        return FunctionCallOutput(
            id=output_id, call_id=call.call_id, output=UNANSWERED, success=False
        )
    return ScriptExecutionOutput(
        id=f"{call.id}-output",
        script_id=call.id,
        result="null",
        success=False,
        error=UNANSWERED,
    )
