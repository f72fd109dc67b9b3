"""OpenAI through its Responses API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from cody_core.providers._openai_errors import Endpoint
from cody_core.providers._openai_stream import model_ids, stream_payloads
from cody_core.providers.openai_events import ResponsesTranslator
from cody_core.providers.openai_request import build, offers_scripts
from cody_core.schema.events import Payload
from cody_core.schema.requests import ModelRequest
from cody_core.settings import ProviderSettings


class OpenAIProvider:
    """The ``Provider`` that speaks the Responses API; it keeps nothing between two requests."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._client = endpoint.client()

    def stream(self, request: ModelRequest) -> AsyncGenerator[Payload]:
        """Yield the answer as it comes; see ``Provider.stream``."""
        return stream_payloads(
            self.endpoint,
            self._client,
            "/responses",
            build(request, provider_id=self.endpoint.name),
            ResponsesTranslator(
                self.endpoint, request.response_id, scripts=offers_scripts(request)
            ),
        )

    async def models(self) -> Sequence[str]:
        """Return the ids of the models that the key may use."""
        return await model_ids(self.endpoint, self._client)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def create(settings: ProviderSettings, *, name: str) -> OpenAIProvider:
    """Return the provider of that name. A missing key is reported by the first request."""
    return OpenAIProvider(Endpoint.of(settings, name=name, needs_key=True))
