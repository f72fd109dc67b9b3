"""One run as blocks: the prompt, what came of it, and how it ended.

Blocks are kept from snapshot to snapshot under the item they show, so that each renders only what
is new to it.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Final, TypeAlias

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

from cody_tui.messages import Snapshot, Span
from cody_tui.widgets.blocks import (
    Block,
    CallBlock,
    CallState,
    MessageBlock,
    OutcomeBlock,
    PromptBlock,
    ScriptBlock,
    TextBlock,
    call_text,
)

_Output: TypeAlias = FunctionCallOutput | ScriptExecutionOutput

_TIGHT: Final = (ScriptBlock, CallBlock, OutcomeBlock)
"""What stands without an empty line beneath each other."""
FAILED: Final = "✗"
STOPPED: Final = "■ stopped"


class RunBlocks:
    """The blocks of one run, brought up to date by every snapshot."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._prompts: dict[str, PromptBlock] = {}
        self._messages: dict[str, MessageBlock] = {}
        self._calls: dict[str, CallBlock] = {}
        self._scripts: dict[str, ScriptBlock] = {}
        self._outcomes: dict[str, OutcomeBlock] = {}
        self._made: dict[str, list[FunctionCall]] = {}
        self._texts: dict[str, TextBlock] = {}
        self._thinking: dict[str, Span] = {}

    def show(self, snapshot: Snapshot) -> None:
        """Show a newer snapshot of the run."""
        response = snapshot.response
        outputs = _outputs(response)
        self._thinking.clear()
        blocks: list[Block] = [
            self._prompts.setdefault(item.id, PromptBlock(item.content))
            for item in response.input_items
            if isinstance(item, Message)
        ]
        self._made = _made_by_scripts(response)
        for item in response.output_items:
            if item.correlation_id not in self._made:
                blocks.extend(self._item(item, snapshot, outputs))
        blocks.extend(self._call(key, "output", snapshot, out) for key, out in outputs.items())
        blocks.extend(self._end(response))
        for above, block in pairwise(blocks):
            block.gap = not (isinstance(above, _TIGHT) and isinstance(block, _TIGHT[1:]))
        self.blocks = blocks

    def tick(self) -> bool:
        """Let time pass for what shows it; tell whether anything does."""
        for item_id, span in self._thinking.items():
            self._text(item_id, f"Thinking… {_seconds(span)} s", "faint")
        return bool(self._thinking)

    def _item(self, item: Item, snapshot: Snapshot, outputs: dict[str, _Output]) -> list[Block]:
        match item:
            case Message(id=item_id, content=text):
                message = self._messages.setdefault(item_id, MessageBlock())
                message.update(text, live=item_id in snapshot.open_items)
                return [message]
            case Reasoning():
                return [self._reasoning(item, snapshot)]
            case FunctionCall(name=name, arguments=arguments, call_id=key):
                call = call_text(name, arguments)
                return [self._call(key, call, snapshot, outputs.pop(key, None))]
            case ScriptExecution():
                return self._script(item, snapshot, outputs)
            case FunctionCallOutput() | ScriptExecutionOutput():
                return []  # shown with its call
            case Cancelled(partial=partial):
                return [] if partial is None else self._item(partial, snapshot, outputs)
            case ErrorItem(id=item_id, partial=partial, message=why):
                shown = [] if partial is None else self._item(partial, snapshot, outputs)
                return [*shown, self._text(f"{item_id}/error", f"{FAILED} {why}", "error")]

    def _reasoning(self, item: Reasoning, snapshot: Snapshot) -> TextBlock:
        span = snapshot.span(item.id)
        if item.id not in snapshot.open_items:
            seconds = 0 if span is None else _seconds(span)
            after = f" for {seconds} s" if seconds else ""
            return self._text(item.id, f"Thought{after}", "faint")
        if span is None:
            return self._text(item.id, "Thinking…", "faint")
        self._thinking[item.id] = span
        return self._text(item.id, f"Thinking… {_seconds(span)} s", "faint")

    def _call(
        self,
        key: str,
        call: str,
        snapshot: Snapshot,
        output: _Output | None,
        *,
        inset: bool = False,
    ) -> CallBlock:
        block = self._calls.setdefault(key, CallBlock(inset=inset))
        block.update(call, _text_of(output), _state(output, snapshot))
        return block

    def _script(
        self, script: ScriptExecution, snapshot: Snapshot, outputs: dict[str, _Output]
    ) -> list[Block]:
        """Return a script, the calls it made beneath it, and what came of it."""
        output = outputs.pop(script.id, None)
        block = self._scripts.setdefault(script.id, ScriptBlock())
        block.update(script.code, _state(output, snapshot))
        calls: list[Block] = [
            self._call(
                call.call_id,
                call_text(call.name, call.arguments),
                snapshot,
                outputs.pop(call.call_id, None),
                inset=True,
            )
            for call in self._made.get(script.id, ())
        ]
        if not isinstance(output, ScriptExecutionOutput):
            return [block, *calls]
        outcome = self._outcomes.setdefault(script.id, OutcomeBlock())
        is_open = output.id in snapshot.open_items
        said = "" if is_open else output.error or output.result
        outcome.update(output.logs or "", said, success=output.success)
        return [block, *calls, outcome]

    def _end(self, response: Response) -> list[Block]:
        if response.status == "aborted":
            return [self._text("end", STOPPED, "muted")]
        error, last = response.error, response.output_items[-1:]
        if error is None or any(
            isinstance(item, ErrorItem) and item.message == error.message for item in last
        ):
            return []  # or the item that failed has said it
        return [self._text("end", f"{FAILED} {error.message}", "error")]

    def _text(self, key: str, text: str, style: str) -> TextBlock:
        block = self._texts.setdefault(key, TextBlock())
        block.update(text, style)
        return block


def _outputs(response: Response) -> dict[str, _Output]:
    """Return outputs under what they are the output of, also those that did not get finished."""
    outputs: dict[str, _Output] = {}
    for item in response.output_items:
        shown = item.partial if isinstance(item, Cancelled | ErrorItem) else item
        if isinstance(shown, FunctionCallOutput):
            outputs[shown.call_id] = shown
        elif isinstance(shown, ScriptExecutionOutput):
            outputs[shown.script_id] = shown
    return outputs


def _made_by_scripts(response: Response) -> dict[str, list[FunctionCall]]:
    """Return the calls of each script, under its id."""
    made: dict[str, list[FunctionCall]] = {}
    for item in response.output_items:
        shown = item.partial if isinstance(item, Cancelled | ErrorItem) else item
        if isinstance(shown, ScriptExecution):
            made[item.id] = []
        elif isinstance(shown, FunctionCall) and item.correlation_id in made:
            made[item.correlation_id].append(shown)
    return made


def _state(output: _Output | None, snapshot: Snapshot) -> CallState:
    if output is not None and output.id not in snapshot.open_items:
        return "done" if output.success else "failed"
    return "ended" if snapshot.response.is_terminal else "running"


def _text_of(output: _Output | None) -> str:
    match output:
        case FunctionCallOutput(output=text):
            return text
        case ScriptExecutionOutput(result=result, error=error):
            return error or result
        case None:
            return ""


def _seconds(span: Span) -> int:
    end = time.time() * 1000 if span.end is None else span.end
    return max(0, round((end - span.start) / 1000))
