"""One prompt through the real pipeline: the demo and a provider's API, both logs, both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from cody_core.ids import is_uuid
from cody_core.providers.scripted import Say
from cody_core.resources import open_store
from cody_core.runtime import open_runtime
from cody_core.schema.requests import SubmitRequest
from cody_core.settings import Settings, load_settings
from cody_core.verification import Passage, Stage, verify
from support.convex import ConvexServer
from support.redis import RedisServer
from wire.answers import responses
from wire.server import Answer, WireServer

STAGES = ["open", "provider", "log", "reducer", "store", "read back", "clean up"]
KEY = "sk-very-secret"


@pytest.fixture
async def wire() -> AsyncIterator[WireServer]:
    async with WireServer() as server:
        yield server


async def passed(settings: Settings, **more: object) -> tuple[Passage, list[Stage]]:
    stages: list[Stage] = []
    request = SubmitRequest(prompt="hello there", policy="read-only")
    passage = await verify(settings, request, stages.append, **more)  # type: ignore[arg-type]  # seconds and keep
    return passage, stages


async def threads(settings: Settings) -> list[str]:
    async with open_store(settings) as store:
        return [thread.id for thread in (await store.list_threads()).threads]


async def assert_all_pass(settings: Settings) -> None:
    passage, stages = await passed(settings)
    assert [(stage.name, stage.is_passed) for stage in stages] == [(name, True) for name in STAGES]
    assert all(stage.seconds >= 0 for stage in stages)
    assert passage.failed is None
    assert passage.run_id is not None
    assert is_uuid(passage.run_id)
    assert passage.trace_id == passage.run_id.replace("-", "")
    assert passage.sequence[0] == "response_start"
    assert passage.sequence[-1] == "response_done"
    assert any(kind.startswith("item_delta") for kind in passage.sequence)
    assert await threads(settings) == []


async def test_without_anything_set_up_the_demo_goes_all_the_way() -> None:
    await assert_all_pass(load_settings(model="demo/echo"))


async def test_a_log_in_redis_is_gone_through(redis_server: RedisServer) -> None:
    await assert_all_pass(load_settings(model="demo/echo", redis_url=redis_server.url, log_ttl=0))


async def test_a_store_in_convex_is_read_back(convex: ConvexServer) -> None:
    said = {"convex_url": convex.url, "convex_deploy_key": convex.key}
    await assert_all_pass(load_settings(model="demo/echo", **said))


async def test_a_provider_behind_an_api_answers(wire: WireServer) -> None:
    wire.answers(responses(Say("Hello.")))
    await assert_all_pass(load_settings(openai_api_key=KEY, openai_base_url=f"{wire.url}/v1"))


async def test_the_thread_stays_if_that_is_wanted() -> None:
    settings = load_settings(model="demo/echo")
    passage, stages = await passed(settings, keep=True)
    assert [stage.name for stage in stages] == STAGES[:-1]
    assert await threads(settings) == [passage.thread_id]
    async with open_runtime(settings) as client:
        response = await client.run(str(passage.run_id))
    assert response.status == "complete"


async def test_a_provider_that_refuses_is_the_stage_that_fails(wire: WireServer) -> None:
    wire.answers(Answer.error(401, {"error": {"message": f"no: {KEY}", "code": "invalid_api_key"}}))
    settings = load_settings(openai_api_key=KEY, openai_base_url=f"{wire.url}/v1")
    passage, stages = await passed(settings)
    assert [(stage.name, stage.is_passed) for stage in stages] == [
        ("open", True),
        ("provider", False),
    ]
    assert passage.failed == "provider"
    assert "OPENAI_API_KEY" in stages[-1].text
    assert KEY not in stages[-1].text
    assert passage.sequence == ["response_start", "response_error"]
    assert await threads(settings) == []


async def test_a_model_that_says_nothing_has_not_answered(wire: WireServer) -> None:
    wire.answers(responses())
    settings = load_settings(openai_api_key=KEY, openai_base_url=f"{wire.url}/v1")
    passage, stages = await passed(settings)
    assert (passage.failed, "says nothing" in stages[-1].text) == ("provider", True)


async def test_a_log_that_is_away_is_the_stage_that_fails() -> None:
    passage, stages = await passed(load_settings(redis_url="redis://:secret@127.0.0.1:1"))
    assert [(stage.name, stage.is_passed) for stage in stages] == [("log", False)]
    assert passage.failed == "log"
    assert "REDIS_URL" in stages[0].text
    assert (passage.trace_id, passage.sequence) == (None, [])


async def test_a_store_that_is_away_is_the_stage_that_fails(convex: ConvexServer) -> None:
    said = {"convex_url": convex.url, "convex_deploy_key": convex.key}
    convex.stop()
    passage, stages = await passed(load_settings(model="demo/echo", **said))
    convex.start()
    assert [stage.name for stage in stages] == STAGES[:5]
    assert passage.failed == "store"
    assert "CONVEX_URL" in stages[-1].text


async def test_what_takes_too_long_is_named(wire: WireServer) -> None:
    wire.answers(Answer(delay=30.0))
    settings = load_settings(openai_api_key=KEY, openai_base_url=f"{wire.url}/v1")
    passage, stages = await passed(settings, seconds=2.0)
    assert passage.failed == "provider"
    assert stages[-1].text.startswith("not all of it was done in 2 s")
    assert await threads(settings) == []


async def test_a_verification_that_is_interrupted_leaves_no_thread(wire: WireServer) -> None:
    wire.answers(Answer(delay=30.0))
    settings = load_settings(openai_api_key=KEY, openai_base_url=f"{wire.url}/v1")
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
        running = tasks.create_task(passed(settings))
        while not wire.requests:
            await asyncio.sleep(0.005)
        assert len(await threads(settings)) == 1
        running.cancel()
    assert running.cancelled()
    assert await threads(settings) == []


async def test_a_model_that_cannot_be_told_is_refused_before_anything_runs() -> None:
    passage, stages = await passed(load_settings(model="nonsense"))
    assert (passage.failed, passage.run_id) == ("provider", None)
    assert "nonsense" in stages[-1].text
