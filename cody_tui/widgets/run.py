"""One run as blocks: the prompt, what came of it, and how it ended.

Blocks are kept from snapshot to snapshot under the item they show, so that each renders only what
is new to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Final, TypeAlias, TypeVar

from cody_core.schema.events import ApprovalRequested
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

from cody_tui.endings import NOTES
from cody_tui.messages import Snapshot, Span
from cody_tui.widgets.blocks import Block, EndBlock, MessageBlock, PromptBlock, TextBlock
from cody_tui.widgets.call import CallBlock, CallState, Made
from cody_tui.widgets.reasoning import ReasoningBlock
from cody_tui.widgets.script import OutcomeBlock, ScriptBlock

_B = TypeVar("_B", bound=Block)
_Output: TypeAlias = FunctionCallOutput | ScriptExecutionOutput

_TIGHT: Final = (ScriptBlock, CallBlock, OutcomeBlock)
"""What stands without an empty line beneath each other."""
FAILED: Final = "✗"
STOPPED: Final = "■ stopped"


class RunBlocks:
    """The blocks of one run, brought up to date by every snapshot."""

    def __init__(self, answers: int = 1) -> None:
        """Show a run that is the first answer to its turn, or a later one."""
        self.blocks: list[Block] = []
        self._answers = answers
        self._prompts: dict[str, PromptBlock] = {}
        self._messages: dict[str, MessageBlock] = {}
        self._thoughts: dict[str, ReasoningBlock] = {}
        self._calls: dict[str, CallBlock] = {}
        self._scripts: dict[str, ScriptBlock] = {}
        self._outcomes: dict[str, OutcomeBlock] = {}
        self._made: dict[str, list[FunctionCall]] = {}
        self._texts: dict[str, TextBlock] = {}
        self._asked: Mapping[str, ApprovalRequested] = {}
        self._items: Sequence[Item] = ()
        self._ending: EndBlock | None = None
        self._is_last = True

    def show(self, snapshot: Snapshot) -> None:
        """Show a newer snapshot of the run."""
        response = snapshot.response
        outputs = _outputs(response)
        self._items = response.output_items
        self._asked = {question.call_id: question for question in snapshot.approvals}
        blocks = self._beginning(response)
        self._made = _made_by_scripts(response)
        for item in response.output_items:
            if item.correlation_id not in self._made:
                blocks.extend(self._item(item, snapshot, outputs))
        blocks.extend(
            self._call(key, ("output", ""), snapshot, out) for key, out in outputs.items()
        )
        blocks.extend(self._end(response))
        for above, block in pairwise(blocks):
            is_offer = isinstance(block, EndBlock) and not block.source
            block.gap = not (
                is_offer or (isinstance(above, _TIGHT) and isinstance(block, _TIGHT[1:]))
            )
        self.blocks = blocks

    def _beginning(self, response: Response) -> list[Block]:
        """Return the prompt, or that it is the one above which is answered anew."""
        if self._answers > 1:
            note = f"Answer {self._answers} to the prompt above: only the last one counts"
            return [self._text("again", note, "muted")]
        return [
            _kept(self._prompts, item.id, partial(PromptBlock, item.content))
            for item in response.input_items
            if isinstance(item, Message)
        ]

    def block_of(self, item_id: str) -> Block | None:
        """Return the block that shows an item, if one does."""
        for table in (self._prompts, self._messages, self._thoughts, self._scripts, self._texts):
            if (block := table.get(item_id)) is not None:
                return block
        for item in self._items:
            if item.id == item_id:
                shown = item.partial if isinstance(item, Cancelled | ErrorItem) else item
                if isinstance(shown, FunctionCall | FunctionCallOutput):
                    return self._calls.get(shown.call_id)
                if isinstance(shown, ScriptExecutionOutput):
                    return self._outcomes.get(shown.script_id)
        return None

    def supersede(self) -> None:
        """Offer no retry any more: another run has begun."""
        self._is_last = False
        if self._ending is not None:
            self._ending.supersede()
            self.blocks = [
                block for block in self.blocks if block is not self._ending or block.source
            ]

    def tick(self) -> bool:
        """Let time pass for what shows it; tell whether anything does."""
        ticking = [block.tick() for block in self.blocks]
        return any(ticking)

    def _item(self, item: Item, snapshot: Snapshot, outputs: dict[str, _Output]) -> list[Block]:
        match item:
            case Message(id=item_id, content=text):
                message = _kept(self._messages, item_id, MessageBlock)
                message.update(text, live=item_id in snapshot.open_items)
                return [message]
            case Reasoning(id=item_id, content=text):
                thought = _kept(self._thoughts, item_id, ReasoningBlock)
                is_live = item_id in snapshot.open_items
                thought.update(text, snapshot.span(item_id), live=is_live)
                return [thought]
            case FunctionCall(name=name, arguments=text, call_id=key):
                return [self._call(key, (name, text), snapshot, outputs.pop(key, None))]
            case ScriptExecution():
                return self._script(item, snapshot, outputs)
            case FunctionCallOutput() | ScriptExecutionOutput():
                return []  # shown with its call
            case Cancelled(partial=begun):
                return [] if begun is None else self._item(begun, snapshot, outputs)
            case ErrorItem(id=item_id, partial=begun, message=why):
                shown = [] if begun is None else self._item(begun, snapshot, outputs)
                return [*shown, self._text(item_id, f"{FAILED} {why}", "error", "error")]

    def _call(
        self,
        key: str,
        call: tuple[str, str],
        snapshot: Snapshot,
        output: _Output | None,
        *,
        inset: bool = False,
    ) -> CallBlock:
        block = _kept(self._calls, key, partial(CallBlock, inset=inset))
        asked = self._asked.get(key)
        state = _state(output, snapshot)
        block.update(
            Made(
                *call,
                state="asking" if asked is not None and state == "running" else state,
                output=_text_of(output),
                span=_span(output, snapshot),
                preview=asked.preview if asked is not None else None,
            )
        )
        return block

    def _script(
        self, script: ScriptExecution, snapshot: Snapshot, outputs: dict[str, _Output]
    ) -> list[Block]:
        """Return a script, the calls it made beneath it, and what came of it."""
        output = outputs.pop(script.id, None)
        block = _kept(self._scripts, script.id, ScriptBlock)
        block.update(script.code, _state(output, snapshot), _span(output, snapshot))
        calls: list[Block] = [
            self._call(
                call.call_id,
                (call.name, call.arguments),
                snapshot,
                outputs.pop(call.call_id, None),
                inset=True,
            )
            for call in self._made.get(script.id, ())
        ]
        if not isinstance(output, ScriptExecutionOutput):
            return [block, *calls]
        outcome = _kept(self._outcomes, script.id, OutcomeBlock)
        is_open = output.id in snapshot.open_items
        said = "" if is_open else output.error or output.result
        outcome.update(output.logs or "", said, success=output.success)
        return [block, *calls, outcome]

    def _end(self, response: Response) -> list[Block]:
        """Return how a run ended that did not end well."""
        if response.status == "complete" and (note := NOTES.get(response.finish_reason or "")):
            return [self._text("end", f"! {note}", "muted")]
        if response.status not in ("aborted", "error"):
            return []
        if self._ending is None:
            self._ending = EndBlock(response.id)
            if not self._is_last:
                self._ending.supersede()
        end = self._ending
        error, last = response.error, response.output_items[-1:]
        if response.status == "aborted":
            end.update(STOPPED, "muted")
        elif error is not None and not any(
            isinstance(item, ErrorItem) and item.message == error.message for item in last
        ):  # or the item that failed has said it
            end.update(f"{FAILED} {error.message}", "error")
        return [end] if self._is_last or end.source else []

    def _text(self, key: str, text: str, style: str, noun: str = "note") -> TextBlock:
        block = _kept(self._texts, key, partial(TextBlock, noun))
        block.update(text, style)
        return block


def _kept(table: dict[str, _B], key: str, make: Callable[[], _B]) -> _B:
    """Return the block under a key, made if it is the first time."""
    block = table.get(key)
    if block is None:
        block = table[key] = make()
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


def _span(output: _Output | None, snapshot: Snapshot) -> Span | None:
    """Return when a call was made: its output is open all the while."""
    return None if output is None else snapshot.span(output.id)
