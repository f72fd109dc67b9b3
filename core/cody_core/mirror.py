"""One run as the log has it, for who acts on the run and must know what others appended to it.

In a process, all who work on a run share one: the log is read once, and reduced once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TypeAlias

from cody_core.errors import EventLogError
from cody_core.eventlog import EventLog
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import (
    START,
    Entry,
    ItemCancelled,
    ItemDelta,
    ItemDone,
    ItemError,
    ItemStart,
    TurnAbortedByUser,
    offset_key,
)
from cody_core.schema.items import FunctionCallOutput, ScriptExecutionOutput
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

OUTPUTS = ("function_call_output", "script_execution_output")

Take: TypeAlias = Callable[[Sequence[Entry]], None]
"""What is done with entries that were read. It must be quick: the next are waiting."""


class Mirror:
    """A reducer that follows the log.

    Attributes:
        reducer: The run so far.
        answered: The ids of the calls and the scripts that have an output, or will never have one.
        abort_reason: Why somebody asked for the end of the turn, if somebody did.
        over: Set when ``follow`` has come to the end of the run, or cannot go on.
    """

    def __init__(self, log: EventLog, run_id: str) -> None:
        self.run_id = run_id
        self.reducer = ResponseReducer()
        self.answered: set[str] = set()
        self.abort_reason: str | None = None
        self.over = asyncio.Event()
        self._log = log
        self._key = offset_key(START)
        self._outputs: dict[str, str] = {}
        self._told: list[Take] = []
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._error: EventLogError | None = None

    @property
    def open_outputs(self) -> bool:
        """Tell whether a tool is still writing."""
        return bool(self._outputs)

    @property
    def asked(self) -> frozenset[str]:
        """The ids of the questions that nobody has answered yet."""
        return frozenset(question.approval_id for question in self.reducer.approvals)

    @contextmanager
    def told(self, take: Take) -> Iterator[None]:
        """Let somebody else have what is read, too, while the block runs."""
        self._told.append(take)
        try:
            yield
        finally:
            self._told.remove(take)

    async def follow(self) -> None:
        """Keep up with the log until its end. If the log is gone, whoever waits is told."""
        try:
            async with aclosing(self._log.read(self.run_id, after=self._position)) as batches:
                async for batch in batches:
                    self._take(batch)
        except EventLogError as error:
            logger.error("run %s cannot be read to its end: %s", self.run_id, error)
            self._error = error
        finally:
            self.over.set()
            self._wake()

    async def catch_up(self) -> None:
        """Read what is in the log by now; somebody may be following it meanwhile.

        Raises:
            EventLogUnavailable: the log is gone.
        """
        async for batch in self._log.read(self.run_id, after=self._position, follow=False):
            self._take(batch)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that somebody's ``follow`` reads makes the condition true.

        Raises:
            EventLogUnavailable: the log is gone, and nothing will be read any more.
        """
        if condition():
            return
        if self._error is not None:
            raise self._error
        woken = asyncio.get_running_loop().create_future()
        self._waiting[woken] = condition
        try:
            await woken
        finally:
            del self._waiting[woken]

    async def reached(self, offset: str) -> None:
        """Wait until what is at that offset has been read."""
        key = offset_key(offset)
        await self.until(lambda: self._key >= key)

    @property
    def _position(self) -> str:
        return self.reducer.last_offset or START

    def _take(self, batch: Sequence[Entry]) -> None:
        if batch[0].key <= self._key:  # by another reader: who catches up runs beside who follows
            batch = [entry for entry in batch if entry.key > self._key]
            if not batch:
                return
        self._key = batch[-1].key
        self.reducer.feed(batch)
        for entry in batch:
            self._note(entry)
        for take in tuple(self._told):
            try:
                take(batch)
            except Exception:  # one of them must not keep the others from what comes
                logger.exception("what run %s has come to is not taken", self.run_id)
        self._wake()

    def _wake(self) -> None:
        for woken, condition in self._waiting.items():
            if woken.done():
                continue
            if condition():
                woken.set_result(None)
            elif self._error is not None:
                woken.set_exception(self._error)

    def _note(self, entry: Entry) -> None:
        payload = entry.payload
        if isinstance(payload, ItemDelta):
            return
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


@asynccontextmanager
async def following(log: EventLog, run_id: str) -> AsyncIterator[Mirror]:
    """Follow a run while the block runs. What it reads first comes after the block has begun."""
    mirror = Mirror(log, run_id)
    async with task_group() as tasks:
        reading = tasks.create_task(mirror.follow())
        try:
            yield mirror
        finally:
            reading.cancel()
