"""A provider that plays a script: for tests, demos and screenshots.

A turn is a sequence of steps, and the answer to one request. Text is streamed in pieces the size of
tokens, exactly as a model's would be: through the same payloads, with the same chances to be
cancelled, to fail in the middle and to hang.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from cody_core.errors import (
    ProviderBadRequest,
    ProviderConnectionError,
    ProviderError,
    ProviderStreamBroken,
)
from cody_core.ids import new_id
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload, ResponseDone
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
from cody_core.schema.requests import ModelRequest
from cody_core.schema.response import Usage

FinishReason: TypeAlias = Literal["stop", "tool_calls", "length", "content_filter", "refusal"]


@dataclass(frozen=True, slots=True)
class Think:
    """Stream a reasoning item."""

    text: str


@dataclass(frozen=True, slots=True)
class Say:
    """Stream a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """Stream a function call; without a ``call_id`` it gets a new one each time.

    Arguments that are text are sent as they are, JSON or not.
    """

    name: str
    arguments: Mapping[str, object] | str
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """Stream a script, as the input of a tool that takes one."""

    code: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise ``error``; with ``after``, in the middle of a message that has come so far."""

    error: ProviderError
    after: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Never send anything again; with ``after``, in the middle of a message, as above."""

    after: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """End with this reason; without it calls and scripts end with ``tool_calls``, else ``stop``."""

    reason: FinishReason


Step: TypeAlias = Think | Say | Call | Script | Fail | Pause | Hang | Finish
Turn: TypeAlias = Sequence[Step] | Callable[[ModelRequest], Sequence[Step]]

_TOKEN = re.compile(r"\s*\S{1,12}|\s+")
_TOKENS_PER_LOOP_TURN = 20
"""Without a delay, the loop still gets a turn after so many tokens."""


