"""The command line: through pipes, signals and a pty in a process of its own, or else in this."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pexpect
import pytest
from cody_core.schema.events import Event
from support.inside import here
from support.redis import RedisServer

SCRIPT = str(Path(sys.executable).parent / "cody")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def cody(
    *args: str, stdin: str | bytes = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program with a pipe at each end."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [SCRIPT, *args],
        input=data,
        capture_output=True,
        env={**os.environ, "CODY_DEMO_DELAY": "0", **(env or {})},
        timeout=50,
        check=False,
    )
    return subprocess.CompletedProcess(
        args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def terminal(*args: str) -> pexpect.spawn[str]:
    """Run the program on a terminal."""
    env = {**os.environ, "CODY_DEMO_DELAY": "0", "TERM": "xterm-256color"}
    return pexpect.spawn(
        SCRIPT, list(args), dimensions=(40, 100), timeout=20, encoding="utf-8", env=env
    )


def threads() -> list[dict[str, object]]:
    listed = here("threads", "list", "--json")
    return [json.loads(line) for line in listed.stdout.splitlines()]


def test_chat_streams_is_saved_and_continued() -> None:
    first = cody("chat", "--model", "demo/tour", "hello")
    assert (first.returncode, first.stdout[:2]) == (0, "# ")
    assert "hello" in first.stdout
    assert "The user would like an answer" in first.stderr
    again = here("chat", "-c", "-q", "and now?")
    assert again.returncode == 0
    assert again.stderr == ""
    assert again.stdout != first.stdout
    (thread,) = threads()
    assert thread["title"] == "hello"
    shown = here("threads", "show", str(thread["id"]))
    assert "> hello" in shown.stdout
    assert "> and now?" in shown.stdout
    assert first.stdout.strip() in shown.stdout
    whole = here("chat", "-q", "--no-stream", "--model", "demo/tour", "hello")
    assert whole.stdout == first.stdout


def test_a_named_thread_is_continued() -> None:
    here("chat", "-q", "-m", "demo/echo", "one")
    here("chat", "-q", "-m", "demo/echo", "two")
    first = threads()[1]
    here("chat", "-q", "-t", str(first["id"]), "three")
    assert [thread["title"] for thread in threads()] == ["one", "two"]


def test_what_is_piped_in_is_added_to_the_prompt() -> None:
    both = here("chat", "-q", "-m", "demo/echo", "review", stdin="the diff\n")
    assert both.stdout == "review\n\nthe diff\n"
    alone = cody("chat", "-q", "-m", "demo/echo", stdin=b"caf\xc3\xa9 \xff")
    assert alone.stdout == "café �\n"


def test_json_is_one_canonical_event_a_line_and_nothing_else() -> None:
    done = here("chat", "--json", "-m", "demo/tools", "what time is it?")
    events = [Event.from_json(line.encode()) for line in done.stdout.splitlines()]
    assert events[0].type == "response_start"
    assert [event.is_terminal for event in events] == [False] * (len(events) - 1) + [True]
    assert done.stderr == ""


def test_tool_activity_goes_to_standard_error() -> None:
    done = here("chat", "-m", "demo/tools", "what time is it?")
    assert "get_time" in done.stderr
    assert "✗" in done.stderr
    assert "get_time" not in done.stdout.splitlines()[0]


NOTE = "cody-demo.txt"


def test_without_a_terminal_nothing_runs_that_would_have_to_be_asked_for() -> None:
    done = here("chat", "-m", "demo/work", "go")
    assert done.returncode == 0
    assert "--yes" in done.stderr
    assert not Path(NOTE).exists()


def test_what_is_allowed_beforehand_runs() -> None:
    edits = here("chat", "-m", "demo/work", "--policy", "auto-edit", "go")
    assert "not done" in edits.stdout
    assert Path(NOTE).read_text().startswith("Written by the demo")
    Path(NOTE).unlink()
    every = here("chat", "-m", "demo/work", "--yes", "go")
    assert "not done" not in every.stdout
    assert Path(NOTE).exists()
    assert here("chat", "--policy", "yolo", "go").returncode == 1


def test_a_terminal_is_asked_and_its_answer_counts() -> None:
    child = terminal("chat", "-q", "-m", "demo/work", "go")
    child.expect("shell wants to execute")
    child.expect("Allow")
    child.sendline("maybe")
    child.expect("Allow")
    child.sendline("n")
    child.expect("apply_patch wants to write")
    child.expect("Written by the demo")
    child.expect("Allow")
    assert not Path(NOTE).exists()
    child.sendline("y")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert Path(NOTE).exists()


def test_what_was_approved_for_good_is_listed_and_revoked() -> None:
    child = terminal("chat", "-q", "-m", "demo/work", "go")
    child.expect("Allow")
    child.sendline("n")
    child.expect("apply_patch wants")
    child.expect("Allow")
    child.sendline("a")
    child.expect(pexpect.EOF)
    child.close()
    assert here("approvals", "list").stdout == "1  apply_patch\n"
    assert here("approvals", "revoke", "2").returncode == 1
    assert here("approvals", "revoke", "1").returncode == 0
    assert here("approvals", "list").stdout == ""


def test_an_interrupt_at_a_question_stops_the_run() -> None:
    child = terminal("chat", "-q", "-m", "demo/work", "go")
    child.expect("Allow")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert not Path(NOTE).exists()


@pytest.mark.parametrize(
    ("args", "code", "names"),
    [
        (["chat"], 2, "no prompt"),
        (["chat", "--bogus", "hi"], 2, "--bogus"),
        (["chat", "-t", "nonsense", "hi"], 2, "nonsense"),
        (["chat", "-c", "-t", "01a20436-6d15-73ae-a0df-3650e2e4e342", "hi"], 2, "--thread"),
        (["chat", "-c", "hi"], 1, "no thread"),
        (["chat", "-t", "01a20436-6d15-73ae-a0df-3650e2e4e342", "hi"], 1, "no thread"),
        (["chat", "-m", "nope", "hi"], 1, "nope"),
        (["chat", "-m", "openai/gpt-5", "hi"], 1, "OPENAI_API_KEY"),
        (["chat", "-m", "claude-haiku-4.5", "hi"], 1, "ANTHROPIC_API_KEY"),
        (["chat", "-q", "-m", "demo/fail", "hi"], 1, "overloaded"),
        (["threads", "show", "01a20436-6d15-73ae-a0df-3650e2e4e342"], 1, "no thread"),
        (["chat", "-q", "-m", "", "hi"], 2, "empty"),
        (["-c", "-t", "01a20436-6d15-73ae-a0df-3650e2e4e342"], 2, "--thread"),
        (["serve", "--token", " "], 2, "--token"),
        ([], 2, "terminal"),
    ],
)
def test_an_error_is_one_clear_line(args: list[str], code: int, names: str) -> None:
    done = here(*args)
    assert done.returncode == code
    assert names in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        last = done.stderr.splitlines()[-1]
        assert last.startswith("cody: ")
        assert names in last


@pytest.mark.parametrize(("name", "value"), [("PORT", "many"), ("CODY_HOME", "/dev/null/home")])
def test_a_malformed_setting_is_named(name: str, value: str) -> None:
    done = here("chat", "hi", env={name: value})
    assert (done.returncode, done.stdout) == (1, "")
    assert name in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_closed_pipe_ends_quietly_and_ends_the_run() -> None:
    command = f"{SCRIPT} chat -q -m demo/long hi | head -1; echo ${{PIPESTATUS[0]}}"
    env = {**os.environ, "CODY_DEMO_DELAY": "0.001"}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, env=env, timeout=50, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stdout.decode().splitlines() == ["# The long answer", "141"]
    assert done.stderr == b""
    (thread,) = threads()
    (run,) = _runs(str(thread["id"]))
    assert run["status"] == "aborted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_came(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [SCRIPT, "chat", "-q", "-m", "demo/long", "hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "CODY_DEMO_DELAY": "0.005"},
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(number)
    rest, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert errors == b""
    (thread,) = threads()
    (run,) = _runs(str(thread["id"]))
    assert run["status"] == "aborted"
    (item,) = run["output_items"]
    assert item["type"] == "cancelled"
    assert item["partial"]["content"].rstrip() == (first + rest).decode().rstrip()


def test_a_hangup_that_is_ignored_from_the_start_ends_nothing() -> None:
    process = subprocess.Popen(
        ["bash", "-c", f"trap '' HUP; exec {SCRIPT} chat -q -m demo/tour hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "CODY_DEMO_DELAY": "0.001"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_process_that_was_killed_leaves_what_came_and_the_next_one_says_so() -> None:
    process = subprocess.Popen(
        [SCRIPT, "chat", "-q", "-m", "demo/long", "hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "CODY_DEMO_DELAY": "0.005"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    while not (listed := threads()) or not _runs(str(listed[0]["id"])):
        assert process.poll() is None
    assert _runs(str(listed[0]["id"]))[0]["status"] == "in_progress"
    process.kill()
    process.communicate()
    while (run := _runs(str(listed[0]["id"]))[0])["status"] == "in_progress":
        pass
    assert run["status"] == "error"
    assert run["error"]["code"] == "interrupted"


def _runs(thread_id: str) -> Sequence[dict[str, Any]]:
    shown = here("threads", "show", thread_id, "--json")
    runs: Sequence[dict[str, Any]] = json.loads(shown.stdout)["runs"]
    return runs


def test_threads_are_found_and_deleted() -> None:
    for prompt in ("about bees", "about whales"):
        here("chat", "-q", "-m", "demo/echo", prompt)
    found = here("threads", "list", "-q", "whales").stdout
    assert "whales" in found
    assert "bees" not in found
    thread_id = found.split()[0]
    assert here("threads", "delete", thread_id, stdin="n\n").returncode == 1
    assert here("threads", "delete", "--yes", thread_id).returncode == 0
    assert [thread["title"] for thread in threads()] == ["about bees"]


def test_an_interrupt_is_an_answer_to_whether_a_thread_is_to_be_deleted() -> None:
    here("chat", "-q", "-m", "demo/echo", "about bees")
    (thread,) = threads()
    child = terminal("threads", "delete", str(thread["id"]))
    child.expect("about bees")
    child.expect("y/N")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert threads() == [thread]


def test_the_same_commands_go_through_redis(redis_server: RedisServer) -> None:
    env = {"REDIS_URL": redis_server.url}
    first = cody("chat", "--json", "-m", "demo/echo", "over redis", env=env)
    run_id = json.loads(first.stdout.splitlines()[0])["run_id"]
    again = here("chat", "-q", "-c", "and again", env=env)
    assert again.stdout == "and again\n"
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        stored = client.xrange(f"codex:run:{run_id}:events", "-", "+")
        assert [fields[b"event"].decode() for _, fields in stored] == first.stdout.splitlines()
        assert client.ttl(f"codex:run:{run_id}:events") > 0


def test_a_redis_that_is_away_is_named() -> None:
    done = here("chat", "hi", env={"REDIS_URL": "redis://:secret@127.0.0.1:1"})
    assert done.returncode == 1
    assert "REDIS_URL" in done.stderr
    assert "secret" not in done.stderr


def test_a_terminal_shows_rendered_markdown_and_no_escape_of_the_models() -> None:
    child = terminal(
        "chat", "-q", "-m", "demo/echo", "# Title\n\n**bold** \x1b]0;owned\x07\n\n- item"
    )
    output = child.read()
    child.close()
    assert child.exitstatus == 0
    assert "\x1b]0;" not in output
    assert "\x07" not in output
    text = ESCAPES.sub("", output)
    assert "**" not in text
    assert "• item" in text
    assert "␛]0;owned" in text


HEAVY = ("textual", "openai", "anthropic", "fastapi", "redis", "convex", "httpx")
COMMANDS = ("chat", "threads", "approvals", "convex")


def importing_none_of(names: Sequence[str], args: Sequence[str]) -> bytes:
    """Run the program in a fresh interpreter that must not import these; return what it wrote."""
    code = (
        "import sys\n"
        "from cody_tui.cli import main\n"
        f"sys.argv = ['cody', *{args!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"found = [name for name in {names!r} if name in sys.modules]\n"
        "assert not found, found\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("args", [["--version"], ["--help"], *([c, "--help"] for c in COMMANDS)])
def test_help_and_version_import_nothing_heavy(args: list[str]) -> None:
    assert b"cody" in importing_none_of([*HEAVY, "asyncio"], args)


def test_a_chat_imports_neither_textual_nor_an_sdk_it_does_not_call() -> None:
    assert importing_none_of(HEAVY, ["chat", "-q", "-m", "demo/echo", "hi"]) == b"hi\n"


def test_a_directory_named_core_does_not_get_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "work" / "core").mkdir()
    (tmp_path / "work" / "core" / "__init__.py").write_text("raise RuntimeError('not ours')")
    assert cody("chat", "-q", "-m", "demo/echo", "hi").stdout == "hi\n"
