"""Several files changed on disk, all of them or none.

Everything that can fail early does: the new files are written beside those they replace, and so are
copies of those, before the first is renamed into place. When a step fails the earlier ones are
taken back from the copies.

Between the moment a person is shown a change and the moment it is made, others may write too. So
directories are opened one by one from the root, none of them through a symbolic link, and
everything is done relative to them; and a file is replaced only while it has the very bytes that
the change was worked out from.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cody_core.errors import ToolError

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

ONE_AT_A_TIME = threading.Lock()
"""Held while a change is worked out and made, so that calls of one process do not clash."""


@dataclass(frozen=True, slots=True)
class Step:
    """One file as it is and as it is to be; ``None`` is no file.

    Attributes:
        path: Where it is, resolved.
        before: Its bytes now.
        after: Its bytes then.
        like: The file whose permissions a new file gets, if not the usual ones.
    """

    path: Path
    before: bytes | None
    after: bytes | None
    like: Path | None = None


def commit(steps: Sequence[Step]) -> None:
    """Make all changes, or none.

    Raises:
        ToolError: one of them cannot be made; nothing was changed, unless the message says so.
    """
    with _Bench() as bench:
        staged = [bench.stage(step) for step in steps]
        for change in staged:
            bench.put_in_place(change)


def read_bytes(
    name: str | Path, *, directory: int | None = None, limit: int | None = None
) -> bytes:
    """Return the bytes of a regular file; neither a link nor anything that could block is opened.

    Raises:
        FileNotFoundError: there is nothing.
        OSError: it cannot be read.
        ToolError: it is something else than a file, or has more bytes than the limit.
    """
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            kind = "a directory" if stat.S_ISDIR(about.st_mode) else "not a regular file"
            msg = f"{str(name)!r} is {kind}."
            raise ToolError(msg)
        if limit is not None and about.st_size > limit:
            msg = (
                f"{str(name)!r} has {about.st_size / 1e6:.1f} MB, too many to be edited this way "
                f"(at most {limit / 1e6:g} MB). Use a command, such as sed, on it."
            )
            raise ToolError(msg)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Staged:
    """A step whose new file, and the copy of whose old one, lie ready under names of their own."""

    step: Step
    directory: int
    new: str | None
    old: str | None


class _Bench:
    """The open directories and unfinished files of one commit."""

    def __init__(self) -> None:
        self._directories: dict[Path, int] = {}
        self._created: list[tuple[int, str]] = []
        self._temporary: set[tuple[int, str]] = set()
        self._done: list[_Staged] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            lost = self._take_back() if error is not None else []
            self._clear(keep_directories=error is None)
        finally:
            for descriptor in self._directories.values():
                os.close(descriptor)
        if lost:
            msg = f"{error} What had been done could not be taken back: {'; '.join(lost)}."
            raise ToolError(msg) from error

    def stage(self, step: Step) -> _Staged:
        """Write what is needed for a step, and for taking it back."""
        with _translated(step.path):
            directory = self._directory(step.path.parent, create=step.after is not None)
            _verify(step, directory)
            about = None if step.before is None else os.lstat(step.path.name, dir_fd=directory)
            pattern = about if step.like is None else step.like.lstat()
            new = None if step.after is None else self._write(directory, step.after, pattern)
            old = None if step.before is None else self._write(directory, step.before, about)
            return _Staged(step, directory, new, old)

    def put_in_place(self, staged: _Staged) -> None:
        """Do a step."""
        name = staged.step.path.name
        with _translated(staged.step.path):
            _verify(staged.step, staged.directory)
            if staged.new is None:
                os.unlink(name, dir_fd=staged.directory)
            else:
                _rename(staged.new, name, staged.directory)
                self._temporary.discard((staged.directory, staged.new))
            self._done.append(staged)

    def _directory(self, path: Path, *, create: bool) -> int:
        """Open a directory; the path is resolved, so a link in it was put there since."""
        if (known := self._directories.get(path)) is not None:
            return known
        if path == path.parent:
            descriptor = os.open(path, _DIRECTORY)
        else:
            parent = self._directory(path.parent, create=create)
            if create:
                with suppress(FileExistsError):
                    os.mkdir(path.name, dir_fd=parent)
                    self._created.append((parent, path.name))
            descriptor = os.open(path.name, _DIRECTORY, dir_fd=parent)
        self._directories[path] = descriptor
        return descriptor

    def _write(self, directory: int, data: bytes, pattern: os.stat_result | None) -> str:
        """Write a file under a name of its own, with the owner and permissions of another."""
        name = f".cody-{secrets.token_hex(8)}.tmp"
        descriptor = os.open(name, _CREATE, 0o666, dir_fd=directory)
        self._temporary.add((directory, name))
        with open(descriptor, "wb") as file:
            file.write(data)
            if pattern is not None:
                with suppress(PermissionError):
                    os.fchown(descriptor, pattern.st_uid, pattern.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(pattern.st_mode) & 0o777)
        return name

    def _take_back(self) -> list[str]:
        """Undo what was done, the last first, and say what could not be."""
        lost = []
        for staged in reversed(self._done):
            name = staged.step.path.name
            try:
                if staged.old is None:
                    os.unlink(name, dir_fd=staged.directory)
                else:
                    _rename(staged.old, name, staged.directory)
            except OSError as error:
                # The copy may be all that is left of the file.
                self._temporary.discard((staged.directory, staged.old or ""))
                copy = f", its old content is in {staged.old!r} beside it" if staged.old else ""
                lost.append(f"{str(staged.step.path)!r} ({error.strerror}{copy})")
        return lost

    def _clear(self, *, keep_directories: bool) -> None:
        for directory, name in self._temporary:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
        for directory, name in [] if keep_directories else reversed(self._created):
            # Somebody else may have put something there.
            with suppress(OSError):
                os.rmdir(name, dir_fd=directory)


def _rename(source: str, target: str, directory: int) -> None:
    os.rename(source, target, src_dir_fd=directory, dst_dir_fd=directory)


def _verify(step: Step, directory: int) -> None:
    """Make sure that a file is still what the change was worked out from."""
    try:
        now: bytes | None = read_bytes(step.path.name, directory=directory)
    except FileNotFoundError:
        now = None
    if now != step.before:
        msg = f"{str(step.path)!r} has changed meanwhile; read it again."
        raise ToolError(msg)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{str(path)!r} cannot be written: {error.strerror}."
        raise ToolError(msg) from error
