"""Every block of the README is run as it stands there, and its output compared.

A command that is the program and nothing else is run in this process, which has imported it by
then. What goes through a shell, opens a terminal or goes on is a process, as it is for its users.

What it needs from outside is real where that can be had: Redis, the Convex functions, ``cody
serve``. A scripted server on the loopback interface stands for the providers, and programs that
do nothing for the ``npm`` and ``npx`` that would deploy.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest
from anyio.from_thread import start_blocking_portal
from cody_core.providers.scripted import Say
from cody_core.settings import Settings
from cody_core.sources import variables
from support.convex import ConvexServer
from support.inside import here
from support.readme import (
    ROOT,
    Block,
    Section,
    commands,
    is_assignment,
    is_session,
    looks_like,
    sections,
)
from support.redis import find_server
from tui.test_convex_cli import program
from wire import answers, anthropic_checks, openai_checks
from wire.server import Answer, Request, WireServer

README = (ROOT / "README.md").read_text()
SECTIONS = sections(README)
INSTALLING = "python3 -m pip install --quiet uv && "
SECONDS = 50
BELIEVED = os.environ.get("SSL_CERT_FILE", "")
"""The authorities of whoever runs the tests, for what may have to be fetched."""
READY = r"ready|Who should answer"
NOUNS = {
    "Client.submit": "cody_core.client",
    "Runtime": "cody_core.runtime",
    "Provider": "cody_core.providers",
    "EventLog": "cody_core.eventlog",
    "Reducer": "cody_core.reducer",
    "Store": "cody_core.stores",
}


def answer(request: Request) -> Answer:
    """Answer as whichever provider is asked, or refuse what it would refuse."""
    hello = Say("Hello.")
    match request.path.rpartition("/")[2]:
        case "responses":
            return openai_checks.check_responses(request) or answers.responses(hello)
        case "completions":
            return openai_checks.check_chat(request) or answers.chat(hello)
        case "messages":
            return anthropic_checks.check(request) or answers.messages(hello)
        case other:
            return Answer.error(404, {"error": {"message": f"there is no {other}"}})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Reader:
    """Somebody who does what a section says, one block after the other.

    Attributes:
        said: What the last block of shell wrote to standard output.
    """

    def __init__(
        self, folder: Path, text: str, provider: WireServer, convex: ConvexServer | None
    ) -> None:
        self.said = ""
        self._provider = provider
        self._config = folder / "config" / "cody" / "config.toml"
        self._running: list[subprocess.Popen[str]] = []
        self._ports = {"4010": str(free_port()), "6379": str(free_port())}
        self._instead = {"https://models.example.com": provider.url, **self._ports}
        if convex is not None:
            self._instead["https://happy-otter-123.convex.cloud"] = convex.url
            self._instead["prod:happy-otter-123|your-key"] = convex.key
        self._env = _environment(folder, provider.url, self._ports["4010"])
        _lay_out(folder, self._config, provider.url, text)

    def meet(self, block: Block) -> None:
        """Do what the block is for.

        Raises:
            AssertionError: nobody knows what it is for, or it does not work.
        """
        match block.language:
            case "toml":
                with self._config.open("a") as file:
                    file.write(self._with_ours(block.text))
            case "sh":
                self.said = "".join([self._do(self._with_ours(each)) for each in commands(block)])
            case "text" if block.text.startswith("prompt ─►"):
                for noun, module in NOUNS.items():
                    assert noun in block.text
                    assert importlib.import_module(module)
            case "text":
                said = self._as_shown(self.said).rstrip("\n")
                assert looks_like(said, block.text.rstrip("\n")), self.said
            case other:
                pytest.fail(f"line {block.line}: nothing is known of blocks of {other!r}")

    def leave(self) -> None:
        """End what runs in the background."""
        for process in reversed(self._running):
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=10)
            process.kill()
            process.communicate()

    def _do(self, command: str) -> str:
        act = runner(command)
        assert act is not None, f"nobody knows how to run {command!r}"
        return act(self, command)

    def assign(self, command: str) -> str:
        name, _, value = command.removeprefix("export ").partition("=")
        (self._env[name],) = shlex.split(value)
        return ""

    def run_here(self, command: str) -> str:
        done = here(*shlex.split(command)[1:], env=self._env)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, command: str) -> str:
        # A login shell would read somebody's profile. The pipe fails if any part of it does.
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serve(self, command: str) -> str:
        """Start what goes on, and return the line with which it says that it is there."""
        process = subprocess.Popen(
            shlex.split(command),
            env={**self._env, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._running.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("cody ") or "Ready to accept connections" in line:
                return line
        pytest.fail(f"{command} ended")

    def use(self, command: str, **more: Any) -> str:
        """Open the terminal app and leave it."""
        child = pexpect.spawn(
            "bash", ["-c", command], env=self._env, dimensions=(40, 120), timeout=SECONDS, **more
        )
        child.expect(READY)
        child.sendcontrol("q")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0, command
        return ""

    def install(self, command: str) -> str:
        """Run what comes after the installation of uv, which ``.ci/run`` does word for word."""
        assert command.startswith(INSTALLING)
        rest = command.removeprefix(INSTALLING)
        self._env |= {"UV_NO_SYNC": "1", "PATH": os.environ["PATH"]}
        if rest == "uv run cody":
            return self.use(rest, cwd=ROOT)
        assert command in (ROOT / ".ci/run").read_text()
        return self.run(f"cd {shlex.quote(str(ROOT))} && {rest} --version")

    def install_tool(self, command: str) -> str:
        places = {"UV_TOOL_DIR": "tools", "UV_TOOL_BIN_DIR": "bin"}
        here = Path.cwd()
        self._env |= {name: str(here / place) for name, place in places.items()}
        self._env["SSL_CERT_FILE"] = BELIEVED
        self.run(f"cd {shlex.quote(str(ROOT))} && {command}")
        assert self.run(f"{here}/bin/cody --version").startswith("cody ")
        return ""

    def _with_ours(self, text: str) -> str:
        # All at once: one of ours may hold what another of theirs is.
        theirs = "|".join(map(re.escape, self._instead))
        return re.sub(theirs, lambda found: self._instead[found[0]], text)

    def _as_shown(self, text: str) -> str:
        for theirs, ours in self._ports.items():
            text = text.replace(f"127.0.0.1:{ours}", f"127.0.0.1:{theirs}")
        return text


ELSEWHERE = ("openrouter", "ollama", "lmstudio", "vllm")
"""Providers with an address of their own, which the scripted server takes."""
SHELL = re.compile(r"[|&<>$]")
"""What only a shell can make something of."""
ONCE = ("cody", "curl", "cat", "echo", "git", "redis-cli")


def runner(command: str) -> Callable[[Reader, str], str] | None:
    """Return how a command is run, or ``None`` if that is not known."""
    first, *rest = shlex.split(command)
    if is_assignment(command):
        return Reader.assign
    if command.startswith(INSTALLING):
        return Reader.install
    if command == "uv tool install .":
        return Reader.install_tool
    if first == "redis-server" or (first == "cody" and rest[:1] in (["serve"], ["worker"])):
        return Reader.serve
    if is_session(command):
        return Reader.use
    if first == "cody" and not SHELL.search(command):
        return Reader.run_here
    return Reader.run if first in ONCE else None


def _environment(folder: Path, provider: str, port: str) -> dict[str, str]:
    tools = folder / "tools"
    program(tools, "npm")
    program(tools, "npx")
    redis = find_server()
    programs = [str(tools), str(Path(sys.executable).parent), str(Path(redis or "/").parent)]
    return {
        **os.environ,
        "PATH": os.pathsep.join([*programs, os.environ["PATH"]]),
        "TERM": "xterm-256color",
        "CODY_DEMO_DELAY": "0",
        "OPENAI_BASE_URL": f"{provider}/v1",
        "ANTHROPIC_BASE_URL": provider,
        "PORT": port,
    }


def _lay_out(folder: Path, config: Path, provider: str, text: str) -> None:
    """Make a project to work in, and let local and routed models be at the scripted server."""
    config.parent.mkdir(parents=True)
    config.write_text(
        "".join(
            f'[providers.{name}]\nbase_url = "{provider}/v1"\n'
            for name in ELSEWHERE
            if f"{name}/" in text
        )
    )
    author = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for arguments in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "Begin"]):
        subprocess.run(["git", *arguments], cwd=folder / "work", check=True)


@contextmanager
def reading(
    folder: Path, text: str, provider: WireServer, convex: ConvexServer | None = None
) -> Iterator[Reader]:
    reader = Reader(folder, text, provider, convex)
    try:
        yield reader
    finally:
        reader.leave()


@contextmanager
def providers() -> Iterator[WireServer]:
    """Serve on a loop of its own: the program has the one of this thread."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(WireServer(answer)) as server,
    ):
        yield server


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_what_a_section_says_can_be_done(
    section: Section, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    text = "".join(block.text for block in section.blocks)
    for needed, found in (("curl", shutil.which("curl")), ("redis-server", find_server())):
        if needed in text and found is None:
            pytest.skip(f"no {needed}: install Debian's {needed}")
    convex = request.getfixturevalue("convex") if "CONVEX_URL" in text else None
    with providers() as provider:
        with reading(tmp_path, text, provider, convex) as reader:
            for block in section.blocks:
                reader.meet(block)
        if provider.requests:
            assert reader.said == "Hello.\n"


def test_a_block_or_a_command_that_nobody_knows_fails(tmp_path: Path) -> None:
    (strange,) = sections("# A\n```perl\nprint 1\n```\n")
    (unknown,) = sections("## B\n```sh\nsl -a   # a train\n```\n")
    assert [unknown.heading, unknown.blocks[0].line] == ["B", 2]
    with reading(tmp_path, "", WireServer()) as reader:
        with pytest.raises(pytest.fail.Exception, match="perl"):
            reader.meet(strange.blocks[0])
        with pytest.raises(AssertionError, match="nobody knows how to run 'sl -a'"):
            reader.meet(unknown.blocks[0])


def test_output_that_is_another_one_is_found() -> None:
    assert looks_like("ok  open   7.25 ms  a b\n", "ok      open      36.5 ms  a…\n")
    assert not looks_like("ok  open   7.25 ms  a b\n", "ok      open      36.5 ms  a\n")
    assert not looks_like("failed  open  7.25 ms\n", "ok      open      36.5 ms\n")


def test_all_known_models_are_named_with_their_defaults() -> None:
    data = json.loads((ROOT / "core/cody_core/providers/models.json").read_text())
    for title, provider in (("OpenAI", "openai"), ("Anthropic", "anthropic")):
        names = ", ".join(f"`{name}`" for name in data[provider]["models"])
        assert f"| {title} | {names} | `{data[provider]['default']}` |" in README


def test_all_settings_are_in_the_table_with_their_variables_and_defaults() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `.*", table, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    shown = {row[1].strip("`"): (re.findall(r"`(\w+)`", row[0]), row[2].strip("`")) for row in rows}
    expected = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        plain = isinstance(default, str | int | float)
        expected[name] = (
            variables(Settings, name),
            f"{default:g}" if isinstance(default, float) else str(default) if plain else "",
        )
    assert shown == expected


def test_every_picture_and_every_page_it_points_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", README)
    assert any(target.endswith(".svg") for target in targets)
    for target in targets:
        path, _, anchor = target.partition("#")
        page = (ROOT / path) if path else ROOT / "README.md"
        assert page.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            assert anchor in [title.lower().replace(" ", "-") for title in titles], target
