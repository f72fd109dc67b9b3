"""Locks of real processes, one of which is killed without a chance to clean up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cody_core.ids import new_id
from cody_core.process import ProcessLock


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "home" / "processes"


HOLDER = """
import subprocess, sys
from pathlib import Path
from cody_core.process import ProcessLock

with ProcessLock(Path(sys.argv[1])) as lock:
    child = subprocess.Popen(["cat"], stdin=sys.stdin, stdout=subprocess.DEVNULL)
    print(lock.id, child.pid, flush=True)
    child.wait()
"""
"""Holds a lock until its input ends, as does a child that outlives it when it is killed."""


@contextmanager
def holder(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", HOLDER, str(directory)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().split()[0]


def test_a_process_that_is_killed_is_dead_even_if_its_child_is_not(directory: Path) -> None:
    with ProcessLock(directory) as mine, holder(directory) as (process, process_id):
        assert mine.is_alive(process_id)
        assert mine.is_alive(process_id), "asking does no harm"
        process.kill()
        process.wait()
        assert (directory / f"{process_id}.lock").exists()
        assert not mine.is_alive(process_id)
        assert not mine.is_alive(process_id)
        assert [file.name for file in directory.iterdir()] == [f"{mine.id}.lock"]


def test_a_process_that_ends_leaves_nothing_behind(directory: Path) -> None:
    with ProcessLock(directory) as mine:
        with holder(directory) as (process, process_id):
            assert mine.is_alive(process_id)
            process.communicate()
        assert process.returncode == 0
        assert mine.is_alive(process_id) is None
    assert list(directory.iterdir()) == []


def test_one_is_alive_and_nobody_and_a_stranger_are_not(directory: Path) -> None:
    with ProcessLock(directory) as mine, ProcessLock(directory) as other:
        assert mine.is_alive(mine.id)
        assert mine.is_alive(other.id)
        assert mine.is_alive(None) is None
        assert mine.is_alive(new_id()) is None
    assert list(directory.iterdir()) == []


def test_the_directory_is_made_for_its_owner_only(directory: Path) -> None:
    with ProcessLock(directory):
        assert directory.stat().st_mode & 0o777 == 0o700
