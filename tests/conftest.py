from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.redis import RedisServer, find_server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for the whole session; each test uses runs of its own."""
    if (binary := find_server()) is None:
        pytest.skip("no redis-server: install Debian's redis-server, or uv sync on Linux x86-64")
    server = RedisServer(binary)
    server.start()
    yield server
    server.remove()
