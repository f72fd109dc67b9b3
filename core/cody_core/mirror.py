"""One run as the log has it, for who acts on the run and must know what others appended to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

from cody_core.eventlog import EventLog
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import (
    START,
    Entry,
    ItemCancelled,
    ItemDone,
    ItemError,
    ItemStart,
    TurnAbortedByUser,
    offset_key,
)
from cody_core.schema.items import FunctionCallOutput, ScriptExecutionOutput

OUTPUTS = ("function_call_output", "script_execution_output")


class Mirror:
    """A reducer that follows the log.

    Attributes:
        reducer: The run so far.
        answered: The ids of the calls and the scripts that have an output, or will never have one.
        abort_reason: Why somebody asked for the end of the turn, if somebody did.
    """

    def __init__(self, log: EventLog, run_id: str) -> None:
        self.reducer = ResponseReducer()
        self.answered: set[str] = set()
        self.abort_reason: str | None = None
        self._log = log
        self._run_id = run_id
        self._outputs: dict[str, str] = {}
        self._changed = asyncio.Event()

    @property
    def open_outputs(self) -> bool:
        """Tell whether a tool is still writing."""
        return bool(self._outputs)

    @property
    def asked(self) -> frozenset[str]:
        """The ids of the questions that nobody has answered yet."""
        return frozenset(question.approval_id for question in self.reducer.approvals)

    async def follow(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Keep up with the log until its end, or until ``stop`` says so after something was read.

        Raises:
            EventLogUnavailable: the log is gone.
        """
        if stop():
            return
        async with aclosing(self._log.read(self._run_id, after=self._position)) as batches:
            async for batch in batches:
                self._take(batch)
                if stop():
                    return

    async def catch_up(self) -> None:
        """Read what is in the log by now.

        Raises:
            EventLogUnavailable: the log is gone.
        """
        async for batch in self._log.read(self._run_id, after=self._position, follow=False):
            self._take(batch)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that somebody else's ``follow`` reads makes the condition true."""
        while not condition():
            await self._changed.wait()

    async def reached(self, offset: str) -> None:
        """Wait until what is at that offset has been read."""
        key = offset_key(offset)
        await self.until(lambda: offset_key(self._position) >= key)

    @property
    def _position(self) -> str:
        return self.reducer.last_offset or START

    def _take(self, batch: Sequence[Entry]) -> None:
        self.reducer.feed(batch)
        for entry in batch:
            self._note(entry)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _note(self, entry: Entry) -> None:
        payload = entry.payload
        if isinstance(payload, ItemStart) and payload.item_type in OUTPUTS:
            answers = payload.call_id or payload.script_id or payload.item_id
            self._outputs[payload.item_id] = answers
        elif isinstance(payload, ItemDone | ItemError | ItemCancelled):
            if opened := self._outputs.pop(payload.item_id, None):
                self.answered.add(opened)
            if isinstance(payload, ItemDone):
                match payload.final_item:
                    case FunctionCallOutput(call_id=key) | ScriptExecutionOutput(script_id=key):
                        self.answered.add(key)
                    case _:
                        pass
        elif isinstance(payload, TurnAbortedByUser):
            self.abort_reason = payload.reason
