"""``cody verify``, as its users see it."""

from __future__ import annotations

import json
import re

import pytest
from support.inside import here
from tui.test_cli import importing_none_of

STAGE = r"^(ok|failed) +(open|provider|log|reducer|store|read back|clean up) +[\d.]+ ms  .+$"


def test_each_stage_is_shown_with_its_time_then_the_trace_and_the_events() -> None:
    done = here("verify", "-m", "demo/echo", "hi")
    assert (done.returncode, done.stderr) == (0, "")
    stages = re.findall(STAGE, done.stdout, re.MULTILINE)
    assert [state for state, _ in stages] == ["ok"] * 7
    assert re.search(r"^trace   [0-9a-f]{32}$", done.stdout, re.MULTILINE)
    assert re.search(r"^events  response_start, .*, response_done$", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout
    assert here("threads", "list").stdout == ""


def test_the_stage_that_fails_is_named_and_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:very-secret@127.0.0.1:1")
    done = here("verify", "-m", "demo/echo", "--json")
    assert done.returncode == 1
    stage, last = map(json.loads, done.stdout.splitlines())
    assert (stage["stage"], stage["state"]) == ("log", "failed")
    assert last == {"run_id": None, "trace_id": None, "events": [], "failed": "log"}
    assert "the stage that failed: log" in done.stderr
    assert "very-secret" not in done.stdout + done.stderr


def test_a_server_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODY_SERVER", "http://127.0.0.1:1")
    done = here("verify")
    assert (done.returncode, done.stdout) == (2, "")
    assert "where cody serve runs" in done.stderr


def test_neither_the_screen_nor_another_provider_is_imported() -> None:
    heavy = ["textual", "openai", "anthropic", "fastapi"]
    assert b"response_done" in importing_none_of(heavy, ["verify", "-m", "demo/echo", "hi"])
