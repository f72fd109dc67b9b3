"""The verification: one prompt through the real pipeline, looked at wherever it passes.

The core is opened as for any session. What its log holds afterwards is read once more, reduced
once more, and compared with what a second connection to the store reads back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Final

from cody_core.errors import CodyError, EventLogError, StoreError, ThreadNotFound
from cody_core.hiding import address
from cody_core.reducer import ResponseReducer, replay
from cody_core.resources import open_store, place_of_store
from cody_core.runtime import Runtime, open_runtime
from cody_core.schema.events import Entry, ItemDelta, offset_key
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response
from cody_core.settings import Settings
from cody_core.stores import Store

logger = logging.getLogger(__name__)

SECONDS: Final = 120.0
"""How long all of it may take."""
KEPT_SECONDS: Final = 60.0
"""How long the log keeps the run at least: it is read twice."""
FORGET_SECONDS: Final = 5.0
"""How long it may take to delete the thread where not all went well, whatever time is left."""
_POLL_SECONDS: Final = 0.01
"""Between two looks at the store: how exact its time is."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way, and how it went.

    Attributes:
        name: Which: ``open``, ``provider``, ``log``, ``reducer``, ``store``, ``read back``, or
            ``clean up``.
        seconds: How long it took.
        text: What was seen there, or why it failed.
        is_passed: Whether all was as it has to be.
    """

    name: str
    seconds: float
    text: str
    is_passed: bool = True


@dataclass(slots=True)
class Passage:
    """What became of the prompt.

    Attributes:
        failed: The stage that failed.
        run_id: The run that answered.
        thread_id: The thread it is in.
        entries: The events of the run, as far as they came.
    """

    failed: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    entries: list[Entry] = field(default_factory=list)

    @property
    def trace_id(self) -> str | None:
        """The trace that the events belong to: 32 hexadecimal digits."""
        if not self.entries:
            return None
        return self.entries[0].event.trace_context.traceparent.split("-")[1]

    @property
    def sequence(self) -> Sequence[str]:
        """The types of the events; the same ones in a row are counted, ``item_delta x12``."""
        rows = groupby(entry.event.type for entry in self.entries)
        counted = [(kind, len(list(row))) for kind, row in rows]
        return [kind if count == 1 else f"{kind} x{count}" for kind, count in counted]


async def verify(
    settings: Settings,
    request: SubmitRequest,
    tell: Callable[[Stage], None],
    *,
    seconds: float = SECONDS,
    keep: bool = False,
) -> Passage:
    """Send a prompt through the pipeline that the settings describe.

    Args:
        settings: Who answers, and where log and store are.
        request: The prompt, of a thread of its own.
        tell: Is given each stage as soon as it is over.
        seconds: How long all of it may take.
        keep: Whether the thread stays in the store.

    Returns:
        What became of it. An error of ours is a stage that failed, and is not raised.
    """
    longer = max(settings.log_ttl, KEPT_SECONDS)
    way = _Way(settings.model_copy(update={"log_ttl": longer}), tell)
    try:
        async with asyncio.timeout(seconds), AsyncExitStack() as stack:
            await way.go(stack, request, keep=keep)
    except _Stopped:
        pass
    except TimeoutError:
        way.late(seconds)
    return way.passage


class _Unexpected(Exception):
    """What was seen is not what has to be."""


class _Stopped(Exception):
    """A stage failed, and has been told."""


class _Way:
    """The stages, one after the other."""

    def __init__(self, settings: Settings, tell: Callable[[Stage], None]) -> None:
        self.passage = Passage()
        self._settings = settings
        self._tell = tell
        self._running = ("open", time.monotonic())
        self._core: Runtime | None = None

    async def go(self, stack: AsyncExitStack, request: SubmitRequest, *, keep: bool) -> None:
        """Open the core, go all the way, and leave the store as it was.

        Raises:
            _Stopped: a stage failed.
        """
        with self._stage("open") as said:
            core = self._core = await stack.enter_async_context(open_runtime(self._settings))
            redis = self._settings.redis_url
            log = address(redis) if redis else "in this process"
            said.append(f"log {log}, store {place_of_store(self._settings)}")
        try:
            await self._pass(core, request)
        except BaseException:
            # Also if there was no time left, or somebody has interrupted it.
            if not keep:
                await self._forget_after_all(core)
            raise
        if not keep:
            with self._stage("clean up") as said:
                await self._forget(core)
                said.append("its thread is deleted")

    def late(self, seconds: float) -> None:
        """Tell of the stage that ran when there was no time left."""
        name, began = self._running
        trouble = self._core.trouble if self._core is not None else None
        text = f"not all of it was done in {seconds:g} s" + (f": {trouble}" if trouble else "")
        self._fail(name, began, text)

    async def _pass(self, core: Runtime, request: SubmitRequest) -> None:
        with self._stage("provider") as said:
            said.append(await self._answered(core, request))
        with self._stage("log") as said:
            said.append(await self._logged(core))
        with self._stage("reducer") as said:
            response = _reduced(self.passage.entries)
            said.append(f"{response.status}, output items: {len(response.output_items)}")
            if response.usage is not None:
                said.append(f"tokens: {response.usage.total_tokens}")
            said.append("the same events once more change nothing")
        await self._kept(response)

    async def _kept(self, response: Response) -> None:
        """Wait for the store to have the run, and read it back."""
        async with AsyncExitStack() as stack:
            with self._stage("store") as said:
                store = await stack.enter_async_context(open_store(self._settings))
                stored = await _ended(store, response.id)
                said.append("a second connection has the run, and its end")
            with self._stage("read back") as said:
                thread = await store.get_thread(response.thread_id)
                _expect(thread is not None, "the run is stored, and its thread is not")
                _expect(stored == response, "the stored response is not what the log reduces to")
                again = ResponseReducer()
                for event in replay(stored):
                    again.apply(event)
                _expect(again.response == stored, "its replay reduces to something else")
                said.append("the same response, and its replay reduces to it")

    async def _answered(self, core: Runtime, request: SubmitRequest) -> str:
        """Submit the prompt, and follow the run to its end."""
        began = time.monotonic()
        submitted = await core.submit(request)
        self.passage.run_id, self.passage.thread_id = submitted.run_id, submitted.thread_id
        first: float | None = None
        async for entry in _followed(core, submitted.run_id):
            self.passage.entries.append(entry)
            if first is None and isinstance(entry.event.payload, ItemDelta):
                first = time.monotonic() - began
        response = _reduced(self.passage.entries)
        name = f"{response.provider_id}/{response.model_id}"
        if response.error is not None:
            raise _Unexpected(f"{name}: {response.error.message}")
        _expect(response.status == "complete", f"{name}: the run is {response.status}")
        _expect(first is not None, f"{name} says nothing")
        return f"{name}, its first words after {(first or 0.0) * 1000:.0f} ms"

    async def _logged(self, core: Runtime) -> str:
        """Read the log from its beginning, and from its middle."""
        entries = self.passage.entries
        offsets = [entry.offset for entry in entries]
        in_order = all(offset_key(a) < offset_key(b) for a, b in pairwise(offsets))
        _expect(in_order, "the offsets of the events do not rise")
        _expect(
            [entry.is_terminal for entry in entries] == [False] * (len(entries) - 1) + [True],
            "the run has not one end, as its last event",
        )
        run_id, middle = entries[0].event.run_id, len(entries) // 2
        again = [(e.offset, e.data) async for e in _followed(core, run_id)]
        _expect(again == [(e.offset, e.data) for e in entries], "read again, it is another log")
        rest = [e.offset async for e in _followed(core, run_id, after=offsets[middle])]
        _expect(rest == offsets[middle + 1 :], "read from its middle, events are missing")
        return f"{len(entries)} events in order, the same when read again"

    async def _forget(self, core: Runtime) -> None:
        """Delete the thread, if it was begun."""
        if self.passage.thread_id is not None:
            await core.delete_thread(self.passage.thread_id)

    async def _forget_after_all(self, core: Runtime) -> None:
        """Delete it after something else has failed; if that fails as well, let it be."""
        try:
            async with asyncio.timeout(FORGET_SECONDS):
                await self._forget_once_stored(core)
        except (CodyError, TimeoutError) as error:
            logger.warning("thread %s is not deleted: %s", self.passage.thread_id, error)

    async def _forget_once_stored(self, core: Runtime) -> None:
        """Delete it, or wait for it to be stored: what is deleted before that would come later."""
        while True:
            try:
                return await self._forget(core)
            except ThreadNotFound:
                await asyncio.sleep(_POLL_SECONDS)

    @contextmanager
    def _stage(self, name: str) -> Iterator[list[str]]:
        """Time a stage, and tell how it went; it is to say what it saw.

        Raises:
            _Stopped: it failed.
        """
        said: list[str] = []
        began = time.monotonic()
        self._running = (name, began)
        try:
            yield said
        except _Unexpected as error:
            self._fail(name, began, str(error))
            raise _Stopped from error
        except CodyError as error:
            self._fail(_part_of(error) or name, began, error.message)
            raise _Stopped from error
        self._tell(Stage(name, time.monotonic() - began, ", ".join(said)))

    def _fail(self, name: str, began: float, text: str) -> None:
        self.passage.failed = name
        self._tell(Stage(name, time.monotonic() - began, text, is_passed=False))


async def _ended(store: Store, run_id: str) -> Response:
    while True:
        stored = await store.get_run(run_id)
        if stored is not None and stored.is_terminal:
            return stored
        await asyncio.sleep(_POLL_SECONDS)


async def _followed(core: Runtime, run_id: str, **after: str) -> AsyncIterator[Entry]:
    async for batch in core.follow(run_id, **after):
        for entry in batch:
            yield entry


def _reduced(entries: Sequence[Entry]) -> Response:
    """Return what the events come to; reducing them again must change nothing."""
    reducer = ResponseReducer()
    reducer.feed(entries)
    response = reducer.response
    if response is None:
        raise _Unexpected("there are no events to reduce")
    reducer.feed(entries)
    _expect(reducer.response == response, "the same events once more change the response")
    return response


def _expect(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise _Unexpected(otherwise)


def _part_of(error: CodyError) -> str | None:
    """Return the stage whose part failed, which may not be the one that met it."""
    match error:
        case EventLogError():
            return "log"
        case StoreError():
            return "store"
        case _:
            return None
