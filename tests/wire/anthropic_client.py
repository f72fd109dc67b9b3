"""A provider of ours at a wire server that takes what the Messages API takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cody_core.ids import new_id
from cody_core.providers.anthropic import AnthropicProvider
from cody_core.schema.events import Payload
from cody_core.schema.items import Item, Message
from cody_core.schema.requests import ModelRequest, ToolSpec
from cody_core.settings import ProviderSettings
from pydantic import SecretStr

from wire.anthropic_checks import check
from wire.server import WireServer

KEY = "sk-ant-secret"
RESPONSE = new_id()
TOOLS = tuple(
    ToolSpec(name=name, description=f"Does {name}.", parameters={"properties": {}})
    for name in ("read_file", "list_files", "write_file")
)
QUESTION = Message(id="q", origin="user", content="Hello?")


def settings(url: str, **changes: Any) -> ProviderSettings:
    values: dict[str, Any] = {
        "kind": "anthropic",
        "base_url": url,
        "api_key": SecretStr(KEY),
        "api_key_env": "ANTHROPIC_API_KEY",
        "timeout": 5.0,
    }
    return ProviderSettings(**{**values, **changes})


@asynccontextmanager
async def wired(**changes: Any) -> AsyncIterator[tuple[WireServer, AnthropicProvider]]:
    async with WireServer(check=check) as server:
        provider = AnthropicProvider(settings(server.url, **changes), name="anthropic")
        try:
            yield server, provider
        finally:
            await provider.aclose()


def request(*items: Item, **changes: Any) -> ModelRequest:
    values: dict[str, Any] = {"model": "claude-haiku-4.5", "tools": TOOLS, **changes}
    return ModelRequest(response_id=RESPONSE, items=items or (QUESTION,), **values)


async def collect(
    provider: AnthropicProvider,
    asked: ModelRequest | None = None,
    into: list[Payload] | None = None,
) -> list[Payload]:
    seen = [] if into is None else into
    async for payload in provider.stream(asked or request()):
        seen.append(payload)
    return seen
