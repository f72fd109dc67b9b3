"""What the reading tools share: the path a call names, names that are safe to show, an end in time.

A file name is bytes that somebody else chose: it may hold a line end, an escape sequence or what
is not text in any encoding. Shown, it is one line of printable characters, always.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cody_core.errors import ToolError
from cody_core.tools import ToolContext
from cody_core.tools.workspace import resolve, shown

T = TypeVar("T")

READ_SECONDS = 20.0
"""How long a call may go on looking; it then says what it has found."""


class Stop:
    """Tells a thread to stop, because nobody waits any longer or because it took too long."""

    def __init__(self, seconds: float = READ_SECONDS) -> None:
        self._ends = time.monotonic() + seconds
        self._cancelled = threading.Event()

    def __call__(self) -> bool:
        """Tell whether it is time to stop."""
        return self._cancelled.is_set() or time.monotonic() > self._ends

    def cancel(self) -> None:
        """Make it time to stop."""
        self._cancelled.set()


async def in_thread(work: Callable[[Stop], T]) -> T:
    """Run work that blocks; it is told to stop when the call is cancelled or takes too long."""
    stop = Stop()
    try:
        return await asyncio.to_thread(work, stop)
    finally:
        stop.cancel()


def target(path: str, context: ToolContext) -> Path:
    """Return where the path of a call leads, which must be where it led when it was approved.

    Raises:
        ToolError: it leads nowhere, or a link was changed in the meantime.
    """
    found = resolve(path, context.workspace)
    if context.intent is not None and found not in context.intent.paths:
        msg = f"{path!r} does not lead where it did when the call was approved"
        raise ToolError(msg)
    return found


def label(path: Path, workspace: Path) -> str:
    """Return a path as it is shown, relative where it lies in the workspace."""
    return printable(shown(path, workspace))


def printable(name: str) -> str:
    """Return a name as it is, or quoted and escaped if it holds anything that does not print."""
    return name if name.isprintable() else repr(name)


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 1000:
        return f"{count} B"
    units = ["kB", "MB", "GB", "TB"]
    number = count / 1000
    while number >= 999.95 and len(units) > 1:
        number /= 1000
        del units[0]
    return f"{number:.1f} {units[0]}"


def open_regular(path: Path, name: str) -> int:
    """Open a regular file for reading and return its descriptor.

    What is looked at before it is opened is looked at again after: opening a device or a pipe
    may do something, or wait.

    Raises:
        ToolError: it is something else.
        OSError: it cannot be opened.
    """
    _refuse_special(os.stat(path, follow_symlinks=False).st_mode, name)
    flags = os.O_RDONLY
    for optional in ("O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY", "O_CLOEXEC"):
        flags |= getattr(os, optional, 0)
    descriptor = os.open(path, flags)
    try:
        _refuse_special(os.fstat(descriptor).st_mode, name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_binary(descriptor: int) -> bool:
    """Tell whether the beginning of a file is not text: a null character, and no UTF-16 mark."""
    head = os.read(descriptor, 8192)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))


def _refuse_special(mode: int, name: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        msg = f"{name} is a directory; list_dir shows what is in it"
    elif stat.S_ISLNK(mode):
        msg = f"{name} has just become a symbolic link"
    else:
        kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISBLK, "block device"))
        kind = next((word for test, word in kinds if test(mode)), "character device")
        msg = f"{name} is a {kind}, not a file"
    raise ToolError(msg)
