"""The shell: a command, live output, and an end to everything it started.

A command runs in a session and process group of its own, without terminal or input. Whatever ends
the call ends the group: SIGTERM, a moment of grace, SIGKILL. What a finished command left running
in the background is ended too; a process that is to stay leaves the group with ``setsid``.

A timeout or a cancellation must not spare those who left. On Linux they are found by a mark in
their environment, which children inherit whatever session they are in; elsewhere, or with the
environment cleared, a process that left the group is out of reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cody_core.errors import ToolError
from cody_core.ids import new_id
from cody_core.tasks import task_group
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from cody_core.tools.output import Output, ended
from cody_core.tools.workspace import resolve

DEFAULT_SECONDS = 120.0
MAX_SECONDS = 600.0
GRACE_SECONDS = 0.5
"""Between SIGTERM and SIGKILL."""
SETTLE_SECONDS = 0.2
"""What a finished command left running, and what holds the pipe open, may take to finish."""
REAP_SECONDS = 1.0
"""How long a killed shell is waited for; only one that the kernel holds takes longer."""
TICK_SECONDS = 0.02
EMIT_SECONDS = 0.05
"""Between two pieces of live output."""
SUMMARY_LENGTH = 200
MARK = "CODY_CALL"
SWEEPS = 5
"""How often marked processes are looked for: one may start another while the first is killed."""
_SIGNALS = {number.value: number.name for number in signal.Signals if number < 32}


class ShellArguments(BaseModel):
    """What the model says."""

    model_config = ConfigDict(extra="forbid")

    command: Annotated[str, Field(min_length=1, description="The command, as typed in a shell.")]
    timeout_s: Annotated[
        float | None,
        Field(
            gt=0,
            le=MAX_SECONDS,
            description=f"Seconds it may take: {DEFAULT_SECONDS:g} if left out,"
            f" at most {MAX_SECONDS:g}.",
        ),
    ] = None
    workdir: Annotated[
        str | None,
        Field(description="The directory to run it in; the workspace if left out."),
    ] = None


class Shell:
    """Runs commands.

    Args:
        environment: What children get; see ``child_environment``.
        shell: The shell to run them with; bash where there is one.
    """

    name = "shell"
    kind: ToolKind = "execute"
    arguments: type[BaseModel] = ShellArguments

    def __init__(self, environment: Mapping[str, str], *, shell: str | None = None) -> None:
        self._environment = dict(environment)
        self._shell = shell or next(
            (path for path in ("/bin/bash", "/bin/sh") if Path(path).exists()), "sh"
        )
        self.description = (
            f"Run a command with {Path(self._shell).name} and return what it prints (stdout and"
            " stderr together, the middle left out if it is long) and its exit code. There is no"
            " terminal and no input: use flags that keep programs from asking. Processes left in"
            " the background are stopped when the command ends."
        )

    async def intend(self, arguments: Any, context: ToolContext) -> Intent:
        """Say which command would run where.

        Raises:
            ToolError: there is no such directory.
        """
        workdir = _directory(arguments.workdir, context.workspace)
        return Intent(
            summary=_one_line(arguments.command),
            preview=f"workdir: {_printable(str(workdir))}\n\n{arguments.command}",
            command=arguments.command,
            paths=(workdir,),
        )

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Run a command to its end, and end it early if the call is cancelled or takes too long.

        Raises:
            ToolError: it cannot be started.
        """
        workdir = _directory(arguments.workdir, context.workspace)
        if context.intent is not None and context.intent.paths != (workdir,):
            msg = f"workdir now leads to {str(workdir)!r}, which is not what was approved"
            raise ToolError(msg)
        limit, began = arguments.timeout_s or DEFAULT_SECONDS, time.monotonic()
        # Without "--" a command that begins with a dash is taken for an option of the shell.
        argv = [self._shell, "-c", "--", arguments.command]
        async with (
            task_group() as tasks,
            _Process.open(argv, workdir, self._environment) as process,
        ):
            tasks.create_task(_show(process, context.emit))
            in_time = await process.finish(limit)
        status = process.status() if in_time else _out_of_time(limit)
        text = ended(process.output.text())
        return ToolResult(
            f"{text}[{status} · {time.monotonic() - began:.1f} s]",
            success=in_time and process.succeeded,
        )


