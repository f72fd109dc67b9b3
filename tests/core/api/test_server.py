"""``cody serve`` in a process of its own: how it begins, what it logs and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.settings import ServerSettings, load_settings
from cody_core.sse import Decoder
from cody_core.stores.sqlite import SqliteStore
from support.server import served

TOKEN = "a token nobody guesses"
SLOW = "0.2"
"""Seconds between two tokens of an answer: many seconds for all of it."""


@dataclass(frozen=True, slots=True)
class Process:
    """A server on its own."""

    process: asyncio.subprocess.Process
    http: httpx.AsyncClient
    errors: Path

    async def submit(self) -> dict[str, str]:
        answer = await self.http.post("/api/v2/submit", json={"prompt": "x", "model": "demo/tour"})
        found: dict[str, str] = answer.json()
        return found

    async def end(self, *signals: signal.Signals) -> int:
        """Send the signals and return the exit code."""
        for number in signals:
            self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait()

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.errors.read_text().splitlines()]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from cody_tui.cli import main; main()", "serve", *arguments]


@asynccontextmanager
async def process(tmp_path: Path, *arguments: str, **variables: str) -> AsyncIterator[Process]:
    """Start a server on a free port, which it says."""
    errors = tmp_path / "errors"
    with errors.open("wb") as file:
        child = await asyncio.create_subprocess_exec(
            *command("--port", "0", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
        )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(30):
            said = (await child.stdout.readline()).decode().split()
        assert said[:3] == ["cody", "listens", "on"], errors.read_text()
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=said[3], headers=headers) as http:
            yield Process(child, http, errors)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        child._transport.close()  # type: ignore[attr-defined]  # its pipe is not closed otherwise


async def stored_status(run_id: str) -> str | None:
    async with SqliteStore.open(load_settings().home / "cody.db") as store:
        response = await store.get_run(run_id)
    return response.status if response is not None else None


async def test_a_run_that_ends_within_the_grace_ends_by_itself(tmp_path: Path) -> None:
    async with process(tmp_path, CODY_DEMO_DELAY="0.002") as server:
        submitted = await server.submit()
        assert await server.end(signal.SIGTERM) == 0
    assert await stored_status(submitted["runId"]) == "complete"


@pytest.mark.parametrize("how", ["no grace", "two signals"])
async def test_a_run_that_does_not_is_aborted_and_its_readers_are_told(
    tmp_path: Path, how: str
) -> None:
    grace = 0 if how == "no grace" else 600
    serve = json.dumps({"grace": grace})
    async with process(tmp_path, CODY_DEMO_DELAY=SLOW, CODY_SERVE=serve) as server:
        submitted = await server.submit()
        decoder, events = Decoder(), []
        async with server.http.stream("GET", submitted["streamUrl"]) as response:
            chunks = response.aiter_bytes()
            events += decoder.feed(await anext(chunks))
            server.process.send_signal(signal.SIGTERM)
            if how == "two signals":
                await until_closed(server)
                server.process.send_signal(signal.SIGINT)
            async for chunk in chunks:
                events += decoder.feed(chunk)
        assert await server.end() == 0
    assert [event.event for event in events][-1] == "response_done"
    assert '"aborted"' in events[-1].data
    assert await stored_status(submitted["runId"]) == "aborted"


async def until_closed(server: Process) -> None:
    """Wait until the server takes no new connections."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with httpx.AsyncClient(base_url=server.http.base_url) as other:
                    await other.get("/health")
            except httpx.TransportError:
                return


async def test_interrupting_an_idle_server_ends_it_and_closes_listeners(tmp_path: Path) -> None:
    async with process(tmp_path) as server:
        made = (await server.http.post("/api/v2/threads", json={})).json()
        async with server.http.stream("GET", f"/api/v2/threads/{made['threadId']}/events") as word:
            chunks = word.aiter_bytes()
            await anext(chunks)
            server.process.send_signal(signal.SIGINT)
            assert [chunk async for chunk in chunks] == []
        assert await server.end() == 0


async def test_the_log_is_json_lines_without_secrets(tmp_path: Path) -> None:
    variables = {"CODY_TOKEN": TOKEN, "OPENAI_API_KEY": "sk-very-secret"}
    async with process(tmp_path, "--log-level", "debug", **variables) as server:
        await server.submit()
        await server.http.get("/api/v2/threads", params={"q": "private", "token": TOKEN})
        assert (await server.http.get("/api/v2/info", headers={"authorization": "x"})).is_error
        assert await server.end(signal.SIGTERM) == 0
    requests = [line for line in server.lines() if line["message"] == "request"]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [
        ("POST", "/api/v2/submit", 202),
        ("GET", "/api/v2/threads", 200),
        ("GET", "/api/v2/info", 401),
    ]
    assert set(requests[0]) >= {"time", "level", "logger", "client", "bytes", "ms"}
    text = server.errors.read_text()
    assert not [secret for secret in (TOKEN, "sk-very-secret", "private") if secret in text]


async def test_a_quiet_server_logs_no_requests(tmp_path: Path) -> None:
    async with process(tmp_path, "--log-level", "warning") as server:
        assert (await server.http.get("/health")).status_code == 200
        assert await server.end(signal.SIGTERM) == 0
    assert server.lines() == []


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


def test_what_cannot_be_served_is_said_in_one_line(taken: int) -> None:
    cases = [
        (["--host", "0.0.0.0"], 1, "CODY_TOKEN"),
        (["--port", str(taken)], 1, "--port"),
        (["--host", "nowhere.invalid"], 1, "--host"),
        (["--token", " "], 2, "--token"),
    ]
    for arguments, code, named in cases:
        found = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=30)
        assert (found.returncode, found.stdout) == (code, "")
        assert found.stderr.startswith("cody: "), found.stderr
        assert named in found.stderr
        assert found.stderr.count("\n") == 1


async def test_a_server_that_is_ending_takes_no_new_runs_but_finishes_those_it_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "cody_core.api.server")
    provider = ScriptedProvider([[Hang(after="so far")], [Say("Hello.")]])
    async with served(provider, serve=ServerSettings(grace=30)) as server:
        submitted = await server.submit()
        host, _, port = server.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = b'{"prompt": "x"}'
        head = "POST /api/v2/submit HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[:5])
        async with server.stream(submitted["streamUrl"]) as events, asyncio.timeout(10):
            await anext(events)
            server.stop.ask()
            while "shutting down" not in caplog.text:
                await asyncio.sleep(0.001)
            writer.write(body[5:])
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b'"SHUTTING_DOWN"' in answer
            assert (await server.core.run(submitted["runId"])).status == "in_progress"
            await server.core.cancel(submitted["runId"])
            assert [event.event async for event in events][-1] == "response_done"
        writer.close()


def test_importing_the_command_line_imports_no_server() -> None:
    code = (
        "import sys, cody_tui.cli; print([m for m in ('fastapi', 'uvicorn') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
