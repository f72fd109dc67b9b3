from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(sys.executable).parent / "cody")


@pytest.mark.parametrize(
    ("command", "code", "expected"),
    [
        ("cody chat -q -m demo/echo hi <&-", 0, "hi\n"),
        ("cody chat -q -m demo/echo hi </dev/null >&-", 0, ""),
        ("cody chat -q -m demo/echo $'caf\\xe9' </dev/null", 0, "caf\ufffd\n"),
        ("PYTHONIOENCODING=ascii cody chat -q -m demo/echo café </dev/null", 0, "caf?\n"),
        ("cody chat -q -m demo/echo hi </dev/null >/dev/full", 1, "cody: [Errno 28]"),
        ("cody chat -q --no-stream -m demo/echo hi </dev/null | true", 141, ""),
        ("cody chat -m demo/echo hi </dev/null >/dev/null; cody threads list | true", 141, ""),
    ],
)
def test_streams_that_are_closed_full_unread_or_not_utf8(
    command: str, code: int, expected: str
) -> None:
    done = subprocess.run(
        ["bash", "-c", f'cody() {{ {SCRIPT} "$@"; }}\n{command}\nexit ${{PIPESTATUS[0]}}'],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "CODY_DEMO_DELAY": "0"},
        check=False,
    )
    written = done.stdout.decode()
    assert (done.returncode, written[: len(expected)]) == (code, expected), written
    assert len(written.splitlines()) <= 1
