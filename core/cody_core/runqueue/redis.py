"""A run queue in Redis: the stream ``codex:runs``, read through the consumer group ``workers``.

An entry has one field, ``run``, which holds the JSON of a ``RunRequest``. It is deleted when the
run is done. While a worker has it, the worker claims it anew every few seconds; an entry that
nobody has claimed for longer than that is taken over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar, cast

import redis.asyncio
from pydantic import ValidationError
from redis.exceptions import ResponseError

from cody_core.errors import EventLogUnavailable
from cody_core.ids import new_id
from cody_core.runqueue import Claim
from cody_core.schema.requests import RunRequest
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

T = TypeVar("T")
STREAM = "codex:runs"
GROUP = "workers"
BLOCK_MS = 1000
MOST_LISTED = 10_000
"""Runs of the stream that are looked at when somebody wants to know of them."""
LOST_SECONDS = 20.0
"""How long a claim may go without that before its run is taken over."""

_RENEW = """
local kept = {}
for at = 3, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[at], ARGV[at], 1)
  if pending[1] and pending[1][2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[at], 'JUSTID')
    kept[#kept + 1] = ARGV[at]
  end
end
return kept
"""
"""Group, consumer, entries; those of them that still are the consumer's, renewed."""

Call: TypeAlias = "Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]"
_Batch: TypeAlias = "list[tuple[bytes, dict[bytes, bytes] | None]]"


class RedisRunQueue:
    """See ``RunQueue``. Opened with ``open``."""

    def __init__(
        self, client: redis.asyncio.Redis, call: Call, *, keep: float, lost: float
    ) -> None:
        self._client = client
        self._call = call
        self._keep = keep
        self._lost_ms = int(lost * 1000)
        self._name = new_id()
        self._held: set[str] = set()
        self._orphans: deque[Claim] = deque()
        self._looked = 0.0
        self._renew = client.register_script(_RENEW)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        client: redis.asyncio.Redis,
        call: Call,
        *,
        keep: float | None = None,
        lost: float = LOST_SECONDS,
    ) -> AsyncIterator[RedisRunQueue]:
        """Join the workers.

        Args:
            client: A connection to the server.
            call: Runs a command against it, again while the server is away.
            keep: Seconds between two renewals of a claim; a quarter of ``lost``, if not said.
            lost: Seconds without one after which a run is taken over.

        Raises:
            EventLogUnavailable: there is no server, or it refuses us.
        """
        queue = cls(client, call, keep=lost / 4 if keep is None else keep, lost=lost)
        async with task_group() as tasks:
            keeping = tasks.create_task(queue._keep_claims())
            try:
                yield queue
            finally:
                keeping.cancel()

    async def put(self, run: RunRequest) -> None:
        """Announce a run."""
        data = run.model_dump_json()
        await self._call(lambda: self._client.xadd(STREAM, {"run": data}))

    async def take(self) -> Claim:
        """Wait for a run that is new, or that nobody works on any more."""
        while True:
            if self._orphans:
                return self._hold(self._orphans.popleft())
            if self._is_time_to_look():
                self._orphans.extend(await self._lost_runs())
                continue
            if (claim := await self._next()) is not None:
                return self._hold(claim)

    async def waiting(self) -> Sequence[RunRequest]:
        """Return all runs that are not done: who works on one is not in the stream."""
        reply = await self._call(lambda: self._client.xrange(STREAM, count=MOST_LISTED))
        return [claim.run for claim in _readable(cast("_Batch", reply), again=False)]

    async def leave(self) -> Sequence[Claim]:
        """Return nothing: other workers take what waits."""
        return ()

    async def done(self, claim: Claim) -> None:
        """Delete the entry."""
        self._held.discard(claim.key)
        await self._forget(claim.key)

    def _hold(self, claim: Claim) -> Claim:
        self._held.add(claim.key)
        return claim

    def _is_time_to_look(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._looked + self._lost_ms / 4000:
            return False
        self._looked = now
        return True

    async def _next(self) -> Claim | None:
        reply = await self._grouped(
            lambda: self._client.xreadgroup(
                GROUP, self._name, {STREAM: ">"}, count=1, block=BLOCK_MS
            )
        )
        for _, batch in cast("list[tuple[bytes, _Batch]]", reply or []):
            for claim in await self._claims(batch, again=False):
                return claim
        return None

    async def _lost_runs(self) -> list[Claim]:
        reply = await self._grouped(
            lambda: self._client.xautoclaim(
                STREAM, GROUP, self._name, min_idle_time=self._lost_ms, count=10
            )
        )
        return await self._claims(cast("_Batch", reply[1]), again=True)

    async def _claims(self, batch: _Batch, *, again: bool) -> list[Claim]:
        claims = _readable(batch, again=again)
        for key in {key.decode() for key, _ in batch} - {claim.key for claim in claims}:
            logger.error("entry %s of %s is no run", key, STREAM)
            await self._forget(key)
        return claims

    async def _forget(self, key: str) -> None:
        async def both() -> None:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.xack(STREAM, GROUP, key)
                pipe.xdel(STREAM, key)
                await pipe.execute()

        await self._call(both)

    async def _grouped(self, command: Callable[[], Awaitable[T]]) -> T:
        """Run a command of the group, which is made when it is not there (any more)."""

        async def grouped() -> T:
            try:
                return await command()
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
            try:
                await self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
            return await command()

        return cast("T", await self._call(grouped))

    async def _keep_claims(self) -> None:
        while True:
            await asyncio.sleep(self._keep)
            if not (held := list(self._held)):
                continue
            args = [GROUP, self._name, *held]
            try:
                kept = await self._call(lambda args=args: self._renew(keys=[STREAM], args=args))  # type: ignore[misc]
            except EventLogUnavailable as error:
                logger.warning("claims of runs could not be renewed: %s", error)
                continue
            if taken := set(held) - {key.decode() for key in kept}:
                # Whoever has them now has ended them, or will: a run ends only once.
                logger.warning("%d runs were taken over while we did not answer", len(taken))
                self._held -= taken


def _readable(batch: _Batch, *, again: bool) -> list[Claim]:
    claims: list[Claim] = []
    for key, fields in batch:
        with suppress(KeyError, ValidationError):
            run = RunRequest.model_validate_json((fields or {})[b"run"])
            claims.append(Claim(run, key.decode(), again=again))
    return claims
