"""``cody serve`` and ``cody worker`` in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cody_core.ids import new_id
from cody_core.settings import load_settings
from cody_core.sse import Decoder
from cody_core.stores.sqlite import SqliteStore

TOKEN = "a token nobody guesses"


@dataclass(frozen=True, slots=True)
class Program:
    """A process, and where its errors go."""

    process: asyncio.subprocess.Process
    errors: Path

    async def end(self, *signals: signal.Signals) -> int:
        """Send the signals and return the exit code."""
        for number in signals:
            self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait()

    def lines(self) -> list[dict[str, object]]:
        """Return what it logged."""
        return [json.loads(line) for line in self.errors.read_text().splitlines()]


@dataclass(frozen=True, slots=True)
class ServerProgram(Program):
    """A server, and somebody who speaks to it."""

    http: httpx.AsyncClient

    async def submit(self, **more: object) -> dict[str, str]:
        """Submit a prompt, to the demo unless another model is named."""
        body = {"prompt": "x", "model": "demo/tour", **more}
        answer = await self.http.post("/api/v2/submit", json=body)
        assert answer.status_code == 202, answer.text
        found: dict[str, str] = answer.json()
        return found

    async def events(self, submitted: dict[str, str]) -> list[str]:
        """Read the stream of a run to its end, and return the types of its events."""
        decoder, found = Decoder(), list[str]()
        async with self.http.stream("GET", submitted["streamUrl"], timeout=30) as response:
            async for chunk in response.aiter_bytes():
                found += [event.event for event in decoder.feed(chunk)]
        return found


def command(*arguments: str) -> list[str]:
    """Return what starts the program."""
    return [sys.executable, "-c", "from cody_tui.cli import main; main()", *arguments]


def refused(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that cannot do what it is asked for, to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=30)


@asynccontextmanager
async def program(
    errors: Path, *arguments: str, **variables: str
) -> AsyncIterator[tuple[Program, str]]:
    """Start a program, and give it with the first line that it says."""
    with errors.open("wb") as file:
        child = await asyncio.create_subprocess_exec(
            *command(*arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
        )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(30):
            said = (await child.stdout.readline()).decode()
        started = Program(child, errors)
        assert said, started.lines()
        yield started, said
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        child._transport.close()  # type: ignore[attr-defined]  # its pipe is not closed otherwise


@asynccontextmanager
async def server(tmp_path: Path, *arguments: str, **variables: str) -> AsyncIterator[ServerProgram]:
    """Start a server on a free port, which it says."""
    errors = tmp_path / f"{new_id()}.errors"
    serve = ("serve", "--port", "0", *arguments)
    async with program(errors, *serve, **variables) as (started, said):
        assert said.startswith("cody listens on "), said
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=said.split()[3], headers=headers) as http:
            yield ServerProgram(started.process, errors, http)


@asynccontextmanager
async def worker(tmp_path: Path, *arguments: str, **variables: str) -> AsyncIterator[Program]:
    """Start a worker."""
    errors = tmp_path / f"{new_id()}.errors"
    async with program(errors, "worker", *arguments, **variables) as (started, said):
        assert said == "cody works\n"
        yield started


async def stored_status(run_id: str) -> str | None:
    """Return the status of a run in the database that the settings name."""
    async with SqliteStore.open(load_settings().home / "cody.db") as store:
        response = await store.get_run(run_id)
    return response.status if response is not None else None
