"""What the editing tools share: from planned changes to what is shown, checked, done and told.

A tool works its changes out in memory, ``plan``; the rest is here. What a person approves is the
plan at that moment. The call makes a new one, and goes on only if every file is still what it was.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from cody_core.errors import ToolError
from cody_core.tools import BaseTool, Intent, ToolContext, ToolKind, ToolResult
from cody_core.tools.edits_commit import ONE_AT_A_TIME, Step, commit, read_bytes
from cody_core.tools.edits_diff import FileDiff, diff, one_line
from cody_core.tools.workspace import shown

T = TypeVar("T")

MAX_BYTES = 4_000_000
"""The largest file that is edited: a person must be able to look at what is done."""
MAX_PREVIEW = 60_000
_FILES_NAMED = 6


@dataclass(frozen=True)
class Change:
    """What becomes of one file.

    Attributes:
        path: The file, resolved.
        before: Its bytes, or ``None`` if it is to be created.
        after: What they will be, or ``None`` if it is to be deleted.
        name: What people and models call it.
        moved_to: Where it goes and what it is called there, if it moves.
    """

    path: Path
    before: bytes | None
    after: bytes | None
    name: str
    moved_to: tuple[Path, str] | None = None

    @cached_property
    def diff(self) -> FileDiff:
        """The unified diff of the file."""
        new = self.name if self.moved_to is None else self.moved_to[1]
        return diff(self.before, self.after, self.name, new)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is to be done on disk."""
        if self.moved_to is None:
            return (Step(self.path, self.before, self.after),)
        arrival = Step(self.moved_to[0], None, self.after, like=self.path)
        return (arrival, Step(self.path, self.before, None))

    def told(self, *, done: bool) -> str:
        """Say in a few words what becomes, or became, of the file."""
        counts = f"(+{self.diff.added} −{self.diff.removed})"  # noqa: RUF001 - a minus sign
        if self.moved_to is not None:
            verb = "moved" if done else "move"
            return f"{verb} {one_line(self.name)} to {one_line(self.moved_to[1])} {counts}"
        if self.before is None:
            verb = "added" if done else "add"
        elif self.after is None:
            verb = "deleted" if done else "delete"
        else:
            verb = "edited" if done else "edit"
        return f"{verb} {one_line(self.name)} {counts}"


class EditTool(BaseTool, ABC):
    """A tool that changes files as planned."""

    kind: ToolKind = "write"

    @abstractmethod
    def plan(self, arguments: Any, workspace: Path) -> Sequence[Change]:
        """Work out what is to be changed, and change nothing.

        Raises:
            ToolError: it cannot be done.
        """

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Return what would be changed, with its diff."""
        return intent(await asyncio.to_thread(self.plan, arguments, context.workspace))

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Make the change. A cancelled call has made it, or has not, when it returns."""

        def perform() -> str:
            with ONE_AT_A_TIME:
                changes = self.plan(arguments, context.workspace)
                if context.intent is not None:
                    _check_basis(changes, context.intent)
                commit([step for change in changes for step in change.steps])
                return "\n".join(change.told(done=True) for change in changes)

        return ToolResult(await to_the_end(perform))


def read_file(path: Path, name: str) -> bytes | None:
    """Return the bytes of a file, or ``None`` where there is none.

    Raises:
        ToolError: it cannot be read, or is too large to be edited.
    """
    try:
        return read_bytes(path, limit=MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{name!r} cannot be read: {error.strerror}"
        raise ToolError(msg) from error


def change_file(
    path: Path,
    before: bytes | None,
    after: bytes,
    workspace: Path,
    moved_to: Path | None = None,
) -> Change:
    """Plan new bytes for a file, or a new place.

    Raises:
        ToolError: there are too many.
    """
    name = shown(path, workspace)
    if len(after) > MAX_BYTES:
        msg = f"{name!r} would have {len(after) / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:g} MB."
        raise ToolError(msg)
    target = None if moved_to is None else (moved_to, shown(moved_to, workspace))
    return Change(path, before, after, name, target)


def intent(changes: Sequence[Change]) -> Intent:
    """Return what a person is asked to approve."""
    told = [change.told(done=False) for change in changes[:_FILES_NAMED]]
    if len(changes) > _FILES_NAMED:
        told.append(f"and {len(changes) - _FILES_NAMED} more files")
    basis = _basis(changes)
    return Intent(
        summary=", ".join(told),
        preview=_capped("".join(change.diff.text for change in changes)),
        paths=tuple(basis),
        basis=basis,
    )


async def to_the_end(work: Callable[[], T]) -> T:
    """Run something in a thread; when cancelled, wait until it has ended."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # Nobody is left to hear how it went; an exception nobody asks for would be logged.
        future.exception()
        raise cancelled
    return future.result()


def _basis(changes: Sequence[Change]) -> dict[Path, str | None]:
    return {
        step.path: None if step.before is None else hashlib.sha256(step.before).hexdigest()
        for change in changes
        for step in reversed(change.steps)
    }


def _check_basis(changes: Sequence[Change], approved: Intent) -> None:
    """Make sure that the plan is about the same files, as they were when it was approved."""
    for path, digest in _basis(changes).items():
        if path not in approved.basis or approved.basis[path] != digest:
            msg = f"{str(path)!r} has changed since it was shown; read it again, then try again."
            raise ToolError(msg)


def _capped(preview: str) -> str:
    if len(preview) <= MAX_PREVIEW:
        return preview
    head = preview[:MAX_PREVIEW]
    left = preview.count("\n") - head.count("\n")
    return f"{head}\n… the preview ends here, {left} more lines are not shown\n"
