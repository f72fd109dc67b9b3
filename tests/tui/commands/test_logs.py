"""``cody logs``: the log is read back, followed, and holds no secret."""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path

import pexpect
import pytest
from support.inside import here
from tui.test_cli import SCRIPT, importing_none_of

from cody_tui import log_file
from cody_tui.log_file import LogFile

KEY = "sk-very-secret-key"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "cody.log"


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("cody_core.x", level, __file__, 1, text, (), None)


def write(path: Path, *records: logging.LogRecord) -> None:
    """Write records as a program that knows the key does."""
    handler = LogFile(path, lambda: [KEY])
    for each in records:
        handler.emit(each)
    handler.close()


def shown(*args: str) -> list[str]:
    done = here("logs", *args)
    assert done.returncode == 0, done.stderr
    return [line.partition(" cody_core.x ")[2] or line for line in done.stdout.splitlines()]


def failure() -> logging.LogRecord:
    try:
        raise ValueError(f"it was {KEY}")
    except ValueError as error:
        found = (ValueError, error, error.__traceback__)
    return logging.LogRecord("cody_core.x", logging.ERROR, __file__, 1, "broke", (), found)


def test_the_last_lines_are_shown(path: Path) -> None:
    write(path, *(record(logging.INFO, f"line {number}") for number in range(100)))
    assert shown("-n", "2") == ["line 98", "line 99"]
    assert shown() == [f"line {number}" for number in range(50, 100)]
    assert shown("-n", "0") == []
    assert here("logs", "--path").stdout == f"{path}\n"


def test_a_level_leaves_out_what_is_below_and_keeps_tracebacks_with_their_records(
    path: Path,
) -> None:
    write(path, record(logging.INFO, "fine\nand more"), failure(), record(logging.DEBUG, "detail"))
    at_least = shown("--level", "warning")
    assert at_least[0] == "broke"
    assert at_least[-1].startswith("ValueError")
    assert shown("-l", "critical") == []
    assert shown()[:2] == ["fine", "and more"]


def test_no_secret_is_in_the_log_nor_shown_of_an_older_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, record(logging.INFO, f"the key is {KEY}"), failure())
    write(path, record(logging.INFO, "redis://:pass@host:1 is away"))
    text = path.read_text()
    assert KEY not in text
    assert "pass" not in text
    assert text.count("[hidden]") == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text(f"2025-01-01 00:00:00,000 1 INFO cody_core.x old {KEY} \x1b[31m\n")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert shown() == ["old [hidden] ␛[31m"]


def test_what_was_logged_before_the_file_was_full_is_read_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "_BYTES", 300)
    write(path, *(record(logging.INFO, f"line {number}") for number in range(8)))
    assert path.with_name("cody.log.1").exists()
    assert shown("-n", "6")[-6:] == [f"line {number}" for number in range(2, 8)]


def test_without_a_log_that_is_said(path: Path) -> None:
    done = here("logs")
    assert (done.returncode, done.stdout) == (0, "")
    assert str(path) in done.stderr


def test_what_comes_is_followed_into_a_new_file(path: Path) -> None:
    write(path, record(logging.INFO, "one"), record(logging.INFO, "two"))
    child = pexpect.spawn(SCRIPT, ["logs", "-f", "-n", "1", "-l", "info"], encoding="utf-8")
    child.expect("two")
    assert "one" not in (child.before or "")
    write(path, record(logging.DEBUG, "detail"), record(logging.INFO, "three"))
    child.expect("three")
    assert "detail" not in (child.before or "")
    path.replace(path.with_name("cody.log.1"))
    with path.with_name("cody.log.1").open("a") as old:
        old.write("2025-01-01 00:00:00,000 1 INFO cody_core.x four\n")
    child.expect("four")
    write(path, record(logging.INFO, "five"))
    child.expect("five")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_a_session_logs_no_key_even_one_that_the_settings_brought_later(
    tmp_path: Path, path: Path
) -> None:
    (tmp_path / "work" / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    code = (
        "import sys, logging\n"
        "from cody_tui.app import CodyApp\n"
        "from cody_tui.cli import main\n"
        "def look(self):\n"
        "    if self.settings is not None:\n"
        f"        logging.getLogger('cody_tui').warning('it is %s', {KEY!r})\n"
        "        self.exit()\n"
        "CodyApp.on_ready = lambda self: self.set_interval(0.02, lambda: look(self))\n"
        "sys.argv = ['cody']\n"
        "main()\n"
    )
    child = pexpect.spawn(
        sys.executable, ["-c", code], env={**os.environ, "TERM": "xterm-256color"}, timeout=30
    )
    child.expect(pexpect.EOF)
    child.close()
    assert "it is" in path.read_text()
    assert KEY not in path.read_text()


def test_neither_the_screen_nor_a_provider_is_imported(path: Path) -> None:
    write(path, record(logging.INFO, "one"))
    heavy = ["textual", "openai", "anthropic", "fastapi", "redis", "convex", "httpx"]
    assert b"one" in importing_none_of(heavy, ["logs"])
