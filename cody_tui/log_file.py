"""The log of the program: how it is written, and how it is read again.

A record is a line, with a traceback perhaps several: those that follow belong to it. No secret that
is known gets into it, and whatever is read from it is looked at again.
"""

from __future__ import annotations

import io
import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from cody_core.hiding import hide

from cody_tui.text import printable

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
PAUSE_SECONDS: Final = 0.2
"""Between two looks at a log that is followed."""
_BYTES: Final = 5_000_000
_LINE: Final = "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"
_BEGINS: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ ([A-Z]+) "


class LogFile(RotatingFileHandler):
    """Writes records into a file for its owner alone, and begins another when that is full."""

    def __init__(self, path: Path, secrets: Callable[[], Collection[str]]) -> None:
        super().__init__(path, maxBytes=_BYTES, backupCount=1, encoding="utf-8", delay=True)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as it is written, with every secret taken out."""
        return hide(logging.Formatter(_LINE).format(record), self._secrets())

    def _open(self) -> io.TextIOWrapper:
        # What a model said may be in it in parts, whose half characters no file can hold.
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="replace")


class LogReader:
    """Reads a log, and the one before it.

    Args:
        path: The file.
        level: The lowest level to read, one of ``LEVELS``.
        secrets: What to take out, in case a version of the program wrote it that did not know.
    """

    def __init__(self, path: Path, *, level: str, secrets: Collection[str]) -> None:
        self._path = path
        self._rank = LEVELS.index(level)
        self._secrets = secrets
        self._is_wanted = self._rank == 0
        self._rest = b""
        self._file: io.BufferedReader | None = None

    def last(self, count: int) -> list[str]:
        """Return the last lines, at most ``count``."""
        found: deque[str] = deque(maxlen=count)
        for path in (self._path.with_name(f"{self._path.name}.1"), self._path):
            self._open(path)
            found.extend(self._more())
        return list(found)

    def follow(self) -> Iterator[str]:
        """Yield what is added after ``last``, for ever."""
        while True:
            yield from self._more()
            if self._is_another():
                yield from self._more()  # of the old one, that came meanwhile
                self._open(self._path)
            else:
                time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self, path: Path) -> None:
        self.close()
        self._rest = b""
        try:
            self._file = path.open("rb")
        except FileNotFoundError:
            self._file = None

    def _more(self) -> Iterator[str]:
        """Yield the lines that have been added, whole ones only."""
        added = b"" if self._file is None else self._file.read()
        *lines, self._rest = (self._rest + added).split(b"\n")
        for line in (each.decode("utf-8", "replace") for each in lines):
            if begins := re.match(_BEGINS, line):
                level = begins[1].lower()
                self._is_wanted = level not in LEVELS or LEVELS.index(level) >= self._rank
            if self._is_wanted:
                yield hide(printable(line), self._secrets)

    def _is_another(self) -> bool:
        """Tell whether the name leads to another file by now."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or not os.path.samestat(there, os.fstat(self._file.fileno()))
