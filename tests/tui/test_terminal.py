"""The real program in a real terminal: what it writes, and that it gives the terminal back."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from cody_core.runtime import open_runtime
from cody_core.schema.response import Response
from cody_core.settings import load_settings

SCRIPT = str(Path(sys.executable).parent / "cody")
RESTORED = ("\x1b[?1049l", "\x1b[?25h", "\x1b[?1000l", "\x1b[?1003l", "\x1b[?2004l", "\x1b[?1004l")
ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?<>=$]*[A-Za-z]")
READY = r"ready"
SUPPORTS_SYNC = "\x1b[?2026;2$y"


class Terminal:
    """A program in a pty, everything it wrote, and what it was asked to type."""

    def __init__(self, child: pexpect.spawn[str]) -> None:
        self.child = child
        self.read = ""

    def wait_for(self, *patterns: str) -> str:
        """Read until each pattern has come, one after the other; return what was read."""
        read = ""
        for pattern in patterns:
            self.child.expect(pattern)
            read += str(self.child.before) + str(self.child.after)
        self.read += read
        return read

    def send(self, text: str) -> None:
        self.child.send(text)

    def hang_up(self) -> int | None:
        """Close the terminal, with all that comes of it; return the exit code."""
        self.child.ptyproc.fileobj.close()  # type: ignore[attr-defined]  # the stubs lack it
        self.child.wait()
        return self.child.exitstatus

    def end(self) -> tuple[int | None, str]:
        """Read to the end; return the exit code and what came after the alternate screen."""
        self.child.expect(pexpect.EOF)
        self.read += str(self.child.before)
        self.child.close()
        _, _, after = self.read.rpartition("\x1b[?1049l")
        return self.child.exitstatus, ESCAPES.sub("", after).replace("\r\n", "\n").strip()


@contextmanager
def terminal(*command: str, size: tuple[int, int] = (24, 80), **env: str) -> Iterator[Terminal]:
    surroundings = {
        **{name: value for name, value in os.environ.items() if name not in ("TMUX", "STY")},
        "TERM": "xterm-256color",
        "TERM_PROGRAM": "iTerm.app",
        "CODY_DEMO_DELAY": "0",
        **env,
    }
    child = pexpect.spawn(
        command[0], list(command[1:]), dimensions=size, env=surroundings,
        encoding="utf-8", timeout=20,
    )  # fmt: skip
    try:
        yield Terminal(child)
    finally:
        child.close(force=True)


def program(code: str) -> list[str]:
    """Return a command that runs the app, with something that goes wrong in it."""
    head = """
        import asyncio, os, sys
        from cody_core.settings import load_settings
        from cody_tui import streams
        from cody_tui.app import CodyApp
        from cody_tui.commands.invocation import open_client
        from cody_tui.leaving import run_app
        settings = load_settings(model="demo/echo", demo_delay=0)
        streams.log_to_file(settings.home, lambda: settings.secrets)
    """
    tail = """
        CodyApp.on_ready = act
        app = CodyApp(lambda: open_client(settings), settings=settings)
        sys.exit(run_app(app, settings.home / streams.LOG_FILE))
    """
    return [sys.executable, "-c", "\n".join(map(textwrap.dedent, (head, code, tail)))]


async def the_run() -> Response:
    """Return the one run that is stored."""
    async with open_runtime(load_settings()) as client:
        (thread,) = (await client.threads()).threads
        (run,) = (await client.thread(thread.id)).runs
    return run


def assert_restored(term: Terminal) -> None:
    assert [each for each in RESTORED if each not in term.read] == []
    assert term.read.rindex("\x1b[23;2t") > term.read.rindex("\x1b[22;2t")


def test_a_session_from_start_to_quit_gives_the_terminal_back() -> None:
    with terminal(SCRIPT, "-m", "demo/long", CODY_DEMO_DELAY="0.002") as term:
        term.wait_for(re.escape("\x1b[?2026$p"))
        term.send(SUPPORTS_SYNC)
        term.wait_for(READY)
        term.send("talk\r")
        term.wait_for("On clocks")
        term.child.setwinsize(30, 100)
        drawn = term.wait_for(r"\x1b\[2[5-9];\d+H")  # rows that were not there before
        assert drawn.count("\x1b[?2026h") >= 1
        term.send("\x11")
        term.wait_for("Ctrl\\+Q again")
        term.send("\x11")
        code, left = term.end()
    assert code == 0
    header, _, answer = left.partition("\n")
    assert re.fullmatch(r"talk · cody -t [0-9a-f-]{36}", header)
    assert answer.lstrip().startswith("The long answer")
    assert "Traceback" not in left
    assert_restored(term)
    assert term.read.rindex("\x1b]2;\x1b\\\x1b[23;2t") > term.read.rindex("\x1b]2;talk · Cody")
    assert term.read.count("\x1b[?2026h") == term.read.count("\x1b[?2026l")


def test_a_wide_terminal_is_filled_copies_and_calls_when_nobody_looks() -> None:
    ui = '{"long_run": 0, "on_quit": "nothing"}'
    with terminal(SCRIPT, "-m", "demo/echo", size=(80, 300), CODY_UI=ui) as term:
        term.wait_for(READY)
        term.send("precious\x1b[O")  # the focus goes elsewhere
        term.wait_for("precious")
        term.send("\r")
        term.wait_for(re.escape("\x1b]2;✓ precious · Cody"), re.escape("\x1b]9;Cody: The answer"))
        term.send("\x1b[I")
        term.wait_for(re.escape("\x1b]2;precious · Cody"))
        term.send("words\x1b[1;2H\x03")  # Shift+Home selects
        copied = base64.b64encode(b"words").decode()
        term.wait_for(re.escape(f"\x1b]52;c;{copied}\x07"))
        term.send("\x11")
        code, left = term.end()
    assert (code, left) == (0, "")
    assert re.search(r"\x1b\[7\d;", term.read)  # the prompt stands near the last of 80 rows


def test_a_crash_and_what_libraries_print_reach_the_log_and_not_the_screen(tmp_path: Path) -> None:
    code = """
    def act(self):
        import logging, warnings
        os.write(1, b"noise-fd1\\n")
        os.write(2, b"noise-fd2\\n")
        print("noise-print")
        sys.stderr.write("noise-stderr\\n")
        warnings.warn("noise-warning")
        logging.getLogger("library").error("noise-logging")
        os.system("echo noise-child >&2")
        self.call_later(self.break_down)

    def break_down(self):
        value_of_a_variable = "noise-variable"
        raise ZeroDivisionError("it cannot be\\x1b[31m divided")

    CodyApp.break_down = break_down
    """
    with terminal(*program(code)) as term:
        status, left = term.end()
    log = tmp_path / "home" / "cody.log"
    assert left.split("\n") == [
        "cody: it broke down: ZeroDivisionError: it cannot be␛[31m divided",
        f"cody: what happened stands in {log}",
    ]
    assert status == 1
    assert_restored(term)
    assert "noise" not in term.read
    kinds = ("fd1", "fd2", "print", "stderr", "warning", "logging", "child")
    assert [kind for kind in kinds if f"noise-{kind}" not in log.read_text()] == []
    assert "in break_down" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_program_in_order(number: signal.Signals) -> None:
    with terminal(SCRIPT, "-m", "demo/long", CODY_DEMO_DELAY="0.01") as term:
        term.wait_for(READY)
        term.send("talk\r")
        term.wait_for("On clocks")
        if number == signal.SIGHUP:
            assert term.hang_up() == 128 + number
        else:
            term.child.kill(number)
            code, left = term.end()
            assert code == 128 + number
            assert_restored(term)
            assert "talk · cody -t " in left
    run = await the_run()
    assert run.status == "aborted"
    assert run.output_items


async def test_a_signal_that_comes_again_cuts_nothing_short(tmp_path: Path) -> None:
    with terminal(SCRIPT, "-m", "demo/long", CODY_DEMO_DELAY="0.01") as term:
        term.wait_for(READY)
        term.send("talk\r")
        term.wait_for("On clocks")
        for _ in range(5):
            term.child.kill(signal.SIGTERM)
            await asyncio.sleep(0.001)
        assert term.end()[0] == 128 + signal.SIGTERM
    assert not list((tmp_path / "home" / "outbox").glob("*")), "its end is stored"
    assert (await the_run()).status == "aborted"


def test_a_program_that_is_stopped_and_continued_from_outside_goes_on() -> None:
    with terminal(SCRIPT, "-m", "demo/echo") as term:
        term.wait_for(READY)
        for numbers in ((signal.SIGCONT,), (signal.SIGSTOP, signal.SIGCONT)):
            for number in numbers:
                term.child.kill(number)
            term.wait_for(re.escape("\x1b[?1049h"), READY)
        term.child.kill(signal.SIGTSTP)
        term.wait_for(re.escape("\x1b[?1049l"))
        wait_until_stopped(term.child)
        term.child.kill(signal.SIGCONT)
        term.wait_for(re.escape("\x1b[?1049h"), READY)
        term.send("goes on")
        term.wait_for("goes on")
        term.send("\x03\x11")
        code, left = term.end()
    assert (code, left) == (0, "")
    assert_restored(term)


def test_a_hang_up_that_also_continues_the_program_ends_it() -> None:
    for _ in range(2):  # the order is the kernel's
        with terminal(SCRIPT, "-m", "demo/echo") as term:
            term.wait_for(READY)
            term.child.kill(signal.SIGCONT)
            assert term.hang_up() == 128 + signal.SIGHUP


def wait_until_stopped(child: pexpect.spawn[str]) -> None:
    status = Path(f"/proc/{child.pid}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.01)


def test_a_terminal_that_vanishes_without_a_signal_ends_the_program() -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(  # which has no controlling terminal
        [SCRIPT, "-m", "demo/long"], stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, env={**os.environ, "CODY_DEMO_DELAY": "0.01"},
    )  # fmt: skip
    try:
        os.close(slave)
        written = b""
        while READY.encode() not in written:
            written += os.read(master, 65_536)
        os.write(master, b"talk\r")
        while b"On clocks" not in written:
            written += os.read(master, 65_536)
        os.close(master)
        assert process.wait(timeout=20) == 128 + signal.SIGHUP
    finally:
        process.kill()
        process.wait()
    assert asyncio.run(the_run()).status == "aborted"


def test_whatever_a_terminal_sends_is_typed_pasted_or_nothing() -> None:
    with terminal(SCRIPT, "-m", "demo/echo") as term:
        term.child.expect(re.escape("\x1b[?2026$p"))
        term.send("\x1b[O")  # the focus is elsewhere before anything is there to have it
        term.wait_for(READY)
        term.send("\x1b]11;rgb:1111/1111/1111\x1b\\\x1b[?62;22c")  # too late an answer
        os.write(term.child.child_fd, b"\xff\xfeab\x80")
        term.wait_for("��ab�")
        term.send("\x15")
        term.send(f"\x1b[200~\x1b[31m{'y' * 40}\r\x1b[201~")
        term.wait_for("␛\\[31m" + "y" * 40)
        term.send("!\x1b[I?")
        term.wait_for("!", "\\?")
        term.send("\x11")
        code, left = term.end()
    assert (code, left) == (0, "")  # nothing was sent


def test_a_large_paste_is_folded_and_sent_as_a_whole() -> None:
    line = "x" * 99 + "\n"
    with terminal(SCRIPT, "-m", "demo/tour") as term:
        term.wait_for(READY)
        os.write(term.child.child_fd, b"\x1b[200~")
        threading.Thread(target=_write, args=(term.child.child_fd, line.encode() * 10_000)).start()
        term.wait_for("pasted 1: 10000 lines, 1000 kB")
        term.send("\r")
        term.wait_for("999,999 characters", "250k in")
        term.send("\x11")
        term.end()


def _write(fd: int, data: bytes) -> None:
    """Write all of it, and that the paste ends, while somebody reads what comes of it."""
    data += b"\x1b[201~"
    while data:
        data = data[os.write(fd, data) :]


def test_the_pager_has_the_terminal_until_it_ends(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\ncat\necho pager-has-it >&2\nread answer </dev/tty\n")
    pager.chmod(0o700)
    with terminal(SCRIPT, "-m", "demo/echo", PAGER=str(pager)) as term:
        term.wait_for(READY)
        term.send("hello\r")
        term.wait_for(re.escape("\x1b]2;hello · Cody"), READY)
        term.send("/pager\r")
        shown = term.wait_for("pager-has-it")
        assert "\x1b[?1049l" in shown
        assert "> hello" in shown
        term.send("\x03\r")  # an interrupt is the pager's, and ends neither
        term.wait_for(re.escape("\x1b[?1049h"), re.escape("\x1b]2;hello · Cody"), READY)
        term.send("\x11")
        code, left = term.end()
    assert code == 0
    assert left.endswith("hello")


def test_a_pager_that_is_not_there_is_a_note_and_the_app_goes_on() -> None:
    with terminal(SCRIPT, "-m", "demo/echo", PAGER="no-such-pager -x") as term:
        term.wait_for(READY)
        term.send("hello\r")
        term.wait_for(re.escape("\x1b]2;hello · Cody"), READY)
        term.send("/pager\r")
        term.wait_for("'no-such-pager' cannot be")
        term.send("\x11")
        code, left = term.end()
    assert (code, left[-5:]) == (0, "hello")
