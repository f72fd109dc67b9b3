"""Providers as they are needed: an adapter and its SDK are imported when it is first used."""

from __future__ import annotations

import asyncio
import gc
import importlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType

from cody_core.errors import UnknownProvider
from cody_core.providers import Provider
from cody_core.settings import ProviderKind, ProviderSettings, Settings

ADAPTERS: Mapping[ProviderKind, str] = MappingProxyType(
    {
        "openai": "cody_core.providers.openai",
        "openai_chat": "cody_core.providers.openai_chat",
        "anthropic": "cody_core.providers.anthropic",
        "demo": "cody_core.providers.demo",
    }
)
"""The module of each adapter; it has ``create(settings, *, name) -> Provider``."""


class ProviderPool:
    """One provider object a name, made when somebody first asks for it."""

    def __init__(
        self, settings: Settings, providers: Mapping[str, Provider] = MappingProxyType({})
    ) -> None:
        """Build a pool; ``providers`` are there already, and win over configured ones."""
        self._settings = settings
        self._providers = dict(providers)
        self._lock = asyncio.Lock()

    async def get(self, provider_id: str) -> Provider:
        """Return a provider. It is imported and made in a thread: that may take seconds.

        A missing key is told by the first request.

        Raises:
            UnknownProvider: no such provider is configured.
        """
        async with self._lock:
            if found := self._providers.get(provider_id):
                return found
            settings = self._settings.provider(provider_id)
            if settings is None:
                msg = f"provider {provider_id!r} is not configured"
                raise UnknownProvider(msg)
            provider = await asyncio.to_thread(self._make, settings, provider_id)
            gc.freeze()  # an SDK is 100,000 objects: full collections would halt streams for 50 ms
            self._providers[provider_id] = provider
            return provider

    def _make(self, settings: ProviderSettings, provider_id: str) -> Provider:
        module = importlib.import_module(ADAPTERS[settings.kind])
        options = {"delay": self._settings.demo_delay} if settings.kind == "demo" else {}
        provider: Provider = module.create(settings, name=provider_id, **options)
        return provider

    async def aclose(self) -> None:
        """Close the providers that were made, all of them even if one fails to close."""
        async with AsyncExitStack() as stack:
            for provider in self._providers.values():
                stack.push_async_callback(provider.aclose)
