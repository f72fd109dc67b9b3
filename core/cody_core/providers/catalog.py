"""The models we know, and which provider a name means. The data is in ``models.json``.

``efforts`` there are the levels a model takes; without them, all are passed on. They are known from
OpenAI's API reference ("gpt-5.1: none, low, medium and high; none before it takes none; gpt-5-pro
only high"), from what the API says when it refuses one (microsoft/vscode issue 300649 for
gpt-5-mini, openai/codex issue 6647 for gpt-5.1-codex), from the documentation of openai/codex (its
pull request 7449: xhigh for gpt-5.1-codex-max), and from anomalyco/models.dev for the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from cody_core.errors import InvalidModel, UnknownProvider
from cody_core.schema.models import ModelInfo
from cody_core.schema.prices import Price
from cody_core.schema.requests import ReasoningEffort
from cody_core.settings import Settings

FAMILIES = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("codex-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("claude-", "anthropic"),
)
"""What a bare name begins with, and whose it is."""
OWN_MODELS_ONLY = ("openai", "anthropic", "demo")
"""Kinds of adapters whose APIs offer no other vendor's models."""


NO_CONVERSATION = (
    "audio", "babbage", "dall-e", "davinci", "embedding", "image", "moderation", "realtime", "sora",
    "transcribe", "tts", "whisper",
)  # fmt: skip
"""What is in the names of models that OpenAI lists and nobody can talk to."""


@cache
def _data() -> Mapping[str, Mapping[str, Any]]:
    text = files("cody_core.providers").joinpath("models.json").read_text(encoding="utf-8")
    data: Mapping[str, Mapping[str, Any]] = json.loads(text)
    return data


def resolve(settings: Settings, model: str | None, provider_id: str | None) -> ModelInfo:
    """Return the model that is meant, with what is known of it.

    ``model`` is ``name`` or ``provider/name``. Without it, it is the provider's default; without
    either, the settings' model, that of the first provider with a key, or the offline demo. The
    provider of a name that does not tell is that of the settings.

    Raises:
        UnknownProvider: no such provider is configured.
        InvalidModel: a bare name tells no provider, or the provider does not have that model.
    """
    if model is None and provider_id is None:
        model, provider_id = settings.model, settings.provider_id
    if provider_id is not None:
        return _of_provider(settings, model, provider_id)
    if model is None:
        return _of_provider(settings, None, _first_with_key(settings))
    prefix, _, rest = model.partition("/")
    if rest and settings.provider(prefix) is not None:
        return _of_provider(settings, rest, prefix)
    if owner := _owner(settings, model):
        return _of_provider(settings, model, owner)
    if settings.provider_id is not None:
        return _of_provider(settings, model, settings.provider_id)
    msg = (
        f"the provider of model {model!r} cannot be told: write it as 'provider/{model}' "
        f"with one of {', '.join(settings.provider_names)}"
    )
    raise InvalidModel(msg)


def known_models(
    settings: Settings, offered: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Sequence[ModelInfo]:
    """Return the models of the providers that can be used as configured, the default marked.

    ``offered`` are the models that providers say they have, by provider.
    """
    default = resolve(settings, None, None)
    names = [name for name in settings.provider_names if _usable(settings, name) or name in offered]
    found = {
        (name, model): _info(settings, name, model)
        for name in names
        for model in (*_listed(settings, name), *_for_talking(sorted(offered.get(name, ()))))
    }
    models = list(found.values())
    if default.name not in {info.name for info in models}:
        models.insert(0, default)
    return [
        info.model_copy(update={"is_default": True}) if info.name == default.name else info
        for info in models
    ]


def _for_talking(models: Sequence[str]) -> Sequence[str]:
    return [model for model in models if not any(part in model for part in NO_CONVERSATION)]


def known_efforts(model: str) -> Sequence[ReasoningEffort]:
    """Return the levels of effort that a model takes, whoever serves it; empty if not known."""
    found = (data["models"].get(model, {}).get("efforts") for data in _data().values())
    return next(filter(None, found), ())


def askable(settings: Settings) -> Sequence[str]:
    """Return the providers that can be asked for their models: they have a key, or need none."""
    return [name for name in settings.provider_names if _has_access(settings, name)]


def _has_access(settings: Settings, provider_id: str) -> bool:
    provider = settings.provider(provider_id)
    if provider is None:
        return False
    needs_key = provider.kind in ("openai", "anthropic") or provider.api_key_env is not None
    return provider.api_key is not None or not needs_key


def _of_provider(settings: Settings, model: str | None, provider_id: str) -> ModelInfo:
    provider = settings.provider(provider_id)
    if provider is None:
        names = ", ".join(settings.provider_names)
        msg = f"provider {provider_id!r} is not configured; there are: {names}"
        raise UnknownProvider(msg)
    if model is None:
        model = _default(settings, provider_id)
    if model.startswith(f"{provider_id}/") and provider.kind in OWN_MODELS_ONLY:
        model = model.removeprefix(f"{provider_id}/")
    owner = _owner(settings, model)
    misplaced = owner not in (None, provider_id) and settings.provider(owner or "") is not None
    if provider.kind in OWN_MODELS_ONLY and provider_id in _data() and misplaced:
        msg = f"model {model!r} is {owner}'s, not {provider_id}'s: name one or the other"
        raise InvalidModel(msg)
    return _info(settings, provider_id, model)


def _default(settings: Settings, provider_id: str) -> str:
    if settings.model and settings.provider_id == provider_id:
        return settings.model
    if known := _data().get(provider_id):
        return str(known["default"])
    if listed := _listed(settings, provider_id):
        return listed[0]
    msg = f"provider {provider_id!r} has no default model: name one with --model {provider_id}/NAME"
    raise InvalidModel(msg)


def _owner(settings: Settings, model: str) -> str | None:
    for provider_id in (*_data(), *settings.providers):
        if model in _listed(settings, provider_id):
            return provider_id
    return next((owner for start, owner in FAMILIES if model.startswith(start)), None)


def _listed(settings: Settings, provider_id: str) -> Sequence[str]:
    provider = settings.provider(provider_id)
    own = provider.models if provider is not None else ()
    return list(dict.fromkeys([*_data().get(provider_id, {}).get("models", {}), *own]))


def _info(settings: Settings, provider_id: str, model: str) -> ModelInfo:
    known = _data().get(provider_id, {}).get("models", {}).get(model, {})
    context = known.get("context_tokens") or settings.context_tokens
    return ModelInfo(
        id=model,
        provider_id=provider_id,
        context_tokens=min(context, settings.context_tokens or context) if context else None,
        max_output_tokens=known.get("max_output_tokens"),
        price=_price(settings, provider_id, known),
    )


def _price(settings: Settings, provider_id: str, known: Mapping[str, Any]) -> Price | None:
    """Return the published price; behind an address of somebody's own it may be another."""
    provider = settings.provider(provider_id)
    if "price" not in known or provider is None or provider.base_url is not None:
        return None
    return Price(**known["price"], as_of=_data()[provider_id]["prices_as_of"])


def _usable(settings: Settings, provider_id: str) -> bool:
    provider = settings.provider(provider_id)
    if provider is None:
        return False
    needs_nothing = provider.kind in ("demo", "file")
    return needs_nothing or provider.api_key is not None or bool(provider.models)


def _first_with_key(settings: Settings) -> str:
    for provider_id in ("openai", "anthropic"):
        provider = settings.provider(provider_id)
        if provider is not None and provider.api_key is not None:
            return provider_id
    return "demo"
