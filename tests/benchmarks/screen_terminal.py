"""A terminal that remembers: what a program wrote and when, shown afterwards.

A thread does nothing but note bytes with their times and answer what a program asks a terminal. The
emulator is fed when the program is done with: fed live, it would be late, and slow the program down
through a full pipe.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import pyte

from benchmarks.usage import Usage

COLUMNS: Final = 120
LINES: Final = 40
_ANSWERS: Final[dict[bytes, bytes]] = {
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b[6n": b"\x1b[1;1R",
    b"\x1b]10;?": b"\x1b]10;rgb:dddd/dddd/dddd\x1b\\",
    b"\x1b]11;?": b"\x1b]11;rgb:1111/1111/1111\x1b\\",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
}
"""What programs ask, and what is said: synchronised output is there."""
_QUERY: Final = re.compile(b"|".join(map(re.escape, _ANSWERS)))
_STYLES: Final = re.compile(rb"\x1b\[[0-9;]*m")
PATIENCE: Final = 20.0
"""Seconds after which something that is waited for will not come any more."""


class Terminal:
    """A program in a terminal, from its start to the end of the ``with``, whatever ends that."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> None:
        self._command = command
        self._environment = environment
        self._cwd = cwd
        self.output: list[tuple[float, bytes]] = []
        """What was read and when, by ``perf_counter``."""

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        try:
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
            self.began = time.perf_counter()
            self._process = subprocess.Popen(
                self._command,
                stdin=slave, stdout=slave, stderr=slave,
                env=self._environment, cwd=self._cwd, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        try:
            if raised is None:
                self._let_go()
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(PATIENCE)
            os.close(self._master)

    def _let_go(self) -> None:
        """Ask the program to end, and give it the time to do that in order."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.type("\x11")
            self._process.wait(PATIENCE)

    def _read(self) -> None:
        while True:
            select.select([self._master], [], [])
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the program has left
                return
            self.output.append((time.perf_counter(), data))
            for query in _QUERY.findall(data):
                os.write(self._master, _ANSWERS[query])

    def type(self, text: str) -> float:
        """Press keys; return when."""
        now = time.perf_counter()
        os.write(self._master, text.encode())
        return now

    def until(self, text: str, *, since: int = 0, patience: float = PATIENCE) -> int:
        """Wait until a text was written; return how much output there is then.

        Args:
            text: The text.
            since: How much output there was when the wait began to make sense.
            patience: Seconds to wait.
        """
        self._wait(lambda: self.wrote(text, since=since), f"{text!r} did not appear", patience)
        return len(self.output)

    def wrote(self, text: str, *, since: int = 0) -> bool:
        """Tell whether a text was written on one row, whatever its styles, after that output."""
        return text.encode() in _STYLES.sub(b"", b"".join(data for _, data in self.output[since:]))

    def until_painted(self, since: int) -> float:
        """Wait for a whole frame that came after that much output; return when it did."""

        def came() -> bool:
            return any(b"\x1b[?2026l" in data for _, data in self.output[since:])

        self._wait(came, "nothing was painted", PATIENCE)
        return next(when for when, data in self.output[since:] if b"\x1b[?2026l" in data)

    def _wait(self, came: Callable[[], bool], complaint: str, patience: float) -> None:
        end = time.perf_counter() + patience
        while not came():
            if time.perf_counter() > end:
                raise TimeoutError(complaint + ":\n" + "\n".join(self._last_screen()))
            time.sleep(0.002)

    def _last_screen(self) -> list[str]:
        rows: list[str] = []
        for _, screen in self.screens():
            rows = screen.display
        return [row.rstrip() for row in rows]

    def screens(self, since: int = 0) -> Iterator[tuple[float, pyte.Screen]]:
        """Yield the screen after each read, with its time; ``dirty`` says which rows changed.

        It is one object that goes on changing. Before ``since`` nothing is yielded, but all is fed.
        """
        screen = pyte.Screen(COLUMNS, LINES)
        stream = pyte.Stream(screen)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for number, (when, data) in enumerate(self.output):
            screen.dirty.clear()
            stream.feed(decoder.decode(data))
            if number >= since:
                yield when, screen

    def shown(self, text: str, *, since: int = 0) -> float:
        """Return when a text was first seen on one row, in output after that much of it."""
        for when, screen in self.screens(since):
            if any(text in row_of(screen, y) for y in sorted(screen.dirty)):
                return when
        msg = f"{text!r} was never shown"
        raise LookupError(msg)

    @property
    def usage(self) -> Usage:
        """What the program costs."""
        return Usage(self._process.pid)


def row_of(screen: pyte.Screen, y: int) -> str:
    """Return the text of a row."""
    row = screen.buffer[y]
    return "".join(row[x].data for x in range(screen.columns))
