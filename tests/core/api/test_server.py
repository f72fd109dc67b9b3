"""``cody serve`` in a process of its own: how it begins, what it logs and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from cody_core.api.server import listening
from cody_core.errors import SettingsError
from cody_core.providers.scripted import Hang, Say, ScriptedProvider
from cody_core.settings import ServerSettings, load_settings
from cody_core.sse import Decoder
from support import program
from support.program import TOKEN, ServerProgram, refused, stored_status
from support.server import served

SLOW = "0.2"
"""Seconds between two tokens of an answer: many seconds for all of it."""


async def test_a_run_that_ends_within_the_grace_ends_by_itself(tmp_path: Path) -> None:
    async with program.server(tmp_path, CODY_DEMO_DELAY="0.002") as server:
        submitted = await server.submit()
        assert await server.end(signal.SIGTERM) == 0
    assert await stored_status(submitted["runId"]) == "complete"


@pytest.mark.parametrize("how", ["no grace", "two signals"])
async def test_a_run_that_does_not_is_aborted_and_its_readers_are_told(
    tmp_path: Path, how: str
) -> None:
    grace = 0 if how == "no grace" else 600
    serve = json.dumps({"grace": grace})
    async with program.server(tmp_path, CODY_DEMO_DELAY=SLOW, CODY_SERVE=serve) as server:
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


async def until_closed(server: ServerProgram) -> None:
    """Wait until the server takes no new connections."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with httpx.AsyncClient(base_url=server.http.base_url) as other:
                    await other.get("/health")
            except httpx.TransportError:
                return


async def test_interrupting_an_idle_server_ends_it_and_closes_listeners(tmp_path: Path) -> None:
    async with program.server(tmp_path) as server:
        made = (await server.http.post("/api/v2/threads", json={})).json()
        async with server.http.stream("GET", f"/api/v2/threads/{made['threadId']}/events") as word:
            chunks = word.aiter_bytes()
            await anext(chunks)
            server.process.send_signal(signal.SIGINT)
            assert [chunk async for chunk in chunks] == []
        assert await server.end() == 0


async def test_the_log_is_json_lines_without_secrets(tmp_path: Path) -> None:
    variables = {"CODY_TOKEN": TOKEN, "OPENAI_API_KEY": "sk-very-secret", "CODY_DEMO_DELAY": "0"}
    async with program.server(tmp_path, "--log-level", "debug", **variables) as server:
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
    async with program.server(tmp_path, "--log-level", "warning") as server:
        assert (await server.http.get("/health")).status_code == 200
        assert await server.end(signal.SIGTERM) == 0
    assert server.lines() == []


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


def test_what_cannot_be_served_is_said_in_one_line(taken: int) -> None:
    cases = [
        (["--port", str(taken)], "--port"),
        (["--port", "0", "--no-workers"], "REDIS_URL"),
    ]
    for arguments, named in cases:
        found = refused("serve", *arguments)
        assert (found.returncode, found.stdout) == (1, "")
        assert found.stderr.startswith("cody: "), found.stderr
        assert named in found.stderr
        assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "named"), [("0.0.0.0", "CODY_TOKEN"), ("nowhere.invalid", "--host")]
)
def test_an_address_that_must_not_or_cannot_be_bound_is_refused(host: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named), listening(load_settings(host=host, port=0)):
        pass


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
