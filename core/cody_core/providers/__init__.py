"""Providers: adapters that turn a request into canonical payloads, and do nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from cody_core.schema.events import Payload
from cody_core.schema.requests import ModelRequest


class Provider(Protocol):
    """A model's provider. It knows no log, no tools, no loop and no threads.

    ``stream`` makes exactly one request and never retries; who calls it does.
    """

    def stream(self, request: ModelRequest) -> AsyncGenerator[Payload]:
        """Yield the answer as it comes: items, then ``response_done`` with usage and finish reason.

        Per item: ``item_start``, any number of ``item_delta``, ``item_done`` (whose final item is
        what the deltas said, plus provider data). Items may overlap. ``response_done`` is last, has
        status ``complete``, and one of the finish reasons ``stop``, ``tool_calls``, ``length``,
        ``content_filter``, ``refusal``; ``usage_update`` may come any time. An iterator that ends
        without ``response_done`` does not exist: it raises instead.

        Closing the iterator closes the connection.

        Raises:
            ProviderError: one of its subclasses, before the first payload or between two.
        """
        ...

    async def models(self) -> Sequence[str]:
        """Return the ids of the models this provider offers now, by asking it.

        Raises:
            ProviderError: the provider could not be asked.
        """
        ...

    async def aclose(self) -> None:
        """Close connections. Streams that are under way break."""
        ...
