"""The shell with real commands, among them such as do not want to end."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cody_core.errors import RunClosed, ToolError
from cody_core.schema.items import FunctionCall
from cody_core.tools import Intent, ToolContext, ToolResult
from cody_core.tools.environment import child_environment
from cody_core.tools.registry import Registry
from cody_core.tools.shell import EMIT_SECONDS, Shell, ShellArguments

LONG = 120
"""Seconds that nothing here really takes: a command that sleeps so long has to be stopped."""
SHELLS = [path for path in ("/bin/bash", "/bin/sh") if Path(path).exists()]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows environments")


class Call:
    """One call, and what it has shown so far."""

    def __init__(self, workspace: Path, shell: Shell | None = None) -> None:
        self.shown: list[str] = []
        self._came = asyncio.Condition()
        self.shell = shell or Shell(child_environment(os.environ, secrets=()))
        self.context = ToolContext(run_id="r", call_id="c", emit=self._emit, workspace=workspace)

    async def _emit(self, text: str) -> None:
        async with self._came:
            self.shown.append(text)
            self._came.notify_all()

    async def lines(self, count: int) -> list[str]:
        """Wait until so many whole lines were shown."""
        async with self._came:
            await self._came.wait_for(lambda: "".join(self.shown).count("\n") >= count)
        return "".join(self.shown).splitlines()

    async def make(
        self, command: str, timeout_s: float | None = None, workdir: str | None = None
    ) -> ToolResult:
        arguments = ShellArguments(command=command, timeout_s=timeout_s, workdir=workdir)
        result = await self.shell.call(arguments, self.context)
        assert result.output.startswith("".join(self.shown))
        return replace(result, output=re.sub(r" · \d+\.\d s]$", "]", result.output))

    @asynccontextmanager
    async def under_way(self, command: str) -> AsyncIterator[asyncio.Task[ToolResult]]:
        """Have a command run in a task; it is to be cancelled within the block."""
        async with asyncio.TaskGroup() as tasks:
            yield tasks.create_task(self.make(command))


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call(tmp_path / "work")


def is_alive(pid: int) -> bool:
    ps = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return bool(ps.stdout.strip()) and not ps.stdout.strip().startswith(b"Z")


async def stopped_within(task: asyncio.Task[ToolResult], seconds: float) -> bool:
    began = time.monotonic()
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled() and time.monotonic() - began < seconds


@pytest.mark.parametrize(
    ("command", "output", "success"),
    [
        ("echo hello", "hello\n[exit code 0]", True),
        ("printf hello", "hello\n[exit code 0]", True),
        ("true", "[exit code 0]", True),
        ("echo no; exit 3", "no\n[exit code 3]", False),
        ("echo 1; echo 2 >&2; echo 3", "1\n2\n3\n[exit code 0]", True),
        ("kill -9 $$", "[killed by SIGKILL]", False),
        ("exit 143", "[exit code 143 (SIGTERM)]", False),
        ("exit 255", "[exit code 255]", False),
        (r"printf 'a\377\303(\342\202'", "a\ufffd\ufffd(\ufffd\n[exit code 0]", True),
        ("echo '日本🙂'", "日本🙂\n[exit code 0]", True),
        ("cat; echo $?", "0\n[exit code 0]", True),
        ("for i in a b; do\n  echo $i\ndone\n", "a\nb\n[exit code 0]", True),
        ("exec >&- 2>&-; exit 7", "[exit code 7]", False),
    ],
)
async def test_a_command_returns_what_it_printed_and_how_it_ended(
    call: Call, command: str, output: str, success: bool
) -> None:
    assert await call.make(command) == ToolResult(output, success)


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_command_that_begins_with_a_dash_is_no_option(tmp_path: Path, shell: str) -> None:
    result = await Call(tmp_path, Shell(os.environ, shell=shell)).make("-x; echo $0")
    assert result.output.endswith(f"{shell}\n[exit code 0]")
    assert "not found" in result.output


def test_the_model_is_told_which_shell_it_is() -> None:
    assert Shell({}, shell="/usr/bin/fish").description.startswith("Run a command with fish and")
    assert Shell({}).description.startswith(f"Run a command with {Path(SHELLS[0]).name} and")


async def test_there_is_no_terminal(call: Call) -> None:
    result = await call.make("test -t 0 || test -t 1 || test -t 2; echo $?; : < /dev/tty")
    assert result.output.startswith("1\n")
    assert not result.success


async def test_what_is_typed_is_not_taken_by_the_command(call: Call) -> None:
    (reading, writing), own = os.pipe(), os.dup(0)
    os.dup2(reading, 0)
    try:
        assert await call.make("cat; echo $?") == ToolResult("0\n[exit code 0]")
    finally:
        os.dup2(own, 0)
        for file in (reading, writing, own):
            os.close(file)


async def test_secrets_are_not_in_the_environment(tmp_path: Path) -> None:
    secret = "sk-proj-0123456789"
    source = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": secret, "COPY": secret, "PLAIN": "yes"}
    shell = Shell(child_environment(source, secrets=[secret]))
    output = (await Call(tmp_path, shell).make("env")).output
    assert secret not in output
    assert "OPENAI_API_KEY" not in output
    assert {"PLAIN=yes", "TERM=dumb", "GIT_TERMINAL_PROMPT=0"} <= set(output.splitlines())


async def test_names_with_newlines_and_escapes_pass_as_they_are(call: Call) -> None:
    name = "a\n\x1b[31m$(exit 9)\r\x07'\"b"
    (call.context.workspace / name).touch()
    result = await call.make("printf '<%s>' *")
    assert result == ToolResult(f"<{name}>\n[exit code 0]")


async def test_output_is_shown_while_the_command_runs(call: Call) -> None:
    async with call.under_way(f"echo one; sleep {LONG}") as task:
        assert await call.lines(1) == ["one"]
        assert not task.done()
        task.cancel()


async def test_many_small_pieces_are_shown_together(call: Call) -> None:
    began = time.monotonic()
    result = await call.make("for i in $(seq 100); do echo $i; sleep 0.003; done")
    most = (time.monotonic() - began) / EMIT_SECONDS + 2
    assert 2 <= len(call.shown) <= most
    assert "".join(call.shown) == "".join(f"{n}\n" for n in range(1, 101))
    assert result.success


async def test_a_log_that_is_slow_does_not_hold_the_command_up(tmp_path: Path) -> None:
    shown, resume = [], asyncio.Event()

    async def emit(text: str) -> None:
        shown.append(text)
        await resume.wait()

    call = Call(tmp_path)
    call.context = replace(call.context, emit=emit)
    done = tmp_path / "done"
    async with call.under_way(f"echo first; yes | head -c 1000000; echo > {done}") as task:
        while not done.exists():
            await asyncio.sleep(0.01)
        resume.set()
        result = await task
    assert result.output.startswith("".join(shown))
    assert len("".join(shown)) == 16 * 1024


async def test_100_megabytes_cost_little_memory_and_leave_others_their_turn(call: Call) -> None:
    turns = 0
    tracemalloc.start()
    try:
        async with call.under_way("echo begin; yes | head -c 100000000; echo end") as task:
            while not task.done():
                await asyncio.sleep(0.001)
                turns += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    result = task.result()
    assert peak < 2_000_000
    assert turns > 20
    assert result.output.startswith("begin\ny\n")
    assert "[… 99,967,242 bytes with 49,983,621 line ends left out …]\n" in result.output
    assert result.output.endswith("y\nend\n[exit code 0]")
    assert len(result.output) < 40_000


async def test_a_line_of_ten_megabytes_is_cut_like_any_output(call: Call) -> None:
    result = await call.make("head -c 10000000 /dev/zero | tr '\\0' a")
    assert "aaa\n[… 9,967,232 bytes with 0 line ends left out …]\naaa" in result.output
    assert result.output.endswith("aaa\n[exit code 0]")


async def test_a_command_out_of_time_is_stopped_and_its_output_kept(call: Call) -> None:
    result = await call.make(f"echo begun; sleep {LONG}; echo over", timeout_s=0.5)
    hint = "set timeout_s, at most 600, to give it longer"
    text = f"begun\n[stopped after 0.5 s, before it ended; {hint}]"
    assert result == ToolResult(text, success=False)


async def test_a_command_out_of_time_may_clean_up_but_has_failed(call: Call) -> None:
    command = f"trap 'echo cleaned; exit 0' TERM; sleep {LONG} & wait"
    result = await call.make(command, timeout_s=0.5)
    assert result.output.startswith("cleaned\n[stopped after 0.5 s")
    assert not result.success


async def test_cancelling_kills_grandchildren_that_ignore_sigterm(call: Call) -> None:
    stubborn = f"trap '' TERM; sleep {LONG} & echo $!; (sleep {LONG} & echo $!; wait) & wait"
    async with call.under_way(f"trap '' TERM; echo $$; sh -c '{stubborn}'; wait") as task:
        pids = [int(line) for line in await call.lines(3)]
        assert all(is_alive(pid) for pid in pids)
        assert await stopped_within(task, 3)
    assert not any(is_alive(pid) for pid in pids)


async def test_cancelling_twice_does_not_spare_anybody(call: Call) -> None:
    async with call.under_way(f"trap '' TERM; echo $$; sleep {LONG} & echo $!; wait") as task:
        pids = [int(line) for line in await call.lines(2)]
        task.cancel()
        await asyncio.sleep(0)
        assert await stopped_within(task, 3)
    while any(is_alive(pid) for pid in pids):
        await asyncio.sleep(0.01)


async def test_cancelling_before_anything_has_happened_leaves_nothing(
    call: Call, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    for steps in range(6):
        async with call.under_way(f"exec 3> {fifo}; sleep {LONG}") as task:
            for _ in range(steps):
                await asyncio.sleep(0)
            assert await stopped_within(task, 3)
    # The end of the file: nobody is left who could write to it.
    assert os.read(held, 1) == b""
    os.close(held)


@on_linux
async def test_cancelling_finds_those_who_left_for_another_session(call: Call) -> None:
    async with call.under_way(f"setsid sh -c 'echo $$; sleep {LONG}' & wait") as task:
        (pid,) = (int(line) for line in await call.lines(1))
        assert await stopped_within(task, 3)
    while is_alive(pid):
        await asyncio.sleep(0.01)


async def test_an_output_that_nobody_takes_ends_the_command(tmp_path: Path) -> None:
    pids = []

    async def refuse(text: str) -> None:
        pids.append(int(text))
        msg = "the run is over"
        raise RunClosed(msg)

    call = Call(tmp_path)
    call.context = replace(call.context, emit=refuse)
    with pytest.raises(RunClosed, match="the run is over"):
        await call.make(f"echo $$; sleep {LONG}")
    assert not is_alive(pids[0])


@pytest.mark.parametrize(
    "command",
    [f"sleep {LONG} &", f"sleep {LONG} > /dev/null 2>&1 &", f"trap '' TERM; sleep {LONG} &"],
)
async def test_what_a_command_leaves_running_is_stopped(call: Call, command: str) -> None:
    began = time.monotonic()
    result = await call.make(f"{command} echo $!")
    pid = call.shown[0].strip()
    assert result == ToolResult(f"{pid}\n[exit code 0 · stopped what was left in the background]")
    assert not is_alive(int(pid))
    assert time.monotonic() - began < 5


async def test_what_ends_by_itself_right_after_is_waited_for(call: Call) -> None:
    result = await call.make("(while kill -0 $$; do :; done 2> /dev/null; echo late) & echo early")
    assert result == ToolResult("early\nlate\n[exit code 0]")


@on_linux
async def test_who_left_the_session_may_stay_and_does_not_hold_the_call_up(call: Call) -> None:
    began = time.monotonic()
    result = await call.make(
        f"setsid sh -c 'echo $$; : > ready; exec sleep {LONG}' &"
        " until test -e ready; do sleep 0.01; done"
    )
    pid = int(call.shown[0])
    try:
        assert result == ToolResult(f"{pid}\n[exit code 0]")
        assert is_alive(pid)
        assert time.monotonic() - began < 5
    finally:
        os.kill(pid, 9)


async def test_the_intent_shows_the_whole_command_and_where_it_runs(call: Call) -> None:
    workdir = call.context.workspace / "sub"
    workdir.mkdir()
    (call.context.workspace / "link").symlink_to(workdir)
    command = "echo 'a  b'\n\x1b]0;x\x07rm \u202e-rf\n"
    arguments = ShellArguments(command=command, workdir="link")
    assert await call.shell.intend(arguments, call.context) == Intent(
        summary="echo 'a  b' ⏎ \\x1b]0;x\\x07rm \\u202e-rf",
        preview=f"workdir: {workdir}\n\n{command}",
        command=command,
        paths=(workdir,),
    )


async def test_a_long_command_is_one_line_in_short(call: Call) -> None:
    intent = await call.shell.intend(ShellArguments(command="x" * 5000), call.context)
    assert intent.summary == "x" * 199 + "…"
    assert intent.preview == f"workdir: {call.context.workspace}\n\n{'x' * 5000}"


async def test_a_command_runs_in_its_workdir(call: Call) -> None:
    (call.context.workspace / "sub").mkdir()
    for workdir, where in ((None, "."), ("sub", "sub"), ("..", "..")):
        path = (call.context.workspace / where).resolve()
        assert (await call.make("pwd -P", workdir=workdir)).output == f"{path}\n[exit code 0]"
        call.shown.clear()


@pytest.mark.parametrize(
    ("workdir", "problem"),
    [("none", "is not there; leave it out"), ("file", "is not a directory; leave it out")],
)
async def test_a_workdir_that_is_none_is_refused(call: Call, workdir: str, problem: str) -> None:
    (call.context.workspace / "file").touch()
    arguments = ShellArguments(command="true", workdir=workdir)
    for ask in (call.shell.intend, call.shell.call):
        with pytest.raises(ToolError, match=problem):
            await ask(arguments, call.context)


async def test_a_workdir_that_changed_since_it_was_approved_is_refused(call: Call) -> None:
    for name in ("a", "b"):
        (call.context.workspace / name).mkdir()
    link = call.context.workspace / "link"
    link.symlink_to("a")
    arguments = ShellArguments(command="echo done", workdir="link")
    intent = await call.shell.intend(arguments, call.context)
    call.context = replace(call.context, intent=intent)
    assert (await call.make("echo done", workdir="link")).success
    link.unlink()
    link.symlink_to("b")
    with pytest.raises(ToolError, match="not what was approved"):
        await call.make("echo done", workdir="link")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"command": "true", "timeout_s": 601}', "timeout_s: Input should be less than or equal"),
        ('{"command": "true", "timeout_s": 0}', "timeout_s: Input should be greater than 0"),
        ('{"command": ""}', "command: String should have at least 1 character"),
        ('{"command": "true\\u0000"}', "holds a character that no command can hold"),
        ('{"cmd": "ls"}', "command: Field required"),
    ],
)
async def test_arguments_that_cannot_be_are_answered(
    call: Call, arguments: str, problem: str
) -> None:
    made = FunctionCall(id="i", name="shell", arguments=arguments, call_id="c")
    result = await Registry([call.shell]).call(made, call.context)
    assert not result.success
    assert problem in result.output


async def test_what_cannot_be_started_says_why(call: Call, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="too long; write it to a file and run that"):
        await call.make("#" * 10_000_000)
    nowhere = Call(tmp_path, Shell({}, shell="/no/shell"))
    with pytest.raises(ToolError, match="the command cannot be started: No such file"):
        await nowhere.make("true")
