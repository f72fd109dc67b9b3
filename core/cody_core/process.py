"""Which processes are alive: each holds a lock file for as long as it runs, whatever ends it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from cody_core.ids import new_id


class ProcessLock:
    """This process's own lock. A context manager; ``id`` names the process to others."""

    def __init__(self, directory: Path) -> None:
        """Prepare a lock below a directory, which is created if need be."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.id = new_id()
        self._directory = directory
        self._lock = FileLock(self._path(self.id))

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
        self._path(self.id).unlink(missing_ok=True)

    def is_alive(self, process_id: str | None) -> bool | None:
        """Tell whether the process of that id still runs; a dead one's lock file is removed.

        ``None`` if there is no trace of it: it came to its end, or never was one of this directory.
        """
        if process_id is None:
            return None
        path = self._path(process_id)
        if process_id == self.id or not path.exists():
            return True if process_id == self.id else None
        try:
            with FileLock(path, blocking=False):
                pass
        except Timeout:
            return True
        path.unlink(missing_ok=True)
        return False

    def _path(self, process_id: str) -> Path:
        return self._directory / f"{process_id}.lock"
