"""The terminal that the benchmarks measure in leaves no program behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from benchmarks.screen_terminal import Terminal

WAITING = "import time; print('here', flush=True); time.sleep(1000)"
LEAVING = "import sys, tty; tty.setraw(0); print('here', flush=True); sys.stdin.read(1)"


def in_terminal(code: str, folder: Path) -> Terminal:
    return Terminal([sys.executable, "-c", code], dict(os.environ), folder)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_program_ends_with_what_goes_wrong(raised: type[BaseException], tmp_path: Path) -> None:
    terminal = in_terminal(WAITING, tmp_path)

    def measure() -> None:
        with terminal:
            terminal.until("here")
            raise raised

    with pytest.raises(raised):
        measure()
    assert terminal._process.returncode is not None


def test_a_program_ends_with_a_wait_that_was_in_vain(tmp_path: Path) -> None:
    terminal = in_terminal(WAITING, tmp_path)

    def measure() -> None:
        with terminal:
            terminal.until("nowhere", patience=0.01)

    with pytest.raises(TimeoutError, match="'nowhere' did not appear"):
        measure()
    assert terminal._process.returncode is not None


def test_a_program_that_was_measured_ends_by_itself(tmp_path: Path) -> None:
    terminal = in_terminal(LEAVING, tmp_path)
    with terminal:
        terminal.until("here")
    assert terminal._process.returncode == 0


def test_a_program_that_cannot_be_started_leaves_no_terminal_open(tmp_path: Path) -> None:
    before = os.listdir("/dev/fd")
    with pytest.raises(FileNotFoundError), Terminal(["/nowhere"], {}, tmp_path):
        pass
    assert len(os.listdir("/dev/fd")) == len(before)
