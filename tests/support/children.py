"""The processes that this one has started, while threads and processes come and go."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children(name: str) -> list[int]:
    """Return those in whose command line there is a name."""
    pids: list[str] = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has just ended
            pids += (thread / "children").read_text("ascii").split()
    return [int(pid) for pid in pids if name.encode() in _command(pid)]


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""
