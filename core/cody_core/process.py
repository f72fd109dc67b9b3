"""Which processes are alive: each holds a lock file for as long as it runs, whatever ends it.

A process is named by its place, the directory of the locks on a machine of some name, and a number.
Of processes of other places nothing can be seen here; what is known of them, others must say.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout

from cody_core.ids import is_uuid, new_id

PLACE: Final = "place"
"""The file that names the directory; it may be copied to another machine, which has another name.
"""


class ProcessLock:
    """This process's own lock. A context manager; ``id`` names the process to others."""

    def __init__(self, directory: Path) -> None:
        """Prepare a lock below a directory, which is created if need be."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._place = _place(directory)
        self.id = f"{self._place}.{new_id()}"
        self._directory = directory
        self._lock = FileLock(self._path(self.id))

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
        self._path(self.id).unlink(missing_ok=True)

    def is_alive(self, process_id: str | None, seen: bool = False) -> bool | None:
        """Tell whether the process of that id still runs; a dead one's lock file is removed.

        ``None`` if there is no trace of it: it came to its end, or never was one of this directory.
        ``seen`` says whether others had a sign of life of it: that counts for one of another place.
        """
        if process_id is None:
            return None
        place, _, number = process_id.rpartition(".")
        if place not in ("", self._place) or not is_uuid(number):
            return True if seen else None
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


def _place(directory: Path) -> str:
    """Return the name of the directory as it is on this machine; it is given one if need be."""
    path = directory / PLACE
    draft = directory / f"{PLACE}.{new_id()}"
    if not path.exists():
        draft.write_text(new_id(), encoding="utf-8")
        try:
            os.link(draft, path)  # whole or not at all, and never over that of another process
        except FileExistsError:
            pass
        except OSError:  # there are file systems without such links
            with FileLock(directory / f"{PLACE}.guard"):
                if not path.exists():
                    draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    name = f"{path.read_text(encoding='utf-8')} {socket.gethostname()}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]
