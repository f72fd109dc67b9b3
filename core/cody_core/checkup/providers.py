"""Providers: whether they can be reached, and take the key."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from cody_core.checkup import Finding
from cody_core.errors import (
    CodyError,
    ProviderAuthError,
    ProviderBadRequest,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeout,
)
from cody_core.local_servers import LOCAL_PROVIDERS, local_servers
from cody_core.providers.catalog import resolve
from cody_core.providers.pool import ProviderPool
from cody_core.settings import BUILT_IN_PROVIDERS, ProviderSettings, Settings

ANSWER_SECONDS: Final = 10.0
"""How long a provider may take between two bytes of its answer."""


def providers_meant(settings: Settings) -> Sequence[str]:
    """Return the providers that somebody counts on: set up, with a key, or of the usual model."""
    try:
        usual = resolve(settings, None, None).provider_id
    except CodyError:  # which is a finding of its own
        usual = ""
    return [name for name in settings.provider_names if _is_meant(settings, name, usual)]


async def provider(settings: Settings, name: str) -> Sequence[Finding]:
    """Ask a provider for its models, which it tells nobody whose key it does not take."""
    subject, said = f"provider {name}", settings.provider(name)
    assert said is not None
    quick = said.model_copy(update={"timeout": min(said.timeout, ANSWER_SECONDS)})
    pool = ProviderPool(settings.model_copy(update={"providers": {name: quick}}))
    try:
        adapter = await pool.get(name)
        began = time.monotonic()
        count = len(await adapter.models())
    except ProviderError as error:
        return [_failed(subject, said, error)]
    except CodyError as error:  # whose message says what to do
        return [Finding(subject, "problem", error.message)]
    except Exception as error:  # noqa: BLE001 - it may be a file of the user's, and do anything
        text = f"it does not work: {type(error).__name__}: {error}"
        return [Finding(subject, "problem", text, f"mend {name}.py")]
    finally:
        await pool.aclose()
    spent = (time.monotonic() - began) * 1000
    return [Finding(subject, "ok", f"answers in {spent:.0f} ms, and offers {count} models")]


async def local_models(settings: Settings) -> Sequence[Finding]:
    """Look for model servers on this machine that nobody has set up."""
    meant = providers_meant(settings)
    found = [each for each in await local_servers(settings) if each.provider_id not in meant]
    if not found:
        looked = [name for name in LOCAL_PROVIDERS if name not in meant]
        text = f"none answers on its usual port: {', '.join(looked)}"
        return [Finding("local models", "note", text)]
    return [
        Finding(f"local {each.provider_id}", "ok", f"cody -m {each.provider_id}/{each.models[0]}")
        for each in found
    ]


def _is_meant(settings: Settings, name: str, usual: str) -> bool:
    provider = settings.provider(name)
    if provider is None or provider.kind == "demo":
        return False
    is_set_up = name in settings.providers and provider != BUILT_IN_PROVIDERS.get(name)
    return is_set_up or name == usual or provider.api_key is not None


def _failed(subject: str, said: ProviderSettings, error: ProviderError) -> Finding:
    """Tell a key that is refused from a network that is not there, and both from the rest."""
    match error:
        case ProviderAuthError():
            variable = said.api_key_env or "its api_key"
            text = "there is no key for it" if said.api_key is None else "it refuses the key"
            remedy = f"set {variable} to a key of yours that is valid"
            return Finding(subject, "problem", f"{text}: {error.message}", remedy)
        case ProviderConnectionError() | ProviderTimeout():
            local = said.base_url is not None and said.api_key_env is None
            remedy = (
                "start it, or set its base_url" if local else "check the network and its address"
            )
            return Finding(subject, "problem", f"it cannot be reached: {error.message}", remedy)
        case ProviderBadRequest():
            text = f"it answers, but does not list its models: {error.message}"
            return Finding(
                subject, "note", text, "see whether it works: cody verify -m PROVIDER/MODEL"
            )
        case _:
            text = f"it answers, and cannot help now: {error.message}"
            return Finding(subject, "note", text, "try again later")
