"""``cody worker`` in a process of its own: what it takes, how it ends, and what is left by one."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from cody_core.providers.scripted import Call
from cody_core.schema.response import Response
from support import program
from support.program import ServerProgram, refused, stored_status
from support.redis import RedisServer
from wire.answers import responses
from wire.server import WireServer


def test_a_worker_without_a_place_to_take_runs_from_says_so_in_one_line() -> None:
    found = refused("worker")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("cody: ")
    assert "REDIS_URL" in found.stderr
    assert found.stderr.count("\n") == 1


async def test_a_worker_answers_what_a_server_is_asked(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    redis = ("--redis", own_redis.url)
    async with (
        program.server(tmp_path, *redis, "--no-workers", CODY_DEMO_DELAY="0") as server,
        program.worker(tmp_path, *redis, CODY_DEMO_DELAY="0") as worker,
    ):
        submitted = await server.submit()
        assert (await server.events(submitted))[-1] == "response_done"
        assert await worker.end(signal.SIGTERM) == 0
        assert await stored_status(submitted["runId"]) == "complete"
        assert await server.end(signal.SIGTERM) == 0


async def test_a_worker_that_is_told_to_end_finishes_what_it_has_and_takes_no_more(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    redis = ("--redis", own_redis.url)
    async with program.server(tmp_path, *redis, "--no-workers") as server:
        async with program.worker(tmp_path, *redis, CODY_DEMO_DELAY="0.003") as worker:
            first = await server.submit()
            await begun(server, first)
            worker.process.send_signal(signal.SIGTERM)
            while "shutting down" not in worker.errors.read_text():
                await asyncio.sleep(0.01)
            second = await server.submit()
            assert await worker.end() == 0
        assert (await run(server, first)).status == "complete"
        assert (await run(server, second)).status == "queued"
        async with program.worker(tmp_path, *redis, CODY_DEMO_DELAY="0"):
            assert (await server.events(second))[-1] == "response_done"


async def test_what_a_worker_that_was_killed_had_begun_is_ended_and_no_call_is_made_twice(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    redis = ("--redis", own_redis.url)
    calling = Call("shell", {"command": "echo once >> made; sleep 60"})
    async with WireServer() as model, program.server(tmp_path, *redis, "--no-workers") as server:
        model.answers(responses(calling))
        place = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-1"}
        claims = {**place, "CODY_CLAIM_SECONDS": "0.5", "CODY_POLICY": "full-auto"}
        async with program.worker(tmp_path, *redis, **claims) as first:
            submitted = await server.submit(model="openai/gpt-5.1-codex-mini", policy="full-auto")
            async with asyncio.timeout(30):
                while not made():
                    await asyncio.sleep(0.01)
            first.process.kill()
            await first.process.wait()
        async with program.worker(tmp_path, *redis, **claims):
            kinds = await server.events(submitted)
            ended = await run(server, submitted)
        assert kinds[-1] == "response_error"
        assert ended.error is not None
        assert (ended.status, ended.error.code) == ("error", "interrupted")
        assert [item.type for item in ended.output_items] == ["function_call", "error"]
        assert made() == "once\n"
        assert len(model.requests) == 1


def made() -> str:
    """Return what calls have left in the workspace."""
    place = Path("made")
    return place.read_text() if place.exists() else ""


async def begun(server: ServerProgram, submitted: dict[str, str]) -> None:
    """Wait until a run has some output."""
    async with asyncio.timeout(20):
        while not (await run(server, submitted)).output_items:
            await asyncio.sleep(0.01)


async def run(server: ServerProgram, submitted: dict[str, str]) -> Response:
    answer = await server.http.get(f"/api/v2/runs/{submitted['runId']}")
    return Response.model_validate_json(answer.content)
