"""Scripts in their sandbox, and ripgrep."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from cody_core.checkup import programs
from cody_core.checkup.programs import ripgrep, sandbox
from cody_core.settings import load_settings


@pytest.mark.usefixtures("home")
async def test_the_sandbox_runs_a_script_and_stops_two() -> None:
    (found,) = await sandbox(load_settings())
    assert found.state == "ok"
    assert "its limits hold" in found.text


@pytest.mark.usefixtures("home")
async def test_a_limit_that_does_not_hold_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_GREEDY", "'all the memory I need'")
    (found,) = await sandbox(load_settings())
    assert (found.state, "memory limit" in found.text) == ("problem", True)
    assert "tool_mode" in str(found.remedy)


async def test_a_sandbox_that_does_not_start_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (found,) = await sandbox(load_settings())
    assert (found.state, "cannot be run" in found.text) == ("problem", True)
    assert not load_settings().home.exists()


@pytest.mark.parametrize(
    ("script", "state", "text"),
    [
        (None, "note", "not installed"),
        ("echo 'ripgrep 14.1.0'; echo more", "ok", "ripgrep 14.1.0"),
        ("exit 1", "note", "does not run"),
    ],
)
async def test_ripgrep_is_found_or_named(
    script: str | None, state: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    if script is not None:
        (tools / "rg").write_text(f"#!/bin/sh\n{script}\n")
        (tools / "rg").chmod(0o755)
    (found,) = await ripgrep()
    assert (found.state, text in found.text) == (state, True)


async def test_a_ripgrep_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rg").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    (tmp_path / "rg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    asking = asyncio.ensure_future(ripgrep())  # noqa: TID251 - cancelled below, and awaited
    while not (pid := tmp_path / "pid").exists() or not pid.read_text():
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
