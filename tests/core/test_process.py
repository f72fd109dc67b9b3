"""Locks of real processes, one of which is killed without a chance to clean up."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from cody_core.ids import new_id
from cody_core.process import ProcessLock


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "home" / "processes"


def locks(directory: Path) -> list[str]:
    return [file.name for file in directory.glob("*.lock")]


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
        assert locks(directory) == [f"{mine.id}.lock"]


def test_a_process_that_ends_leaves_nothing_behind(directory: Path) -> None:
    with ProcessLock(directory) as mine:
        with holder(directory) as (process, process_id):
            assert mine.is_alive(process_id)
            process.communicate()
        assert process.returncode == 0
        assert mine.is_alive(process_id) is None
    assert locks(directory) == []


def test_one_is_alive_and_nobody_and_a_stranger_are_not(directory: Path) -> None:
    with ProcessLock(directory) as mine, ProcessLock(directory) as other:
        assert mine.is_alive(mine.id)
        assert mine.is_alive(other.id)
        assert mine.is_alive(None) is None
        assert mine.is_alive(new_id()) is None
        assert mine.is_alive(f"{mine.id.partition('.')[0]}.{new_id()}") is None
    assert locks(directory) == []


def test_of_a_process_of_another_place_only_what_others_have_seen_counts(
    directory: Path, tmp_path: Path
) -> None:
    with ProcessLock(directory) as mine, ProcessLock(tmp_path / "elsewhere") as theirs:
        assert not mine.is_alive(theirs.id)
        assert mine.is_alive(theirs.id, seen=True)
        gone = f"{mine.id.partition('.')[0]}.{new_id()}"
        assert not mine.is_alive(gone, seen=True), "our own eyes count more"
        assert not mine.is_alive("../../somewhere")


def test_a_copy_of_the_directory_on_a_machine_of_another_name_is_another_place(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProcessLock(directory) as mine:
        copy = shutil.copytree(directory, tmp_path / "copy")
        monkeypatch.setattr(socket, "gethostname", lambda: "another")
        with ProcessLock(copy) as theirs:
            assert theirs.is_alive(mine.id, seen=True)
            assert not theirs.is_alive(mine.id)


def test_processes_that_start_at_once_agree_on_their_place(directory: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ProcessLock(directory).id, range(16)))
    assert len({process_id.partition(".")[0] for process_id in made}) == 1
    assert [file.name for file in directory.iterdir()] == ["place"]


def test_a_file_system_without_links_will_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ProcessLock(directory).id, range(16)))
    assert len({process_id.partition(".")[0] for process_id in made}) == 1
    assert {file.name for file in directory.iterdir()} == {"place", "place.guard"}


def test_the_directory_is_made_for_its_owner_only(directory: Path) -> None:
    with ProcessLock(directory):
        assert directory.stat().st_mode & 0o777 == 0o700
