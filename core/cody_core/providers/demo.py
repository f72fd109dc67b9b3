"""The demo provider: models that need no key and no network, each with something to show.

It is what ``cody`` is tried, tested and photographed with. The same request always gets the same
answer, ids aside.
"""

from __future__ import annotations

from collections.abc import Sequence

from cody_core.errors import ProviderBadRequest
from cody_core.providers import Provider
from cody_core.providers.demo_scripts import SCRIPTS
from cody_core.providers.scripted import ScriptedProvider, Step
from cody_core.schema.requests import ModelRequest
from cody_core.settings import ProviderSettings


def create(settings: ProviderSettings, *, name: str, delay: float = 0.015) -> Provider:
    """Return the demo provider; ``delay`` is in seconds between two tokens.

    ``settings`` are taken because every provider takes them: there is nothing to set.
    """

    def answer(request: ModelRequest) -> Sequence[Step]:
        script = SCRIPTS.get(request.model)
        if script is None:
            names = ", ".join(repr(f"{name}/{model}") for model in SCRIPTS)
            msg = f"provider {name!r} has no model {request.model!r}: choose one of {names}"
            raise ProviderBadRequest(msg)
        return script(request)

    return ScriptedProvider(answer, delay=delay, models=tuple(SCRIPTS), record=False)
