"""A Redis server for the rows that need one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.redis import RedisServer, find_server


@contextmanager
def redis_server(subject: str) -> Iterator[str | None]:
    """Run a server while the block runs and give its address, or say that there is none."""
    if (binary := find_server()) is None:
        print(f"{subject}, Redis: skipped, there is no redis-server")
        yield None
        return
    server = RedisServer(binary)
    server.start()
    try:
        yield server.url
    finally:
        server.remove()
