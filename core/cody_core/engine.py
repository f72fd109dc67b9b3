"""The agent loop of one run: ask the model, wait for outputs of its calls in the log, ask again.

Whatever happens, the run gets exactly one terminal event. A user's abort and the end of the process
stop the loop where it stands; what is open then is closed, what was streamed is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from cody_core.errors import (
    CodyError,
    EventLogError,
    ProviderContextTooLong,
    ProviderError,
    RunClosed,
)
from cody_core.eventlog import EventLog
from cody_core.eventlog.writer import LogWriter
from cody_core.history import conversation
from cody_core.ids import traceparent
from cody_core.mirror import Mirror, following
from cody_core.providers import Provider
from cody_core.retry import pause_before_retry
from cody_core.schema.events import (
    EventFactory,
    ItemCancelled,
    ItemDone,
    ItemError,
    ItemStart,
    Payload,
    ResponseDone,
    ResponseError,
    Terminal,
    TraceContext,
    UsageUpdate,
)
from cody_core.schema.items import FunctionCall, ScriptExecution
from cody_core.schema.requests import ModelRequest, RunRequest
from cody_core.schema.response import ErrorInfo, Response, Usage
from cody_core.scripts import ScriptReader, as_blocks
from cody_core.tasks import task_group
from cody_core.tools.offer import offer
from cody_core.tools.registry import Registry

logger = logging.getLogger(__name__)

MAX_BREAKS = 2
"""How often a request whose stream broke midway is sent again."""
TOOL_GRACE_SECONDS = 3.0
"""How long an aborted run waits for its tools to be stopped and to say so."""
REPLY_TOKENS = 8_000
"""Room left for the answer in a model's window, when nothing says how long it may be."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How often a run may ask the model, and a request that failed at once is sent again."""

    max_iterations: int = 50
    max_retries: int = 4


class Engine:
    """Runs the loop for any number of runs at once; it keeps nothing between them."""

    def __init__(
        self,
        log: EventLog,
        *,
        provider: Callable[[str], Awaitable[Provider]],
        history: Callable[[RunRequest], Awaitable[Sequence[Response]]],
        tools: Registry | None = None,
        limits: EngineLimits = EngineLimits(),
    ) -> None:
        """Build an engine.

        Args:
            log: Where everything is written to, and outputs are read from.
            provider: Finds a provider by its id.
            history: Returns the earlier responses of a run's thread, oldest first.
            tools: What models can have done.
            limits: When to stop.
        """
        self.log = log
        self.provider = provider
        self.history = history
        self.tools = tools or Registry()
        self.limits = limits

    async def run(self, request: RunRequest, mirror: Mirror | None = None) -> None:
        """Drive a run whose ``response_start`` is in the log to its end.

        Cancelling it ends the run. It raises nothing for what goes wrong in a run: that is what
        terminal events are for. ``mirror`` is followed by somebody else; without one, it reads the
        log itself.
        """
        if mirror is None:
            async with following(self.log, request.run_id) as own:
                await self._run(request, own)
        else:
            await self._run(request, mirror)

    async def _run(self, request: RunRequest, mirror: Mirror) -> None:
        run = _Run(self, request, mirror)
        end: Terminal = run.done("aborted", "interrupted")
        try:
            end = await run.drive()
        except Exception as error:  # noqa: BLE001 - told in the run's end
            end = run.ended_by(error)
        finally:
            await run.close(end)


class _Aborted(Exception):
    """Somebody asked for the end of the turn."""


class _Ended(Exception):
    """Somebody else ended the run."""


def _causes(error: Exception) -> list[Exception]:
    """Return what failed: an error, or all that are in a group."""
    if isinstance(error, ExceptionGroup):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    return [error]


