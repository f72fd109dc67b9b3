"""The terminal belongs to the app: what else is written to the standard streams goes to the log.

Python's own streams Textual captures. A library in C writes to descriptors 1 and 2, which therefore
lead to the log while the app runs; the terminal goes on as a descriptor of its own, which Textual's
driver finds as ``sys.__stderr__`` and its size by ``sys.__stdout__``.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

_STREAMS: Final = (1, 2)


class Quiet:
    """A context manager around a running app."""

    def __init__(self, log: Path) -> None:
        """Prepare; what is written besides the app is added to the file ``log``."""
        self._log = log
        self._kept: dict[int, int] = {}
        self._sink: int | None = None
        self._streams = (sys.__stdout__, sys.__stderr__)
        self._terminal: io.TextIOWrapper | None = None

    def __enter__(self) -> Self:
        if os.name == "nt":  # the console is no descriptor there
            return self
        _flush()
        self._kept = {number: os.dup(number) for number in _STREAMS}
        # Standard output is the one that is known to be a terminal.
        self._terminal = _open_terminal(os.dup(1))
        _set_streams(self._terminal, self._terminal)
        self._sink = _open_log(self._log)
        self.resume()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._terminal is None or self._sink is None:
            return
        self.suspend()
        _set_streams(*self._streams)
        for number in (*self._kept.values(), self._sink):
            os.close(number)
        self._terminal.close()
        self._terminal = None

    def write(self, sequence: str) -> None:
        """Write an escape sequence to the terminal, once the app does not any more."""
        if self._terminal is not None:
            self._terminal.write(sequence)
            self._terminal.flush()

    def suspend(self) -> None:
        """Give another program, or what is printed, the terminal."""
        _flush()
        for number, kept in self._kept.items():
            os.dup2(kept, number)

    def resume(self) -> None:
        """Send what is printed to the log again."""
        if self._sink is not None:
            for number in self._kept:
                os.dup2(self._sink, number)


def _set_streams(out: TextIO | None, error: TextIO | None) -> None:
    vars(sys).update(__stdout__=out, __stderr__=error)


def _flush() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()


def _open_log(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


class _Terminal(io.FileIO):
    """A terminal that may be hung up: the app still ends in order, painting for nobody."""

    def write(self, data: Buffer, /) -> int:
        """Write, or do as if."""
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


def _open_terminal(number: int) -> io.TextIOWrapper:
    encoding = getattr(sys.__stdout__, "encoding", "utf-8")
    raw = _Terminal(number, "w")
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors="replace")
