"""Prompts that are being written, kept in files: they survive a crash and a change of thread.

What is put is in memory at once and on disk with the next ``flush``, which may run in a thread.
A flush writes what is newest when it writes, so that late ones do no harm.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Final

_THREAD_TO_COME: Final = "new"


class Drafts:
    """The drafts of all threads, and of the one to come, which is ``None``."""

    def __init__(self, folder: Path | None = None) -> None:
        """Keep drafts in a folder, or only in memory."""
        self._folder = folder
        self._texts: dict[str | None, str] = {}
        self._changed: set[str | None] = set()
        self._lock = threading.Lock()

    def put(self, thread_id: str | None, text: str) -> None:
        """Keep a draft; an empty one is none."""
        if self._texts.get(thread_id) != text:
            self._texts[thread_id] = text
            self._changed.add(thread_id)

    def get(self, thread_id: str | None) -> str:
        """Return a draft, which may have to be read; one that cannot be is none."""
        if thread_id in self._texts:
            return self._texts[thread_id]
        if self._folder is None:
            return ""
        try:
            return self._path(self._folder, thread_id).read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            return ""

    def flush(self) -> None:
        """Write what has changed.

        Raises:
            OSError: a draft cannot be written; it is tried again with the next flush.
        """
        with self._lock:
            for thread_id in list(self._changed):
                self._changed.discard(thread_id)
                try:
                    if self._folder is not None:
                        _write(self._path(self._folder, thread_id), self._texts[thread_id])
                except OSError:
                    self._changed.add(thread_id)
                    raise

    def _path(self, folder: Path, thread_id: str | None) -> Path:
        return folder / f"{thread_id or _THREAD_TO_COME}.txt"


def _write(path: Path, text: str) -> None:
    """Replace a file at once: whatever happens, either text is there as a whole."""
    if not text.strip():
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".draft-", dir=path.parent)  # is 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
