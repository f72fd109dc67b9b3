"""Servers that speak OpenAI's Chat Completions API: OpenRouter, Ollama, vLLM, LM Studio, …."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from cody_core.providers._openai_errors import Endpoint
from cody_core.providers._openai_stream import model_ids, stream_payloads
from cody_core.providers.openai_chat_events import ChatTranslator
from cody_core.providers.openai_chat_request import build
from cody_core.schema.events import Payload
from cody_core.schema.requests import ModelRequest
from cody_core.settings import ProviderSettings


class OpenAIChatProvider:
    """The ``Provider`` that speaks Chat Completions; it keeps nothing between two requests."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._client = endpoint.client()

    def stream(self, request: ModelRequest) -> AsyncGenerator[Payload]:
        """Yield the answer as it comes; see ``Provider.stream``."""
        endpoint = self.endpoint
        return stream_payloads(
            endpoint,
            self._client,
            "/chat/completions",
            build(
                request,
                provider_id=endpoint.name,
                is_openai=endpoint.is_openai,
                takes_all_efforts=endpoint.is_openrouter,
            ),
            ChatTranslator(endpoint, request.response_id),
        )

    async def models(self) -> Sequence[str]:
        """Return the ids of the models that the server offers."""
        return await model_ids(self.endpoint, self._client)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def create(settings: ProviderSettings, *, name: str) -> OpenAIChatProvider:
    """Return the provider of that name. It needs a key only if the settings name its variable."""
    needs_key = settings.api_key_env is not None
    return OpenAIChatProvider(Endpoint.of(settings, name=name, needs_key=needs_key))
