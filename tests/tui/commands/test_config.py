"""``cody config``, as its users see it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from cody_core.glance import config_path
from support.inside import here
from tui.test_cli import SCRIPT, importing_none_of, terminal

KEY = "sk-very-secret-key"
EDITOR = """#!{python}
import sys
path = sys.argv[-1]
text = open(path, encoding="utf-8").read()
open(path, "w", encoding="utf-8").write({new!r} + text)
sys.exit({code})
"""


def editor(tmp_path: Path, new: str, code: int = 0) -> str:
    """Return a program that puts a text in front of a file."""
    path = tmp_path / "editor"
    path.write_text(EDITOR.format(python=sys.executable, new=new, code=code))
    path.chmod(0o755)
    return str(path)


def edited(monkeypatch: pytest.MonkeyPatch, command: str) -> tuple[int, str]:
    """Edit with that editor; return the exit code and what was said."""
    monkeypatch.setenv("EDITOR", command)
    child = terminal("config", "--edit")
    said = child.read()
    child.close()
    return child.exitstatus or 0, " ".join(said.split())


def test_every_setting_is_shown_with_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('port = 1\n[ui]\ntheme = "nord"\n')
    Path(".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    monkeypatch.setenv("CORE2_MODEL", "gpt-5")
    done = here("config", "--policy", "read-only")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert " ".join(rows["port"].split()) == "1 config.toml"
    assert " ".join(rows["ui.theme"].split()) == "nord config.toml"
    assert " ".join(rows["model"].split()) == "gpt-5 environment CORE2_MODEL"
    assert " ".join(rows["openai_api_key"].split()) == "******** .env OPENAI_API_KEY"
    assert " ".join(rows["policy"].split()) == "read-only flag"
    assert " ".join(rows["max_runs"].split()) == "256 default"
    assert " ".join(rows["anthropic_api_key"].split()) == "- not set: ANTHROPIC_API_KEY"
    assert KEY not in done.stdout


def test_what_is_ignored_in_an_env_file_is_not_shown_as_what_counts() -> None:
    Path(".env").write_text("CODY_POLICY=full-auto\nHOST=0.0.0.0\n")
    done = here("config")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert " ".join(rows["policy"].split()) == "ask default"
    assert " ".join(rows["host"].split()) == "127.0.0.1 default"
    said = done.stderr.splitlines()
    assert [line.partition(": whoever")[0] for line in said] == [
        "cody: HOST in .env is ignored",
        "cody: CODY_POLICY in .env is ignored",
    ]


def test_json_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    done = here("config", "--json")
    said = json.loads(done.stdout)
    assert said["port"] == {"value": 4010, "source": "default", "name": None}
    named = {"source": "environment", "name": "ANTHROPIC_API_KEY"}
    assert said["anthropic_api_key"] == {"value": "********", **named}
    assert KEY not in done.stdout


def test_no_control_character_of_a_setting_gets_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODY_SYSTEM", "be \x1b[31mred\nand brief " + "x" * 200)
    done = here("config")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 200


def test_the_path_of_the_file() -> None:
    assert here("config", "--path").stdout == f"{config_path()}\n"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--path", "--json"], 2, "exclude"),
        (["--edit"], 2, "terminal"),
        (["--policy", "yolo"], 1, "CODY_POLICY"),
    ],
)
def test_what_cannot_be_done_is_said(args: list[str], code: int, said: str) -> None:
    done = here("config", *args)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_editing_begins_with_a_file_of_every_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert edited(monkeypatch, editor(tmp_path, "port = 1\n")) == (0, "")
    text = config_path().read_text(encoding="utf-8")
    assert text.startswith("port = 1\n## Settings of Cody.")
    assert stat.S_IMODE(config_path().stat().st_mode) == 0o600
    assert json.loads(here("config", "--json").stdout)["port"]["value"] == 1
    assert edited(monkeypatch, f"{editor(tmp_path, 'max_runs = 2')} --flag")[0] == 1
    assert config_path().read_text(encoding="utf-8") == f"max_runs = 2{text}"


def test_a_mistake_is_named_with_its_line_and_the_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = edited(monkeypatch, editor(tmp_path, '\nport = "many"\n'))
    assert code == 1
    assert "'PORT' is not valid" in said
    assert f"see line 2 of {str(config_path())!r}" in said
    assert "cody config --edit" in said
    assert config_path().read_text(encoding="utf-8").startswith('\nport = "many"\n')
    assert here("chat", "-m", "demo/echo", "hi").returncode == 1


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [("", 2, "VISUAL or EDITOR"), ("/nowhere/vi", 2, "cannot be started"), ("false", 1, "status")],
)
def test_an_editor_that_does_not_work_is_told_with_where_the_file_is(
    command: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, told = edited(monkeypatch, command)
    assert (found, said in told) == (code, True), told
    assert str(config_path()) in told


def test_an_interrupt_is_the_editors_own_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "editor"
    path.write_text("#!/bin/sh\ntrap 'echo interrupted; exit 0' INT\necho waiting\nread line\n")
    path.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(path))
    child = terminal("config", "--edit")
    child.expect("waiting")
    child.sendintr()
    child.expect("interrupted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = ["bash", "-c", f"{SCRIPT} config | head -1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.split()[0], done.stderr) == ("model", "")


def test_neither_the_screen_nor_a_provider_is_imported() -> None:
    heavy = ["textual", "openai", "anthropic", "fastapi", "redis", "convex", "httpx"]
    assert b"max_runs" in importing_none_of(heavy, ["config"])
