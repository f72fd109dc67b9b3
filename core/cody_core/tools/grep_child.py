"""Searches files for a regular expression, in a process that can be killed.

A regular expression of Python's may backtrack for years and holds the interpreter meanwhile: no
thread could be stopped, and no other would run. So this file is run as a program of its own
(``python -I grep_child.py``) and imports nothing but the standard library.

It writes what ripgrep writes with ``--null --line-number --column``, so that one parser reads
both: ``path NUL line : column : text`` for a match, ``path NUL line - text`` around one. Paths
come on standard input, each ended by NUL. The status is 2 for an expression that is not valid,
with the reason on standard error.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import stat
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONGEST_LINE = 16 << 20
"""What is searched at once; a longer line is searched in pieces of this size."""
_BUFFER = 1 << 16
_BINARY = (
    b'%s: WARNING: stopped searching binary file after match (found "\\0" byte around offset 0)'
)


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for.

    Attributes:
        context: How many lines around a match are written.
        binary: Whether a file with a null character is searched all the same.
    """

    regex: re.Pattern[str]
    context: int
    binary: bool

    def file(self, path: bytes) -> Iterator[bytes]:
        """Yield what to write for a file, as it is found."""
        before: deque[tuple[int, bytes]] = deque(maxlen=self.context)
        after = last = 0
        for number, line in self._lines(path):
            if b"\0" in line and not self.binary:
                yield _BINARY % path
                return
            if number == last:
                continue
            found = self._find(line)
            if found is not None:
                for earlier in before:
                    yield b"%s\0%d-%s" % (path, *earlier)
                yield b"%s\0%d:%d:%s" % (path, number, found, line)
                before.clear()
                last, after = number, self.context
            elif after > 0:
                yield b"%s\0%d-%s" % (path, number, line)
                after -= 1
            else:
                before.append((number, line))

    def _find(self, line: bytes) -> int | None:
        """Return the column of the first match, counted in bytes from 1."""
        text = line.decode("utf-8", "surrogateescape")
        found = self.regex.search(text)
        if found is None:
            return None
        return len(text[: found.start()].encode("utf-8", "surrogateescape")) + 1

    def _lines(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of a file without their ends; a very long one comes in pieces."""
        with _open(path) as file:
            if b"\0" in file.peek(_BUFFER) and not self.binary:
                return
            number, ended = 0, True
            while line := file.readline(LONGEST_LINE):
                number += ended
                ended = line.endswith(b"\n")
                yield number, line.removesuffix(b"\n").removesuffix(b"\r")


def _open(path: bytes) -> io.BufferedReader[Any]:
    """Open a regular file as UTF-8, whatever it is.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    raw = io.FileIO(os.open(path, flags))
    if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        raw.close()
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    file: io.BufferedReader[Any] = io.BufferedReader(raw, _BUFFER)
    head = file.peek(_BUFFER)
    if head.startswith(codecs.BOM_UTF8):
        file.seek(len(codecs.BOM_UTF8))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return io.BufferedReader(_Recoded(file), _BUFFER)
    return file


class _Recoded(io.RawIOBase):
    """A file in UTF-16, read as UTF-8."""

    def __init__(self, file: io.BufferedReader[Any]) -> None:
        self._text = io.TextIOWrapper(file, "utf-16", errors="replace", newline="\n")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what fits."""
        # No character takes more than four bytes.
        data = self._text.read(max(1, len(buffer) // 4)).encode("utf-8", "replace")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file as well."""
        self._text.close()
        super().close()


def _paths() -> Iterator[bytes]:
    rest = b""
    while chunk := os.read(0, _BUFFER):
        *paths, rest = (rest + chunk).split(b"\0")
        yield from paths


def main(pattern: str, ignore_case: str, context: str, binary: str) -> int:
    """Search the files named on standard input; return the exit status."""
    try:
        regex = re.compile(pattern, re.IGNORECASE if ignore_case == "yes" else 0)
    except (re.error, OverflowError, RecursionError) as error:
        sys.stderr.write(str(error))
        return 2
    search = Search(regex, int(context), binary == "yes")
    for path in _paths():
        try:
            for line in search.file(path):
                sys.stdout.buffer.write(line + b"\n")
        except (OSError, MemoryError):
            continue
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
