"""What is found of terminals: one that answers, one that does not, tmux, and none."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pexpect
import pytest

CODE = (
    "import json, os, dataclasses\n"
    "from cody_tui.terminal_checkup import terminal\n"
    "print('<<' + json.dumps([dataclasses.asdict(f) for f in terminal(dict(os.environ))]) + '>>')\n"
)
MODERN = b"\x1b[?2026;2$y\x1b[?62;4;22;52c"
OLD = b"\x1b[?1;2c"
PLAIN = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor"}


def found(
    answer: bytes | None,
    *,
    size: tuple[int, int] = (40, 120),
    variables: Mapping[str, str] = MappingProxyType({}),
    **more: str,
) -> dict[str, dict[str, Any]]:
    """Look at a terminal that answers so; return the findings by subject, the last of each."""
    kept = ("PATH", "HOME", "CODY_HOME", "XDG_CONFIG_HOME")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {**PLAIN, **variables, **more}
    child = pexpect.spawn(sys.executable, ["-c", CODE], env=env, dimensions=size, timeout=20)
    child.setecho(False)
    child.expect(re.escape("\x1b[?2026$p\x1b[c"))
    if answer is not None:
        child.send(answer)
    child.expect(rb"<<(.*)>>")
    said: list[dict[str, Any]] = json.loads(child.match[1])  # type: ignore[index]  # it is a match
    child.expect(pexpect.EOF)
    child.close()
    return {each["subject"]: each for each in said}


def test_a_modern_terminal_is_in_order() -> None:
    said = found(MODERN, TERM_PROGRAM="ghostty", TERM_PROGRAM_VERSION="1.2")
    assert {name: each["state"] for name, each in said.items()} == dict.fromkeys(
        ("terminal", "size", "colours", "characters", "drawing", "clipboard"), "ok"
    )
    assert said["terminal"]["text"] == "xterm-256color, ghostty 1.2"
    assert said["size"]["text"] == "120 columns, 40 rows"


def test_what_a_terminal_cannot_do_is_said_with_what_to_do() -> None:
    said = found(OLD, size=(10, 40), COLORTERM="", TERM="xterm", LC_ALL="C")
    assert said["drawing"]["state"] == "note"
    assert "half drawn" in said["drawing"]["text"]
    assert "paste" in said["clipboard"]["remedy"]
    assert "60 columns" in said["size"]["remedy"]
    assert "COLORTERM" in said["colours"]["remedy"]
    assert said["characters"]["remedy"] == "export LANG=C.UTF-8"
    assert {each["state"] for each in said.values()} == {"ok", "note"}


def test_a_terminal_that_does_not_answer_is_not_waited_for() -> None:
    said = found(None)
    assert said["drawing"]["text"] == "the terminal did not say what it can do"


@pytest.mark.parametrize(("name", "value"), [("TERM_PROGRAM", "Apple_Terminal"), ("STY", "1.tty")])
def test_terminals_without_a_clipboard_are_known(name: str, value: str) -> None:
    assert "does not get" in found(OLD, variables={name: value})["clipboard"]["text"]


def test_a_terminal_without_a_cursor_is_a_problem() -> None:
    assert found(OLD, TERM="dumb")["terminal"]["state"] == "problem"
    assert found(OLD, NO_COLOR="1")["colours"]["text"] == "none, as NO_COLOR asks"


TMUX = """#!/bin/sh
[ "$1 $2" = "show-options -sv" ] || exit 1
case "$3" in set-clipboard) echo {clipboard};; escape-time) echo {escape};; esac
"""


@pytest.mark.parametrize(
    ("clipboard", "escape", "term", "remedies"),
    [
        ("on", "10", "tmux-256color", [None]),
        ("external", "10", "screen-256color", ["tmux set -s set-clipboard on"]),
        ("on", "500", "tmux-256color", ["tmux set -s escape-time 10"]),
        ("on", "", "xterm-256color", ["default-terminal tmux-256color"]),
    ],
)
def test_what_tmux_keeps_back_is_said(
    clipboard: str,
    escape: str,
    term: str,
    remedies: list[str | None],
    tmp_path: Path,
) -> None:
    (tmp_path / "tmux").write_text(TMUX.format(clipboard=clipboard, escape=escape))
    (tmp_path / "tmux").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = found(MODERN, TMUX="/tmp/tmux-0/default,1,0", PATH=path, TERM=term)["tmux"]
    assert said["state"] == ("ok" if remedies == [None] else "note")
    assert all(remedy is None or remedy in said["remedy"] for remedy in remedies)
