"""The models that providers offer now, by asking them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from cody_core.providers.catalog import askable, known_models
from cody_core.providers.pool import ProviderPool
from cody_core.schema.models import ModelList
from cody_core.settings import Settings
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

ASKING_SECONDS = 3.0
"""How long a provider may take to list its models."""


async def offered_models(settings: Settings, providers: ProviderPool) -> ModelList:
    """Return the models there are, those that providers list among them.

    One that does not answer in time is named in the result, and no error.
    """
    asked = askable(settings)
    async with task_group() as tasks:
        asking = [tasks.create_task(_offered(providers, name)) for name in asked]
    offered = dict(zip(asked, (task.result() for task in asking), strict=True))
    live = {name: ids for name, ids in offered.items() if ids is not None}
    silent = tuple(name for name, ids in offered.items() if ids is None)
    return ModelList(models=tuple(known_models(settings, live)), unreachable=silent)


async def _offered(providers: ProviderPool, provider_id: str) -> Sequence[str] | None:
    """Ask a provider for its models; ``None`` if it does not say."""
    try:
        provider = await providers.get(provider_id)
        async with asyncio.timeout(ASKING_SECONDS):
            return await provider.models()
    except Exception as error:  # noqa: BLE001 - it may be a file of the user's, and do anything
        logger.info("provider %r did not list its models: %s", provider_id, error)
        return None
