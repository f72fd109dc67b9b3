"""``cody serve`` in a process of its own, as somebody who installed it has it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.usage import Usage

CODY = str(Path(sys.executable).with_name("cody"))
PATIENCE = 30.0


class Server:
    """A server, what it uses, and its database as somebody else sees it."""

    def __init__(self, process: subprocess.Popen[str], port: int, home: Path) -> None:
        self.port = port
        self.usage = Usage(process.pid)
        self._store = sqlite3.connect(home / "cody.db", isolation_level=None)

    def stored(self, run_ids: Collection[str]) -> set[str]:
        """Return those of some runs whose end is in the database."""
        marks = ",".join("?" * len(run_ids))
        sql = f"SELECT id FROM runs WHERE status = 'complete' AND id IN ({marks})"
        return {run_id for (run_id,) in self._store.execute(sql, list(run_ids))}

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()


@contextmanager
def serving(source_url: str, redis_url: str | None) -> Iterator[Server]:
    """Run a server whose OpenAI is that source, with nothing in its home."""
    with tempfile.TemporaryDirectory(prefix="cody-bench-") as name:
        home, workspace = Path(name, "home"), Path(name, "workspace")
        workspace.mkdir()
        command = [CODY, "serve", "--port", "0", "--log-level", "warning"]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(home, source_url, redis_url),
            cwd=workspace,
        ) as process:
            assert process.stdout is not None
            try:
                port = int(process.stdout.readline().rpartition(":")[2])
                server = Server(process, port, home)
                yield server
                server.close()
            finally:
                process.terminate()
                process.wait(PATIENCE)


def _environment(home: Path, source_url: str, redis_url: str | None) -> dict[str, str]:
    """No settings of the user's, and a key that the source does not look at."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    redis = {} if redis_url is None else {"REDIS_URL": redis_url}
    return {
        **kept,
        **redis,
        "CODY_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "OPENAI_BASE_URL": source_url,
        "OPENAI_API_KEY": "benchmark",
        "PYTHONUNBUFFERED": "1",
    }
