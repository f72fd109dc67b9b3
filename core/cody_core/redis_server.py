"""The Redis server of ``REDIS_URL``: commands that are sent again while it is away."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from cody_core.errors import EventLogUnavailable, SettingsError
from cody_core.patience import patience

logger = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""How long an unreachable server is waited for."""
SILENCE_SECONDS = 10.0
"""How long the server may owe us an answer before the connection counts as dead."""
MAX_CONNECTIONS = 4096
"""One per followed run and a few more; the pool refuses rather than waits when it is full."""

_TRANSIENT = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)


class RedisServer:
    """A server, and how long it is waited for. Opened with ``open``."""

    def __init__(self, client: redis.asyncio.Redis, patience: float) -> None:
        self.client = client
        self.trouble: str | None = None
        """Why the server is waited for, while it is away."""
        self._patience = patience

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, patience: float = PATIENCE_SECONDS
    ) -> AsyncIterator[RedisServer]:
        """Connect; ``patience`` is how many seconds an unreachable server is waited for.

        Raises:
            SettingsError: the URL is malformed.
            EventLogUnavailable: there is no server, or it refuses us; checked before this returns.
        """
        client = _connect(url)
        try:
            server = cls(client, 0.0)
            await server.call(client.ping)
            server._patience = patience
            yield server
        finally:
            await client.aclose()

    async def call(self, command: Callable[[], Awaitable[T]]) -> T:
        """Run a command, again after a pause while the server is away, or owes us the answer.

        Raises:
            EventLogUnavailable: it stayed away, or refuses us.
        """

        async def timed() -> T:
            # Not the client's own read timeout: it can swallow a cancellation.
            async with asyncio.timeout(SILENCE_SECONDS):
                try:
                    return await command()
                except ReadOnlyError:  # a replica by now: the address may lead elsewhere
                    await self.client.connection_pool.disconnect(inuse_connections=False)
                    raise

        return await self.lasting(timed)

    async def lasting(self, command: Callable[[], Awaitable[T]]) -> T:
        """Run what raises by itself if the server owes the answer for too long; see ``call``.

        Raises:
            EventLogUnavailable: it stayed away, or refuses us.
        """
        loop = asyncio.get_running_loop()
        limit = patience(self._patience)
        deadline, pause = loop.time() + limit, 0.02
        while True:
            try:
                answer = await command()
            except AuthenticationError as error:
                msg = "the Redis server of REDIS_URL refuses our credentials"
                raise EventLogUnavailable(msg) from error
            except _TRANSIENT as error:
                msg = f"the Redis server of REDIS_URL cannot be reached: {_reason(error)}"
                if loop.time() + pause > deadline:
                    raise EventLogUnavailable(msg) from error
                self._tell_away(msg, limit)
            except RedisError as error:
                msg = f"the Redis server of REDIS_URL failed: {_reason(error)}"
                raise EventLogUnavailable(msg) from error
            else:
                self._tell_back()
                return answer
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 1.0)

    def _tell_away(self, trouble: str, limit: float) -> None:
        """Say once that the server is away: whoever wants something of it is kept waiting."""
        if self.trouble is None:
            logger.warning("%s; it is tried again for %.0f s", trouble, limit)
        self.trouble = trouble

    def _tell_back(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            logger.warning("the Redis server of REDIS_URL is back")


def _connect(url: str) -> redis.asyncio.Redis:
    try:
        return redis.asyncio.Redis.from_url(
            url,
            socket_timeout=None,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
            max_connections=MAX_CONNECTIONS,
            health_check_interval=0,
        )
    except ValueError as error:
        msg = "REDIS_URL must look like redis://host:6379/0, rediss://… or unix:///path"
        raise SettingsError(msg) from error


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
