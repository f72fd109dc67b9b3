"""Agents on the command line, as ``config.toml`` describes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pexpect
import pytest
from cody_core.glance import config_path
from support.inside import here
from tui.conftest import MakeSettings
from tui.test_cli import NOTE, terminal, threads

from cody_tui.commands.interactive import NO_KEY, notice_for

CONFIG = """
policy = "full-auto"

[agents.reviewer]
model = "demo/work"
policy = "read-only"

[agents.worker]
model = "demo/work"
tools = ["apply_patch"]

[agents.brief]
model = "demo/work"
max_iterations = 1

[agents.astronomer]
tools = ["telescope"]
"""


@pytest.fixture(autouse=True)
def config(own_surroundings: None) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text(CONFIG)


def runs() -> Sequence[dict[str, Any]]:
    """Return the runs of the only thread."""
    (thread,) = threads()
    shown = json.loads(here("threads", "show", str(thread["id"]), "--json").stdout)
    assert shown["thread"].get("agent_role") == shown["runs"][-1].get("agent_id")
    found: Sequence[dict[str, Any]] = shown["runs"]
    return found


def is_answered() -> bool:
    """Tell whether there is a thread whose only run has ended."""
    for thread in threads():
        shown = json.loads(here("threads", "show", str(thread["id"]), "--json").stdout)
        return [run["status"] for run in shown["runs"]] == ["complete"]
    return False


def outputs(run: dict[str, Any]) -> list[tuple[str, bool]]:
    """Return which tools a run called, and whether they did what they were asked."""
    names = {i["call_id"]: i["name"] for i in run["output_items"] if i["type"] == "function_call"}
    made = [item for item in run["output_items"] if item["type"] == "function_call_output"]
    return [(names[output["call_id"]], output["success"]) for output in made]


def test_an_agent_answers_with_its_model_under_its_policy_and_again() -> None:
    assert here("chat", "-a", "reviewer", "go").returncode == 0
    assert here("chat", "-c", "and again").returncode == 0
    first, second = runs()
    for run in (first, second):
        assert (run["agent_id"], run["model_id"]) == ("reviewer", "work")
    assert outputs(first) == [("shell", False), ("apply_patch", False)]
    assert not Path(NOTE).exists()


def test_what_the_command_line_says_comes_before_the_agent() -> None:
    here("chat", "--agent", "reviewer", "--policy", "auto-edit", "go")
    here("chat", "-a", "reviewer", "-c", "-m", "demo/echo", "-q", "hm")
    here("chat", "-c", "-q", "and now?")
    first, second, third = runs()
    assert outputs(first)[-1] == ("apply_patch", True)
    assert [run["model_id"] for run in (second, third)] == ["echo", "echo"]
    assert third["agent_id"] == "reviewer"


def test_an_agent_has_the_tools_and_the_patience_it_is_given() -> None:
    worker = here("chat", "-a", "worker", "go")
    assert "There is no tool named 'shell'" in worker.stdout + worker.stderr
    (run,) = runs()
    assert outputs(run) == [("shell", False), ("apply_patch", True)]
    here("chat", "-c", "-a", "brief", "once")
    assert runs()[-1]["finish_reason"] == "max_iterations"
    assert len(outputs(runs()[-1])) == 1


def test_an_agent_without_a_name_is_none() -> None:
    assert here("chat", "--agent", "", "-q", "-m", "demo/echo", "hi").stdout == "hi\n"
    assert "agent_id" not in runs()[0]


@pytest.mark.parametrize(
    ("name", "names"),
    [("nobody", "astronomer, brief, default, reviewer, worker"), ("astronomer", "'telescope'")],
)
def test_an_agent_that_cannot_answer_is_one_line(name: str, names: str) -> None:
    done = here("chat", "-a", name, "hi")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("cody: agent ")
    assert names in line
    assert threads() == []


def test_a_session_is_answered_by_the_agent_it_was_started_with() -> None:
    child = terminal("--agent", "reviewer", "-m", "demo/echo")
    child.expect("echo")
    child.send("hi\r")
    while not is_answered():
        child.expect(pexpect.TIMEOUT, timeout=0.05)  # what it paints is to be read, or it waits
    child.send("\x11")
    child.expect(pexpect.EOF)
    child.close()
    (run,) = runs()
    assert (run["agent_id"], run["model_id"]) == ("reviewer", "echo")


def test_a_thread_whose_agent_is_gone_says_so_and_goes_on_with_another() -> None:
    here("chat", "-q", "-a", "brief", "-m", "demo/echo", "hi")
    config_path().write_text("")
    done = here("chat", "-q", "-c", "hi again")
    assert done.returncode == 1
    assert "'brief', which this thread was answered by" in done.stderr
    assert here("chat", "-q", "-c", "-a", "default", "hi again").stdout == "hi again\n"


def test_a_misspelt_setting_of_an_agent_is_named() -> None:
    config_path().write_text('[agents.reviewer]\npolicies = "ask"\n')
    done = here("chat", "hi")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "[agents.reviewer] in config.toml" in line
    assert "did you mean 'policy'?" in line


def test_the_demo_is_announced_where_no_agent_brings_a_model(make_settings: MakeSettings) -> None:
    settings = make_settings(model=None)
    assert [notice_for(settings, name) for name in (None, "astronomer", "brief")] == [
        *(NO_KEY, NO_KEY),
        None,
    ]
    with_default = make_settings(model=None, agents={"default": {"model": "ollama/x"}})
    assert notice_for(with_default, None) is None
    assert notice_for(make_settings(), None) is None
