"""A run queue in Redis: the stream ``codex:runs``, read through the consumer group ``workers``.

An entry has one field, ``run``, which holds the JSON of a ``RunRequest``, perhaps one of a newer
version. It is deleted when the run is done. While a worker has it, the worker claims it anew every
few seconds; an entry that nobody has claimed for longer than that is taken over.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias, TypeVar, cast

from pydantic import ValidationError
from redis.exceptions import ResponseError

from cody_core.errors import EventLogUnavailable
from cody_core.eventlog.redis import WORK, RedisEventLog, Work
from cody_core.ids import new_id
from cody_core.patience import impatient
from cody_core.runqueue import BEGINNING, Claim
from cody_core.schema.events import Event
from cody_core.schema.requests import RunRequest
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

T = TypeVar("T")
GROUP = "workers"
BLOCK_MS = 1000
MOST_LISTED = 10_000
"""Runs of the stream that are looked at when somebody wants to know of them."""
LEAVING_SECONDS = 1.0
"""How long a server that is away is waited for by somebody who leaves."""
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

_UNKNOWN: Final = {"provider_id": "unknown", "model_id": "unknown", "input_items": ()}
"""What stands for parts of a run that are not understood, and without which it is none."""

_Batch: TypeAlias = "list[tuple[bytes, dict[bytes, bytes] | None]]"


class RedisRunQueue:
    """See ``RunQueue``. Opened with ``open``."""

    def __init__(self, log: RedisEventLog, *, limit: int, keep: float, lost: float) -> None:
        self._log = log
        self._limit = limit
        self._client = log.server.client
        self._call = log.server.call
        self._keep = keep
        self._lost_ms = int(lost * 1000)
        self._name = new_id()
        self._held: set[str] = set()
        self._looked = 0.0
        self._renew = self._client.register_script(_RENEW)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        log: RedisEventLog,
        *,
        limit: int,
        keep: float | None = None,
        lost: float = LOST_SECONDS,
    ) -> AsyncIterator[RedisRunQueue]:
        """Join the workers.

        Args:
            log: The log of the runs, on the same server.
            limit: How many runs there may be that are not done.
            keep: Seconds between two renewals of a claim; a quarter of ``lost``, if not said.
            lost: Seconds without one after which a run is taken over.

        Raises:
            EventLogUnavailable: there is no server, or it refuses us.
        """
        queue = cls(log, limit=limit, keep=lost / 4 if keep is None else keep, lost=lost)
        async with task_group() as tasks:
            keeping = tasks.create_task(queue._keep_claims())
            try:
                yield queue
            finally:
                keeping.cancel()
                await queue._resign()

    async def put(self, run: RunRequest, start: Event) -> None:
        """Announce a run."""
        work = Work(run.model_dump_json(), self._limit)
        await self._log.append(run.run_id, [start], once=BEGINNING, work=work)

    async def take(self) -> Claim:
        """Wait for a run that is new, or that nobody works on any more."""
        while True:
            if self._is_time_to_look() and (claim := await self._lost_run()) is not None:
                self._looked = 0.0  # who lost one may have lost more
                return self._hold(claim)
            if (claim := await self._next()) is not None:
                return self._hold(claim)

    async def waiting(self) -> Sequence[RunRequest]:
        """Return all runs that are not done: who works on one is not in the stream."""
        reply = await self._call(lambda: self._client.xrange(WORK, count=MOST_LISTED))
        return [claim.run for claim in _readable(cast("_Batch", reply))]

    async def leave(self) -> Sequence[Claim]:
        """Return nothing: other workers take what waits."""
        return ()

    async def done(self, claim: Claim) -> None:
        """Delete the entry; until it is, it is ours and not lost."""
        try:
            await self._forget(claim.key)
        finally:
            self._held.discard(claim.key)

    async def _resign(self) -> None:
        """Leave the group, unless there is something of ours that another has to take over."""
        with suppress(EventLogUnavailable), impatient(LEAVING_SECONDS):
            await self._call(self._leave_group)

    async def _leave_group(self) -> None:
        with suppress(ResponseError):  # there is no group
            if not await self._client.xpending_range(WORK, GROUP, "-", "+", 1, self._name):
                await self._client.xgroup_delconsumer(WORK, GROUP, self._name)

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
            lambda: self._client.xreadgroup(GROUP, self._name, {WORK: ">"}, count=1, block=BLOCK_MS)
        )
        for _, batch in cast("list[tuple[bytes, _Batch]]", reply or []):
            return await self._claim(batch)
        return None

    async def _lost_run(self) -> Claim | None:
        """Take over the oldest run whose worker is gone; all that are claimed are looked at.

        After a time without the server our own claims look lost, too. They are not: we are here.
        """
        found = await self._grouped(
            lambda: self._client.xpending_range(
                WORK, GROUP, "-", "+", len(self._held) + 1, idle=self._lost_ms
            )
        )
        keys = [cast("bytes", entry["message_id"]).decode() for entry in found]
        lost = next((key for key in keys if key not in self._held), None)
        if lost is None:
            return None
        reply = await self._call(
            lambda: self._client.xclaim(WORK, GROUP, self._name, self._lost_ms, [lost])
        )
        return await self._claim(cast("_Batch", reply))

    async def _claim(self, batch: _Batch) -> Claim | None:
        """Return the run of an entry that is ours now; one that names no run is thrown away."""
        claims = _readable(batch)
        if batch and not claims:
            key = batch[0][0].decode()
            logger.error("entry %s of %s is no run", key, WORK)
            await self._forget(key)
        return claims[0] if claims else None

    async def _forget(self, key: str) -> None:
        async def both() -> None:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.xack(WORK, GROUP, key)
                pipe.xdel(WORK, key)
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
                await self._client.xgroup_create(WORK, GROUP, id="0", mkstream=True)
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
                kept = await self._call(lambda args=args: self._renew(keys=[WORK], args=args))  # type: ignore[misc]
            except EventLogUnavailable as error:
                logger.warning("claims of runs could not be renewed: %s", error)
                continue
            if taken := self._held & set(held) - {key.decode() for key in kept}:
                # Whoever has them now has ended them, or will: a run ends only once.
                logger.warning("%d runs were taken over while we did not answer", len(taken))
                self._held -= taken


def _readable(batch: _Batch) -> list[Claim]:
    claims = (_parsed(key, (fields or {}).get(b"run")) for key, fields in batch)
    return [claim for claim in claims if claim is not None]


def _parsed(key: bytes, data: bytes | None) -> Claim | None:
    """Return the run of an entry, as far as it is understood, or ``None`` if it names none."""
    if data is None:
        return None
    try:
        return Claim(RunRequest.model_validate_json(data), key.decode())
    except ValidationError as error:
        wrong = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
    with suppress(ValueError, AttributeError):
        known = {name: value for name, value in json.loads(data).items() if name not in wrong}
        run = RunRequest.model_validate_json(json.dumps(_UNKNOWN | known))
        return Claim(run, key.decode(), is_understood=False)
    return None
