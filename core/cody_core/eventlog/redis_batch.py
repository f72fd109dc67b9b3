"""Calls of a script on a Redis server: those that come while others are under way go together."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from redis.exceptions import NoScriptError

from cody_core.errors import EventLogUnavailable
from cody_core.redis_server import SILENCE_SECONDS, RedisServer

Argument: TypeAlias = str | int | bytes


class _Call(NamedTuple):
    keys: Sequence[str]
    args: Sequence[Argument]
    answer: asyncio.Future[Any]


class Batch:
    """A script, and its calls on their way: there is one round trip at a time, for all of them."""

    def __init__(self, server: RedisServer, tasks: asyncio.TaskGroup, script: str) -> None:
        """Build it; the server is given the script when it turns out not to have it."""
        self._server = server
        self._tasks = tasks
        self._script = script
        # The server's own name for it: https://redis.io/docs/latest/commands/evalsha
        self._sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._waiting: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None

    async def call(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Call the script and return what it does; it may be run twice if the connection breaks.

        Raises:
            EventLogUnavailable: see ``RedisServer.call``.
        """
        return await self._server.call(lambda: self._put(keys, args))

    def close(self) -> None:
        """Stop; who waits for an answer is told that there will be none."""
        if self._sending is not None:
            self._sending.cancel()

    def _put(self, keys: Sequence[str], args: Sequence[Argument]) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(keys, args, answer))
        if self._sending is None:
            self._sending = self._tasks.create_task(self._send())
        return answer

    async def _send(self) -> None:
        calls: list[_Call] = []
        try:
            while self._waiting:
                calls, self._waiting = self._waiting, []
                # Who does not wait any more has not asked for anything yet.
                calls = [call for call in calls if not call.answer.done()]
                _tell(calls, await self._answers(calls))
        finally:
            self._sending = None
            calls += self._waiting  # there are any only if we are stopped
            _tell(calls, [EventLogUnavailable("the event log is closed")] * len(calls))

    async def _answers(self, calls: Sequence[_Call]) -> Sequence[Any]:
        """Return what the script says to each, or the error that it, or the server, fails with."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                answers = await self._exchange(calls)
                if any(isinstance(answer, NoScriptError) for answer in answers):
                    # It has forgotten the script; what it ran before that it may run again.
                    await self._server.client.script_load(self._script)
                    answers = await self._exchange(calls)
        except Exception as error:  # noqa: BLE001 - raised to each who called
            return [error] * len(calls)
        return answers

    async def _exchange(self, calls: Sequence[_Call]) -> Sequence[Any]:
        async with self._server.client.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.evalsha(self._sha, len(call.keys), *call.keys, *call.args)
            answers: Sequence[Any] = await pipe.execute(raise_on_error=False)
        return answers


def _tell(calls: Sequence[_Call], answers: Sequence[Any]) -> None:
    for call, answer in zip(calls, answers, strict=True):
        if call.answer.done():
            continue  # who called waits no more
        if isinstance(answer, Exception):
            call.answer.set_exception(answer)
        else:
            call.answer.set_result(answer)
