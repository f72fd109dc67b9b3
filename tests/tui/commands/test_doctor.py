"""``cody doctor``, as its users see it."""

from __future__ import annotations

import json
import re

import pexpect
import pytest
from cody_core.glance import config_path
from support.inside import here
from tui.test_cli import importing_none_of, terminal

KEY = "sk-very-secret-key"


pytestmark = pytest.mark.usefixtures("home")


def test_a_bare_machine_is_in_order_and_no_escape_goes_into_a_pipe() -> None:
    done = here("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^note +redis +REDIS_URL is not set", done.stdout, re.MULTILINE)
    assert re.search(r"^ok +sandbox ", done.stdout, re.MULTILINE)
    assert "What is set up works" in done.stdout
    assert "\x1b" not in done.stdout


def test_what_is_set_up_and_does_not_work_is_exit_code_1_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:{KEY}@127.0.0.1:1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    done = here("doctor", "--json")
    found = {each["subject"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    problems = {name for name, each in found.items() if each["state"] == "problem"}
    assert problems == {"redis", "provider openai"}
    assert "network" in found["provider openai"]["remedy"]
    assert found["key openai"]["text"] == "set by environment OPENAI_API_KEY"
    assert KEY not in done.stdout + done.stderr


def test_settings_that_cannot_be_read_are_the_finding() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('model = "m"\nmodle = "n"\n')
    done = here("doctor")
    assert done.returncode == 1
    assert re.search(r"^problem +settings +unknown setting 'modle' in line 2", done.stdout, re.M)
    assert "ripgrep" in done.stdout
    assert done.stdout.endswith("\n1 problem: see above.\n")


def test_on_a_terminal_that_is_looked_at_too_and_states_have_colours() -> None:
    child = terminal("doctor")
    child.expect(re.escape("\x1b[?2026$p\x1b[c"))
    child.send("\x1b[?2026;1$y\x1b[?62;52c")
    child.expect(re.escape("\x1b[32mok      \x1b[0m drawing"))
    child.expect("clipboard +what is copied gets there")
    child.expect("What is set up works")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_neither_the_screen_nor_a_provider_is_imported() -> None:
    heavy = ["textual", "openai", "anthropic", "fastapi", "convex"]
    assert b"What is set up works" in importing_none_of(heavy, ["doctor"])
