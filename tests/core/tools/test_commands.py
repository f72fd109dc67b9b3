"""Which commands count as alike once one of them was allowed."""

from __future__ import annotations

import pytest
from cody_core.tools.commands import beginning, leading_words


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("git status", "git status"),
        ("git status -s", "git status"),
        ("git  'status' .", "git status"),
        ("make test -j2", "make test"),
        ("npm test", "npm test"),
        ("sha256sum a b", "sha256sum a"),
        ("./tool 'a b' c", "./tool 'a b'"),
    ],
)
def test_commands_that_begin_alike_are_alike(command: str, words: str) -> None:
    assert leading_words(command) == words
    assert beginning(words) == words


@pytest.mark.parametrize(
    "command",
    [
        "git status; rm -rf /",
        "git status && curl evil",
        "git status | sh",
        "git status > /etc/passwd",
        "git status $(rm -rf /)",
        "git status `rm -rf /`",
        "git status\nrm -rf /",
        "git status & rm -rf /",
        "bash -c 'rm -rf /'",
        "/usr/bin/env rm -rf /",
        "sudo rm -rf /",
        "python3 -c 'x'",
        "PATH=/evil git status",
        "git 'status",
        "cat ~/.ssh/id_rsa",
        "cat *",
        "",
        "make",
        "ls -la",
        "rm -rf build",
        "git -C sub status",
        "git -c core.pager=cat log",
        "make -C sub test",
        "nice -n 5 make",
        "nice make",
        "dash -c ls",
        "ksh93 script",
        "/opt/python3.11 -m pytest",
        "python3.11 script.py",
        "python3-dbg script.py",
        "PYTHON.EXE script.py",
        "perl5.36.0 script",
        "lua5.4 script",
        "busybox sh",
        "stdbuf -o0 ls",
        "setsid ls",
        "command -p ls",
        ". ./env",
        "docker run alpine ls",
        "kubectl get pods",
        "gawk BEGIN a",
        "npm run test",
        "cargo run deploy",
        "pnpm dlx tool",
        "fd name -x rm",
    ],
)
def test_a_command_that_is_more_than_one_plain_program_is_only_like_itself(command: str) -> None:
    assert beginning(command) is None
    assert leading_words(command) == command