class _Run:
    """One run on its way."""

    def __init__(self, engine: Engine, request: RunRequest, mirror: Mirror) -> None:
        self._engine = engine
        self._request = request
        self._event = EventFactory(
            request.run_id, TraceContext(traceparent=traceparent(request.run_id))
        )
        self._mirror = mirror
        self._earlier: Sequence[Response] = ()
        self._usage = Usage()
        self._asked = 0
        self._call_ids: set[str] = set()
        self._offer = offer(engine.tools.only(request.tools).specs, request.tool_mode)

    async def drive(self) -> ResponseDone:
        """Loop until the model has nothing more to be done, and return how the run ends."""
        async with task_group() as tasks:
            watch = tasks.create_task(self._watch())
            provider = await self._engine.provider(self._request.provider_id)
            self._earlier = await self._engine.history(self._request)
            async with LogWriter.open(self._engine.log, self._request.run_id) as out:
                end = await self._loop(provider, out)
            watch.cancel()
        return end

    async def close(self, end: Terminal) -> None:
        """Close what is open and append the terminal event, all in one append."""
        try:
            await self._mirror.catch_up()
            if isinstance(end, ResponseDone) and end.status == "aborted":
                await self._wait_for_tools()
            payloads = [*self._closing(end), end]
            events = [self._event(payload) for payload in payloads]
            await self._engine.log.append(self._request.run_id, events)
        except RunClosed:
            logger.debug("run %s was ended by somebody else", self._request.run_id)
        except EventLogError as error:
            logger.error("run %s could not be ended: %s", self._request.run_id, error)

    def done(self, status: str, finish_reason: str) -> ResponseDone:
        """Return the end of a run that did not fail."""
        return ResponseDone(
            response_id=self._request.run_id,
            status="aborted" if status == "aborted" else "complete",
            usage=self._usage if self._usage.total_tokens else None,
            finish_reason=finish_reason,
        )

    def ended_by(self, error: Exception) -> Terminal:
        """Return how a run ends that was stopped, or failed, for one reason or for several.

        Whoever stops it may have ended it before all its parts have heard of that.
        """
        causes = _causes(error)
        strange = [
            cause for cause in causes if not isinstance(cause, CodyError | _Aborted | _Ended)
        ]
        if strange:
            logger.error("run %s failed", self._request.run_id, exc_info=error)
            name = type(strange[0]).__name__
            return self.failed("internal_error", f"{name}: see the log of cody")
        failures = [
            cause
            for cause in causes
            if isinstance(cause, CodyError) and not isinstance(cause, RunClosed)
        ]
        if not failures or any(isinstance(cause, _Aborted) for cause in causes):
            return self.done("aborted", "aborted")
        return self.failed(failures[0].code, failures[0].message)

    def failed(self, code: str, message: str) -> ResponseError:
        """Return the end of a run that did."""
        error = ErrorInfo(code=code, message=message)
        return ResponseError(response_id=self._request.run_id, error=error)

    async def _watch(self) -> None:
        mirror = self._mirror
        reducer = mirror.reducer
        await mirror.until(lambda: mirror.abort_reason is not None or reducer.is_terminal)
        raise _Ended if mirror.abort_reason is None else _Aborted

    async def _wait_for_tools(self) -> None:
        try:
            async with asyncio.timeout(TOOL_GRACE_SECONDS):
                await self._mirror.until(lambda: not self._mirror.open_outputs)
        except TimeoutError:
            logger.warning("a tool of run %s did not stop in time", self._request.run_id)

    def _closing(self, end: Terminal) -> list[Payload]:
        ids = self._mirror.reducer.open_items
        if isinstance(end, ResponseError):
            return [ItemError(item_id=item_id, error=end.error) for item_id in ids]
        return [ItemCancelled(item_id=item_id, reason=end.finish_reason) for item_id in ids]

    async def _loop(self, provider: Provider, out: LogWriter) -> ResponseDone:
        for _ in range(self._request.max_iterations or self._engine.limits.max_iterations):
            answer = await self._ask(provider, out)
            if not answer.calls:
                return self.done("complete", answer.finish_reason)
            await out.flush()
            await self._answered(answer.calls)
        return self.done("complete", "max_iterations")

    async def _answered(self, calls: set[str]) -> None:
        await self._mirror.until(lambda: calls <= self._mirror.answered)

    async def _ask(self, provider: Provider, out: LogWriter) -> _Answer:
        """Get one answer from the model, asking again where that can help."""
        failures = breaks = 0
        while True:
            answer = _Answer(self._asked, self._call_ids)
            self._asked += 1
            try:
                await self._stream(provider, await self._model_request(out), answer, out)
            except ProviderContextTooLong:
                if answer.started or not self._earlier:
                    raise
                self._earlier = self._earlier[(len(self._earlier) + 1) // 2 :]
            except ProviderError as error:
                await self._fail_open_items(answer, error, out)
                breaks += answer.started
                failures += 1
                pause = pause_before_retry(error, failures)
                enough = breaks > MAX_BREAKS or failures > self._engine.limits.max_retries + breaks
                if pause is None or (enough and not answer.calls):
                    raise
                if answer.calls:  # they are being made: the model must see them, not be asked anew
                    return answer
                logger.info("asking again in %.1f s: %s", pause, error)
                await asyncio.sleep(pause)
            else:
                return answer

    async def _stream(
        self, provider: Provider, request: ModelRequest, answer: _Answer, out: LogWriter
    ) -> None:
        before = self._usage
        scripts = ScriptReader(self._request.tool_mode)
        async with aclosing(provider.stream(request)) as payloads:
            async for payload in payloads:
                if isinstance(payload, ResponseDone):
                    answer.finish_reason = payload.finish_reason or "stop"
                    self._usage = before + (payload.usage or Usage())
                    payload = self._usage_update()
                elif isinstance(payload, UsageUpdate):
                    self._usage = before + payload.usage
                    payload = self._usage_update()
                for read in scripts.read(payload):
                    await out.put(self._event(answer.note(read)))

    def _usage_update(self) -> UsageUpdate:
        return UsageUpdate(response_id=self._request.run_id, usage=self._usage)

    async def _fail_open_items(self, answer: _Answer, error: ProviderError, out: LogWriter) -> None:
        info = ErrorInfo(code=error.code, message=error.message)
        for item_id in answer.open:
            await out.put(self._event(ItemError(item_id=item_id, error=info)))
        answer.open.clear()

    async def _model_request(self, out: LogWriter) -> ModelRequest:
        """Build the next request from the thread and from what the log has of this run."""
        await self._mirror.reached(await out.flush())
        await self._mirror.until(lambda: self._mirror.reducer.response is not None)
        response = self._mirror.reducer.response
        assert response is not None
        request = self._request
        budget = request.context_tokens
        if budget is not None:
            budget -= request.max_output_tokens or min(REPLY_TOKENS, budget // 4)
        items = conversation(self._earlier, response, budget=budget)
        return ModelRequest(
            response_id=request.run_id,
            model=request.model_id,
            items=tuple(as_blocks(items)) if request.tool_mode == "script" else items,
            system="\n\n".join(filter(None, (request.system, self._offer.instructions))) or None,
            tools=self._offer.tools,
            reasoning_effort=request.reasoning_effort,
            thinking_budget=request.thinking_budget,
            max_output_tokens=request.max_output_tokens,
            cache_key=request.thread_id,
        )


class _Answer:
    """What one request to the model has brought so far."""

    def __init__(self, step: int, used: set[str]) -> None:
        self.finish_reason = "stop"
        self.calls: set[str] = set()  # and scripts: what an output is to come of
        self._used = used
        self._new_ids: dict[str, str] = {}
        self.open: dict[str, None] = {}
        self.started = False
        self._step = step

    def note(self, payload: Payload) -> Payload:
        """Take notice of a payload, and return it with its items marked as this request's."""
        if isinstance(payload, ItemStart):
            self.started = True
            self.open[payload.item_id] = None
            if payload.call_id is not None:
                call_id = self._own_id(payload.item_id, payload.call_id)
                return payload.model_copy(update={"call_id": call_id})
        elif isinstance(payload, ItemDone):
            self.open.pop(payload.item_id, None)
            item = payload.final_item.model_copy(update={"step": self._step})
            if isinstance(item, FunctionCall):
                call_id = self._own_id(item.id, item.call_id)
                item = item.model_copy(update={"call_id": call_id})
                self.calls.add(call_id)
            elif isinstance(item, ScriptExecution):
                self.calls.add(item.id)
            return ItemDone(item_id=payload.item_id, final_item=item)
        return payload

    def _own_id(self, item_id: str, call_id: str) -> str:
        """Return a call id that no other call of the run has: some servers count anew each time."""
        if item_id not in self._new_ids:
            own, tries = call_id, 0
            while own in self._used:
                own, tries = f"{call_id}-{self._step + tries}", tries + 1
            self._new_ids[item_id] = own
            self._used.add(own)
        return self._new_ids[item_id]
