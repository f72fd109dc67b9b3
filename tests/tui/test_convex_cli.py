"""The command line on a Convex deployment: in a process of its own where that is the point."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.convex import ConvexServer
from support.inside import here

SCRIPT = str(Path(sys.executable).parent / "cody")
PROGRAM = """#!{python}
import json, os, sys
said = {{"args": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "functions":
        os.path.exists("functions/schema.ts")}}
with open({log!r}, "a") as log:
    log.write(json.dumps(said) + "\\n")
sys.exit(int({code!r}))
"""


@pytest.fixture
def on_convex(convex: ConvexServer, monkeypatch: pytest.MonkeyPatch) -> ConvexServer:
    monkeypatch.setenv("CONVEX_URL", convex.url)
    monkeypatch.setenv("CONVEX_DEPLOY_KEY", convex.key)
    monkeypatch.setenv("CODY_DEMO_DELAY", "0")
    return convex


def cody(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the program as its users do, with nothing piped in."""
    return subprocess.run(
        [SCRIPT, *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=50,
        check=False,
    )


def program(folder: Path, name: str, code: int = 0) -> Path:
    """Put a program there that writes down how it was called; return where it does."""
    folder.mkdir(exist_ok=True)
    log = folder / f"{name}.log"
    path = folder / name
    path.write_text(PROGRAM.format(python=sys.executable, log=str(log), code=code))
    path.chmod(0o755)
    return log


def said(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_what_is_said_on_one_machine_is_shown_on_another(
    on_convex: ConvexServer, tmp_path: Path
) -> None:
    one, other = ({"CODY_HOME": str(tmp_path / name)} for name in ("a", "b"))
    asked = cody("chat", "-m", "demo/echo", "about umbrellas", **one)
    assert asked.stdout == "about umbrellas\n"
    listed = cody("threads", "list", "-q", "umbrella", "--json", **other)
    thread = json.loads(listed.stdout)
    shown = here("threads", "show", thread["id"], env=other)
    assert shown.stdout.count("about umbrellas") == 3
    again = here("chat", "-c", "and rain?", env=other)
    assert again.stdout == "and rain?\n"
    shown = here("threads", "show", thread["id"], "--json", env=one)
    assert len(json.loads(shown.stdout)["runs"]) == 2
    deleted = here("threads", "delete", "-y", thread["id"], env=one)
    assert deleted.returncode == 0
    gone = here("threads", "show", thread["id"], env=other)
    assert (gone.returncode, "there is no thread" in gone.stderr) == (1, True)


def test_an_answer_that_is_not_stored_is_given_and_kept_for_the_next_start(
    on_convex: ConvexServer, tmp_path: Path
) -> None:
    on_convex.stop()
    asked = cody("chat", "-m", "demo/echo", "hello")
    assert (asked.stdout, asked.returncode) == ("hello\n", 0)
    status = here("convex", "status")
    assert "1 run waits to be stored" in status.stdout
    on_convex.start()
    cody("threads", "list")
    assert here("threads", "list").stdout.count("hello") == 1
    assert "nothing waits to be stored" in here("convex", "status").stdout


def test_status_tells_how_things_are(on_convex: ConvexServer) -> None:
    found = cody("convex", "status")
    assert found.returncode == 0
    assert re.search(rf"^deployment +{on_convex.url}$", found.stdout, re.MULTILINE)
    assert re.search(r"^convex +answers in \d+ ms, and takes the key$", found.stdout, re.MULTILINE)
    assert re.search(r"^convex functions +version 1, up to date$", found.stdout, re.MULTILINE)
    on_convex.turn("deployed", version=None)
    missing = here("convex", "status")
    assert (missing.returncode, "cody convex deploy" in missing.stdout) == (1, True)
    wrong = here("convex", "status", env={"CONVEX_DEPLOY_KEY": "test|wrong"})
    assert (wrong.returncode, "CONVEX_DEPLOY_KEY" in wrong.stdout) == (1, True)
    assert "wrong" not in wrong.stdout + wrong.stderr
    on_convex.stop()
    away = here("convex", "status")
    assert (away.returncode, "cannot be used now" in away.stdout) == (1, True)


def test_status_without_a_deployment_names_what_to_set() -> None:
    found = here("convex", "status")
    assert (found.returncode, found.stdout) == (1, "")
    assert "CONVEX_URL" in found.stderr


def test_deploy_runs_npx_convex_deploy_with_the_functions_and_the_key(
    on_convex: ConvexServer, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    npm, npx = program(tools, "npm"), program(tools, "npx")
    path = f"{tools}:{os.environ['PATH']}"
    done = cody("convex", "deploy", PATH=path, OPENAI_API_KEY="sk-not-for-npx")
    assert done.returncode == 0, done.stderr
    assert "convex functions  version 1, up to date" in done.stdout
    (installed,), (deployed,) = said(npm), said(npx)
    assert installed["args"] == ["ci", "--omit=dev"]
    assert shlex.join(map(str, deployed["args"])).startswith("--no-install convex deploy")  # type: ignore[call-overload]  # a list
    assert deployed["functions"] is True
    assert installed["cwd"] == deployed["cwd"] == str(tmp_path / "home" / "convex")
    environment = json.dumps(deployed["env"])
    assert on_convex.key in environment
    assert "sk-not-for-npx" not in environment


def test_deploy_asks_before_it_replaces_functions_that_are_not_ours(
    on_convex: ConvexServer, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    npm, _ = program(tools, "npm"), program(tools, "npx")
    env = {"PATH": f"{tools}:{os.environ['PATH']}"}
    on_convex.turn("deployed", version=None)
    refused = here("convex", "deploy", stdin="n\n", env=env)
    assert refused.returncode == 1
    assert f"functions there are in {on_convex.url}" in refused.stderr
    assert not npm.exists()
    here("convex", "deploy", stdin="y\n", env=env)
    here("convex", "deploy", "--yes", env=env)
    assert len(said(npm)) == 2


def test_a_deploy_that_fails_says_so(on_convex: ConvexServer, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    program(tools, "npm")
    program(tools, "npx", code=7)
    done = here("convex", "deploy", env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert done.returncode == 1
    assert "failed with exit code 7" in done.stderr


def test_threads_are_copied_to_convex_and_back(on_convex: ConvexServer, tmp_path: Path) -> None:
    sqlite, elsewhere = {"CONVEX_URL": ""}, {"CODY_HOME": f"{tmp_path}/b"}
    for prompt in ("one", "two"):
        here("chat", "-m", "demo/echo", prompt, env=sqlite)
    there = cody("threads", "copy", "--from", "sqlite", "--to", "convex")
    assert (there.returncode, there.stdout) == (0, "")
    assert there.stderr.splitlines()[-1] == "2 threads, 2 of them new, 2 new runs"
    listed = here("threads", "list", "--json")
    assert listed.stdout == here("threads", "list", "--json", env=sqlite).stdout
    again = here("threads", "copy", "--from", "sqlite", "--to", "convex")
    assert again.stderr.splitlines()[-1] == "2 threads, 0 of them new, 0 new runs"
    back = here("threads", "copy", "--from", "convex", "--to", "sqlite", env=elsewhere)
    assert back.stderr.splitlines()[-1] == "2 threads, 2 of them new, 2 new runs"
    assert here("threads", "list", "--json", env={**sqlite, **elsewhere}).stdout == listed.stdout


@pytest.mark.parametrize(
    "args", [["--from", "sqlite"], ["--from", "sqlite", "--to", "sqlite"], ["--from", "x"]]
)
def test_copying_says_what_it_needs_to_know(args: list[str]) -> None:
    assert here("threads", "copy", *args).returncode == 2


def test_an_interrupt_of_a_chat_whose_deployment_is_away_ends_it(on_convex: ConvexServer) -> None:
    on_convex.stop()
    with subprocess.Popen(
        [SCRIPT, "chat", "-m", "demo/long", "hello"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "CODY_DEMO_DELAY": "0.02"},
    ) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert "1 run waits" in here("convex", "status").stdout