class _Process(asyncio.Protocol):
    """A running command and everything it starts; what they print goes to ``output``."""

    def __init__(self, child: subprocess.Popen[bytes], mark: str) -> None:
        self.output = Output()
        self.arrived = asyncio.Event()
        self.over = asyncio.Event()
        self._child = child
        self._mark = mark
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None
        self._finished = False
        self._left_some = False
        self._group_gone = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls, argv: Sequence[str], workdir: Path, environment: Mapping[str, str]
    ) -> AsyncIterator[_Process]:
        """Run a command while the block runs; nothing of it is left afterwards.

        Raises:
            ToolError: it cannot be started.
        """
        mark = new_id()
        # Nothing may suspend before the ``try``: a cancelled call would not know what to kill.
        process = cls(_spawn(argv, workdir, {**environment, MARK: mark}), f"{MARK}={mark}")
        loop = asyncio.get_running_loop()
        try:
            threading.Thread(target=process._watch, args=(loop,), daemon=True).start()
            await loop.connect_read_pipe(lambda: process, process._child.stdout)
            yield process
        finally:
            try:
                await process._stop()
            finally:
                process._let_go()

    @property
    def succeeded(self) -> bool:
        """Whether the shell ended, and with exit code 0."""
        return self._child.returncode == 0

    def status(self) -> str:
        """Say how it ended."""
        code = self._child.returncode
        if code is None:
            ending = "killed, but the system has not let go of it"
        elif code < 0:
            ending = f"killed by {_SIGNALS.get(-code, f'signal {-code}')}"
        else:
            # A shell says with 128 and its number which signal killed what it ran.
            ended_by = _SIGNALS.get(code - 128)
            ending = f"exit code {code} ({ended_by})" if ended_by else f"exit code {code}"
        return f"{ending} · stopped what was left in the background" if self._left_some else ending

    async def finish(self, seconds: float) -> bool:
        """Wait until the command has ended; tell whether it did in time."""
        self._finished = await _within(seconds, self._exited)
        if self._finished:
            self._left_some = not await self._dies(SETTLE_SECONDS)
        return self._finished

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read what is printed."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what was printed."""
        self.output.add(data)
        self.arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody can print any more."""
        self._closed.set()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._child.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._exited.set)

    async def _stop(self) -> None:
        """End the whole group and read what it still had to say."""
        try:
            self._signal(signal.SIGTERM)
            await self._dies(GRACE_SECONDS)
        finally:
            self._kill()
        await _within(REAP_SECONDS, self._exited)
        # Whoever left the group may hold the pipe open for as long as it likes.
        await _within(SETTLE_SECONDS, self._closed)

    def _let_go(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self.over.set()
        self.arrived.set()

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        if not self._finished:
            _kill_marked(self._mark.encode())

    async def _dies(self, seconds: float) -> bool:
        """Wait until nobody is alive in the group; tell whether that came to pass."""
        deadline = time.monotonic() + seconds
        while self._signal(0) and _is_alive(self._child.pid):
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(TICK_SECONDS)
        return True

    def _signal(self, number: int) -> bool:
        """Signal the group; tell whether there was anybody in it."""
        if not self._group_gone:
            try:
                os.killpg(self._child.pid, number)
            except (ProcessLookupError, PermissionError):
                # From now on the number may be somebody else's.
                self._group_gone = True
        return not self._group_gone


async def _show(process: _Process, emit: Callable[[str], Awaitable[None]]) -> None:
    """Emit the beginning of the output as it arrives, some of it at a time."""
    last = False
    while not last:
        await process.arrived.wait()
        process.arrived.clear()
        last = process.over.is_set()
        if text := process.output.fresh():
            await emit(text)
        await _within(EMIT_SECONDS, process.over)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event; tell whether it came in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _spawn(
    argv: Sequence[str], workdir: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=workdir,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        hint = "; write it to a file and run that" if error.errno == errno.E2BIG else ""
        msg = f"the command cannot be started: {error.strerror}{hint}"
        raise ToolError(msg) from error
    except ValueError as error:
        msg = "the command cannot be started: it holds a character that no command can hold"
        raise ToolError(msg) from error


def _pids() -> list[int]:
    """Return the ids of all processes, young ones first: ours are among them."""
    return sorted((int(name) for name in os.listdir("/proc") if name.isdecimal()), reverse=True)


def _is_alive(group: int) -> bool:
    """Tell whether a group that exists has more in it than dead whom nobody has buried.

    Whoever buries orphans may be slow, and in a container there is often nobody.
    """
    return sys.platform != "linux" or any(_is_alive_in(group, pid) for pid in _pids())


def _is_alive_in(group: int, pid: int) -> bool:
    try:
        # The name comes first, in brackets, and may hold anything, brackets too.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return int(fields[2]) == group and fields[0] not in (b"Z", b"X")


def _kill_marked(mark: bytes) -> None:
    """Kill every process that has a mark in its environment, where that can be seen."""
    if sys.platform == "linux":
        for _ in range(SWEEPS):
            if not sum(_kill_if_marked(pid, mark) for pid in _pids()):
                return


def _kill_if_marked(pid: int, mark: bytes) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # The handle was there first, so it is the process that was looked at that is killed.
        marked = mark in Path(f"/proc/{pid}/environ").read_bytes()
        if marked:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return marked


def _directory(workdir: str | None, workspace: Path) -> Path:
    """Return where to run a command, or say why it cannot be run there."""
    path = workspace.resolve() if workdir is None else resolve(workdir, workspace)
    if not path.is_dir():
        is_what = "not a directory" if path.exists() else "not there"
        msg = f"workdir {str(path)!r} is {is_what}; leave it out to run in the workspace"
        raise ToolError(msg)
    return path


def _out_of_time(limit: float) -> str:
    if limit >= MAX_SECONDS:
        return f"stopped after {limit:g} s, before it ended; do less at once"
    return (
        f"stopped after {limit:g} s, before it ended;"
        f" set timeout_s, at most {MAX_SECONDS:g}, to give it longer"
    )


def _one_line(command: str) -> str:
    line = " ⏎ ".join(_printable(part) for part in command.strip().splitlines())
    return line if len(line) <= SUMMARY_LENGTH else f"{line[: SUMMARY_LENGTH - 1]}…"


def _printable(text: str) -> str:
    """Escape what would not be seen, or would be seen as something else."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