class ScriptedProvider:
    """Answers request n with turn n, or every request with what one function makes of it.

    Attributes:
        requests: What has been asked so far.
    """

    def __init__(
        self,
        turns: Sequence[Turn] | Callable[[ModelRequest], Sequence[Step]],
        *,
        delay: float = 0.0,
        models: Sequence[str] = ("scripted",),
        record: bool = True,
    ) -> None:
        """Make a provider that waits ``delay`` seconds after each token.

        Without ``record`` requests are not kept: whole conversations, for as long as it lives.
        """
        self.requests: list[ModelRequest] = []
        self._turns = turns
        self._record = record
        self._asked = 0
        self._delay = delay
        self._models = tuple(models)
        self._closed = asyncio.Event()

    async def models(self) -> Sequence[str]:
        """Return the names it was made with."""
        return self._models

    async def aclose(self) -> None:
        """Break the streams that are under way and refuse new ones."""
        self._closed.set()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Payload, None]:
        """Play the next turn.

        Raises:
            ProviderError: the script says so.
            ProviderBadRequest: the script has no further turn.
            ProviderConnectionError: the provider is closed.
        """
        if self._closed.is_set():
            msg = "the scripted provider is closed"
            raise ProviderConnectionError(msg)
        self._asked += 1
        if self._record:
            self.requests.append(request)
        played: list[Step] = []
        said: list[Item] = []
        deltas = 0
        for step in self._steps(request):
            played.append(step)
            for action in _play(step):
                if isinstance(action, Pause | Hang):
                    await self._wait(action.seconds if isinstance(action, Pause) else None)
                    continue
                yield action
                if isinstance(action, ItemDelta):
                    deltas += 1
                    await self._pace(deltas)
                elif isinstance(action, ItemDone):
                    said.append(action.final_item)
        yield ResponseDone(
            response_id=request.response_id,
            status="complete",
            usage=_usage(request, said),
            finish_reason=_finish_reason(played),
        )

    def _steps(self, request: ModelRequest) -> Sequence[Step]:
        if callable(self._turns):
            return self._turns(request)
        number = self._asked
        if number > len(self._turns):
            msg = f"the script has {len(self._turns)} turns and was asked for number {number}"
            raise ProviderBadRequest(msg)
        turn = self._turns[number - 1]
        return turn(request) if callable(turn) else turn

    async def _pace(self, deltas: int) -> None:
        if self._delay or deltas % _TOKENS_PER_LOOP_TURN == 0:
            await asyncio.sleep(self._delay)
        self._check()

    async def _wait(self, seconds: float | None) -> None:
        """Wait so long, or without end; closing the provider ends either."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return
        self._check()

    def _check(self) -> None:
        if self._closed.is_set():
            msg = "the scripted provider was closed in the middle of a stream"
            raise ProviderStreamBroken(msg)


def tokens(text: str) -> Iterator[str]:
    """Split text into words with the spaces before them; joined, they are the text again.

    Long words, and sentences without spaces, come in pieces.
    """
    return (match[0] for match in _TOKEN.finditer(text))


# The actions are a plain generator, so that whoever closes the stream closes all of it at once: an
# asynchronous one inside another would be left for the event loop to finish later.
def _play(step: Step) -> Iterator[Payload | Pause | Hang]:
    match step:
        case Think(text):
            yield from _item(Reasoning(id=new_id(), content=text), text)
        case Say(text):
            yield from _item(Message(id=new_id(), content=text), text)
        case Call():
            call = _call(step)
            yield from _item(call, call.arguments)
        case Script(code):
            yield from _item(ScriptExecution(id=new_id(), code=code), code)
        case Fail(error, after):
            yield from _unfinished(after)
            raise error
        case Hang(after):
            yield from _unfinished(after)
            yield step
        case Pause():
            yield step
        case Finish():
            return
        case _:
            assert_never(step)


def _item(
    item: Message | Reasoning | FunctionCall | ScriptExecution, text: str
) -> Iterator[Payload]:
    call = item if isinstance(item, FunctionCall) else None
    yield ItemStart(
        item_id=item.id,
        item_type=item.type,
        name=call.name if call else None,
        call_id=call.call_id if call else None,
    )
    for token in tokens(text):
        yield ItemDelta(item_id=item.id, delta_content=token)
    yield ItemDone(item_id=item.id, final_item=item)


def _unfinished(text: str) -> Iterator[Payload]:
    if text:
        *most, _ = _item(Message(id=new_id(), content=text), text)
        yield from most


def _finish_reason(steps: Iterable[Step]) -> FinishReason:
    reason: FinishReason = "stop"
    for step in steps:
        if isinstance(step, Finish):
            return step.reason
        if isinstance(step, Call | Script):
            reason = "tool_calls"
    return reason


def _call(step: Call) -> FunctionCall:
    given = step.arguments
    return FunctionCall(
        id=new_id(),
        name=step.name,
        arguments=given if isinstance(given, str) else json.dumps(dict(given), ensure_ascii=False),
        call_id=step.call_id or f"call_{new_id()}",
    )


def _usage(request: ModelRequest, said: Iterable[Item]) -> Usage:
    answer = list(said)
    prompt = _count([request.system or "", *map(_text, request.items)])
    thought = [_text(item) for item in answer if isinstance(item, Reasoning)]
    completion = _count(map(_text, answer))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        reasoning_tokens=min(_count(thought), completion) if thought else None,
    )


def _count(texts: Iterable[str]) -> int:
    """Estimate tokens: a token is about four characters."""
    return max(1, sum(map(len, texts)) // 4)


def _text(item: Item) -> str:
    match item:
        case Message() | Reasoning():
            return item.content
        case FunctionCall():
            return item.name + item.arguments
        case FunctionCallOutput():
            return item.output
        case ScriptExecution():
            return item.code
        case ScriptExecutionOutput():
            return item.result
        case ErrorItem() | Cancelled():
            return _text(item.partial) if item.partial else ""
        case _:
            assert_never(item)
