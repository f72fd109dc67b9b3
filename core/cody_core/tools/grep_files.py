"""``grep_files``: lines of files that match a regular expression.

ripgrep searches where it is installed, a child process of our own elsewhere; both write the same
and are read by the same parser. What ripgrep's expressions cannot say (looking around, ``{}`` for
itself) Python's may, so what it refuses is tried there. What is ignored is judged here for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.tasks import task_group
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from cody_core.tools.grep_output import Choice, Results
from cody_core.tools.ignore import walk
from cody_core.tools.reading import (
    READ_SECONDS,
    Stop,
    in_thread,
    is_binary,
    label,
    open_regular,
    target,
)
from cody_core.tools.workspace import private_below, resolve

DEFAULT_MATCHES = 100
MOST_MATCHES = 1000
_CHUNK = 1 << 16
_CHILD = Path(__file__).with_name("grep_child.py")
_RIPGREP = (
    # Whatever the user told ripgrep to do otherwise, its output is parsed here.
    *("--no-config", "--color=never", "--no-heading", "--with-filename", "--null"),
    *("--line-number", "--column", "--no-context-separator", "--no-messages", "--crlf"),
    *("--sort=path", "--no-require-git", "--no-ignore-global", "--no-ignore-dot"),
)


class GrepFilesArguments(BaseModel):
    """What the model says."""

    model_config = ConfigDict(extra="forbid")

    pattern: Annotated[
        str, Field(min_length=1, max_length=4000, description="A regular expression.")
    ]
    path: Annotated[
        str, Field(description="The directory or file to search; the workspace if left out.")
    ] = "."
    include: Annotated[
        str | None,
        Field(
            max_length=200,
            description="A glob: only files like it are searched, e.g. *.py or src/**/*.{ts,tsx}.",
        ),
    ] = None
    limit: Annotated[
        int, Field(ge=1, le=MOST_MATCHES, description="How many matching lines to show.")
    ] = DEFAULT_MATCHES
    context: Annotated[
        int, Field(ge=0, le=20, description="How many lines to show around each match.")
    ] = 0
    ignore_case: Annotated[bool, Field(description="Whether capitals do not matter.")] = False


class GrepFiles:
    """Searches files.

    Args:
        ripgrep: The path of ``rg``, if there is one.
        guarded: Directories in which nothing is found unless they are named.
        seconds: How long a search may take; it then shows what it has found.
    """

    name = "grep_files"
    description = (
        "Search the lines of files for a regular expression. Hidden files, binary files and what"
        " .gitignore names are left out."
    )
    kind: ToolKind = "read"
    arguments: type[BaseModel] = GrepFilesArguments

    def __init__(
        self,
        ripgrep: str | None = None,
        *,
        guarded: Sequence[Path] = (),
        seconds: float = READ_SECONDS,
    ) -> None:
        self._guarded = guarded
        self._ripgrep = ripgrep
        self._seconds = seconds

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Say what would be searched, and for what."""
        asked: GrepFilesArguments = arguments
        path = resolve(asked.path, context.workspace)
        where = label(path, context.workspace)
        only = f" ({asked.include!r})" if asked.include else ""
        return Intent(f"search {where}{only} for {asked.pattern!r}", paths=(path,))

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Search it."""
        asked: GrepFilesArguments = arguments
        path = target(asked.path, context)
        name = label(path, context.workspace)
        _check_pattern(asked.pattern)
        try:
            skip = private_below(path, self._guarded)
            choose = partial(_choose, path, name, asked.include, context.workspace, skip)
            choice = await in_thread(choose)
            results = await self._search(_Search(asked, choice, self._seconds))
        except FileNotFoundError as error:
            raise ToolError(f"There is no file or directory {name}.") from error
        except OSError as error:
            raise ToolError(f"{name} cannot be searched: {error.strerror}") from error
        return ToolResult(results.report())

    async def _search(self, search: _Search) -> Results:
        results = None
        if self._ripgrep is not None:
            results = await search.with_ripgrep(self._ripgrep)
        return results if results is not None else await search.with_python()


@dataclass
class _Search:
    """One search, by one means or the other."""

    asked: GrepFilesArguments
    choice: Choice
    seconds: float

    async def with_ripgrep(self, program: str) -> Results | None:
        """Return what ripgrep finds, or ``None`` if it does not take the expression."""
        options = [*_RIPGREP, f"--context={self.asked.context}"]
        if self.asked.ignore_case:
            options.append("--ignore-case")
        if self.choice.single is not None:
            options.append("--text")
        elif self.choice.extension is not None:
            options.append(f"--glob={self.choice.extension}")
        where = f"./{self.choice.single or ''}"
        argv = [program, *options, f"--regexp={self.asked.pattern}", "--", where]
        results, complaint = await self._run(argv, None)
        return None if complaint and not results.found else results

    async def with_python(self) -> Results:
        """Return what Python finds.

        Raises:
            ToolError: the expression is not valid.
        """
        paths = await in_thread(self._paths)
        single = "no" if self.choice.single is None else "yes"
        ignore_case = "yes" if self.asked.ignore_case else "no"
        argv = [sys.executable, "-I", "-B", str(_CHILD)]
        argv += [self.asked.pattern, ignore_case, str(self.asked.context), single]
        results, complaint = await self._run(argv, paths)
        if complaint and not results.found:
            raise ToolError(f"The pattern is not a regular expression that works: {complaint}.")
        return results

    def _paths(self, stop: Stop) -> bytes:
        """Return the names of the files to search, each ended by a null character."""
        if self.choice.single is not None:
            return b"./" + os.fsencode(self.choice.single) + b"\0"
        root = str(self.choice.root).rstrip("/")
        names = [
            b"./" + os.fsencode(name) + b"\0"
            for entry in walk(self.choice.root, stop, hidden=False, skip=self.choice.skip)
            if entry.is_file(follow_symlinks=False)
            and self.choice.includes(name := entry.path[len(root) + 1 :])
        ]
        return b"".join(names)

    async def _run(self, argv: Sequence[str], given: bytes | None) -> tuple[Results, str]:
        """Run a program; return its results and what it says on standard error."""
        results = Results(self.choice, self.asked.limit)
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=self.choice.root,
            # Neither needs any of ours: no settings, no secrets.
            env={"LC_ALL": "C.UTF-8"},
            stdin=asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(self.seconds):
                return results, await _collect(process, given or b"", results)
        except TimeoutError:
            results.stopped = self.seconds
            return results, ""
        finally:
            await _end(process)


async def _collect(process: asyncio.subprocess.Process, given: bytes, results: Results) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    async with task_group() as tasks:
        feeding = tasks.create_task(_feed(process.stdin, given))
        while not results.full and (chunk := await process.stdout.read(_CHUNK)):
            # It reads rules of what is ignored, and those may be long.
            await asyncio.to_thread(results.feed, chunk)
        feeding.cancel()
        if results.full:
            return ""
        complaint = await process.stderr.read()
    results.end()
    return complaint.decode(errors="replace").strip()


async def _feed(stdin: asyncio.StreamWriter | None, data: bytes) -> None:
    if stdin is None:
        return
    # A child that does not take the expression does not take the files either.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for start in range(0, len(data), _CHUNK):
            stdin.write(data[start : start + _CHUNK])
            await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a process if it still runs, and wait until it is gone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    # asyncio takes a process for finished only when its pipes have been read to their ends.
    for stream in (process.stdout, process.stderr):
        while stream is not None and await stream.read(_CHUNK):
            pass
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()


def _check_pattern(pattern: str) -> None:
    try:
        pattern.encode()
    except UnicodeEncodeError as error:
        raise ToolError(f"The pattern is not text at position {error.start}.") from error
    if "\0" in pattern:
        raise ToolError(f"The pattern has a null character at position {pattern.index(chr(0))}.")


def _choose(
    path: Path,
    name: str,
    include: str | None,
    workspace: Path,
    skip: Callable[[str], bool],
    _: Stop,
) -> Choice:
    """Return which files to search: those of a directory, or one.

    Raises:
        ToolError: it is neither file nor directory, or not text.
        OSError: it is not there, or may not be read.
    """
    if stat.S_ISDIR(os.stat(path, follow_symlinks=False).st_mode):
        return Choice(path, workspace, include, None, skip)
    descriptor = open_regular(path, name)
    try:
        if is_binary(descriptor):
            raise ToolError(f"{name} is not text.")
    finally:
        os.close(descriptor)
    return Choice(path.parent, workspace, None, path.name)
