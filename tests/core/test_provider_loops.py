"""Whole runs over the real SDKs, against a server that checks requests as the real APIs do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cody_core.runtime import open_runtime
from cody_core.schema.items import FunctionCall, FunctionCallOutput, Item, Message
from cody_core.schema.requests import SubmitRequest
from cody_core.settings import load_settings
from support.core import ended, texts
from wire import anthropic_checks, openai_checks
from wire.server import Answer, Request, WireServer, one_byte_at_a_time, recording

CODY = str(Path(sys.executable).parent / "cody")


@dataclass(frozen=True)
class Api:
    """One provider's API: how to check its requests, what it answers, and how it is configured."""

    name: str
    check: Callable[[Request], Answer | None]
    calls: str
    text: str
    model: str
    settings: Callable[[str], dict[str, Any]]


APIS = [
    Api(
        "openai",
        openai_checks.check_responses,
        "openai/calls.sse",
        "openai/reasoning.sse",
        "gpt-5.1-codex-mini",
        lambda url: {"openai_api_key": "sk-1", "openai_base_url": url},
    ),
    Api(
        "anthropic",
        anthropic_checks.check,
        "anthropic/tools.sse",
        "anthropic/thinking.sse",
        "claude-haiku-4.5",
        lambda url: {"anthropic_api_key": "sk-1", "anthropic_base_url": url},
    ),
    Api(
        "local",
        openai_checks.check_chat,
        "openai_chat/calls.sse",
        "openai_chat/text.sse",
        "local/some-model",
        lambda url: {"providers": {"local": {"base_url": url}}},
    ),
]


@pytest.fixture(params=APIS, ids=lambda api: api.name)
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


async def test_calls_are_answered_and_the_thread_goes_on(api: Api) -> None:
    async with WireServer(check=api.check) as server:
        calls = Answer.sse(recording(api.calls), cuts=one_byte_at_a_time)
        text = Answer.sse(recording(api.text))
        server.answers(calls, text, calls, text)
        settings = load_settings(model=api.model, **api.settings(server.url))
        async with open_runtime(settings) as client:
            submitted = await client.submit(
                SubmitRequest(prompt="look at both", reasoning_effort="high")
            )
            first = await ended(client, submitted.run_id)
        async with open_runtime(settings) as client:
            again = SubmitRequest(prompt="and again", thread_id=submitted.thread_id)
            second = await ended(client, (await client.submit(again)).run_id)
        assert server.refused == []
        assert len(server.requests) == 4
    for response in (first, second):
        assert response.status == "complete", response.error
        check_pairs(response.output_items)
        assert texts(response.output_items)
        assert response.usage is not None
        assert response.usage.total_tokens > 0
    sent = json.dumps(server.requests[3].json, ensure_ascii=False)
    assert "look at both" in sent
    assert "and again" in sent
    assert "There is no tool named" in sent


def check_pairs(items: tuple[Item, ...]) -> None:
    """Unknown tools were called, and each call has its one output that says so."""
    calls = [item.call_id for item in items if isinstance(item, FunctionCall)]
    outputs = [item for item in items if isinstance(item, FunctionCallOutput)]
    assert len(calls) >= 2
    assert sorted(item.call_id for item in outputs) == sorted(calls)
    assert not any(item.success for item in outputs)


async def test_a_stream_that_breaks_is_asked_for_again(api: Api) -> None:
    async with WireServer(check=api.check) as server:
        body = recording(api.text)
        half = body[: body.rindex(b"\n\n", 0, len(body) * 2 // 3) + 2]
        server.answers(Answer.sse(half, then="break"), Answer.sse(body))
        settings = load_settings(model=api.model, **api.settings(server.url))
        async with open_runtime(settings) as client:
            submitted = await client.submit(SubmitRequest(prompt="hi"))
            response = await ended(client, submitted.run_id)
        assert server.refused == []
        assert server.requests[0].json == server.requests[1].json
    assert response.status == "complete", response.error
    assert isinstance(response.output_items[-1], Message)


async def test_cancelling_closes_the_providers_connection(api: Api) -> None:
    async with WireServer(check=api.check) as server:
        body = recording(api.text)
        half = body[: body.rindex(b"\n\n", 0, len(body) * 2 // 3) + 2]
        server.answers(Answer.sse(half, then="hang"))
        settings = load_settings(model=api.model, **api.settings(server.url))
        async with open_runtime(settings) as client, asyncio.timeout(30):
            submitted = await client.submit(SubmitRequest(prompt="hi"))
            async for batch in client.follow(submitted.run_id):
                if any(entry.event.type == "item_delta" for entry in batch):
                    await client.cancel(submitted.run_id)
            await server.client_left.wait()
            response = await client.run(submitted.run_id)
    assert response.status == "aborted"
    assert response.output_items[-1].type in ("cancelled", "message", "reasoning")


@pytest.mark.parametrize("api", APIS[:2], ids=lambda api: api.name)
async def test_the_command_line_talks_to_a_base_url(api: Api) -> None:
    async with WireServer(check=api.check) as server:
        server.answers(Answer.sse(recording(api.text)))
        variable = api.name.upper()
        process = await asyncio.create_subprocess_exec(
            CODY, "chat", "--json", "hi",
            env={**os.environ, f"{variable}_API_KEY": "sk-1", f"{variable}_BASE_URL": server.url},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")
        assert server.refused == []
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["payload"]["provider_id"] == api.name
    kinds = {event["payload"].get("item_type") for event in events}
    assert {"reasoning", "message"} <= kinds
