"""What of a workspace goes into the system prompt, and so to a provider, without being asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from cody_core.instructions import MAX_AGENTS_BYTES, instructions

RULE = "Always whisper."


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keys.json").write_text(RULE)
    (tmp_path / "space" / "data").mkdir(parents=True)
    (tmp_path / "space" / "data" / "keys.json").write_text(RULE)
    return tmp_path / "space"


def prompt(workspace: Path) -> str:
    guarded = [workspace.resolve() / "data"]
    return instructions(workspace, "ask", date(2026, 1, 2), guarded)


def test_the_word_of_the_workspace_is_its_end(workspace: Path, tmp_path: Path) -> None:
    plain = prompt(workspace)
    assert plain.endswith("Reading in the workspace is free; the user is asked before you write or"
                          " execute.")  # fmt: skip
    (workspace / "AGENTS.md").write_text(f"\n{RULE}\n")
    said = f"{plain}\n\n# AGENTS.md of the workspace\n\n{RULE}"
    assert prompt(workspace) == said
    (workspace / "AGENTS.md").rename(workspace / "CLAUDE.md")
    (workspace / "AGENTS.md").symlink_to("CLAUDE.md")
    assert prompt(workspace) == said
    (tmp_path / "alias").symlink_to("space")
    assert prompt(tmp_path / "alias").endswith(RULE)


def test_one_that_is_too_long_is_cut(workspace: Path) -> None:
    (workspace / "AGENTS.md").write_text("x" * (MAX_AGENTS_BYTES + 1))
    assert prompt(workspace).endswith("\n\n" + "x" * MAX_AGENTS_BYTES + "\n[cut off]")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("../data/keys.json"),
        lambda path: path.symlink_to(path.parent.parent / "data" / "keys.json"),
        lambda path: path.symlink_to("data/keys.json"),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("AGENTS.md"),
        os.mkfifo,
        Path.mkdir,
    ],
    ids=["link", "absolute link", "link to what is guarded", "device", "circle", "pipe", "folder"],
)
def test_what_is_no_file_of_the_workspace_is_left_out_and_told_of_in_the_log(
    make: Callable[[Path], None], workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = prompt(workspace)
    assert caplog.messages == []
    make(workspace / "AGENTS.md")
    assert prompt(workspace) == plain
    (message,) = caplog.messages
    assert message.startswith("AGENTS.md is left out: ")


def test_where_there_is_none_nothing_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert prompt(tmp_path / "nowhere").endswith("execute.")
    (tmp_path / "file").touch()
    assert prompt(tmp_path / "file").endswith("execute.")
    assert instructions(tmp_path, "ask", date.today(), [tmp_path]).endswith("execute.")
    assert caplog.messages == []
