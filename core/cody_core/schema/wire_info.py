"""The bodies of the HTTP API that tell of a server: its models, and what it does by itself."""

from __future__ import annotations

from cody_core.schema.base import NonEmpty
from cody_core.schema.requests import Policy, ReasoningEffort
from cody_core.schema.wire import Body


class PriceBody(Body):
    """US dollars per million tokens."""

    prompt: float
    completion: float
    cached: float | None = None
    cache_write: float | None = None
    as_of: NonEmpty


class ModelBody(Body):
    """A model somebody can choose."""

    id: NonEmpty
    provider_id: NonEmpty
    name: str = ""
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: PriceBody | None = None
    is_default: bool = False


class ModelsBody(Body):
    """``GET /models``: those there are, and the providers that did not say which they offer."""

    models: tuple[ModelBody, ...]
    unreachable: tuple[NonEmpty, ...] = ()


class AgentBody(Body):
    """A named way to answer."""

    name: NonEmpty
    model: NonEmpty | None = None
    policy: Policy | None = None
    reasoning_effort: ReasoningEffort | None = None
    tools: tuple[NonEmpty, ...] | None = None


class InfoBody(Body):
    """``GET /info``: where the server's core keeps things, and what counts if it is left open."""

    version: NonEmpty
    log: NonEmpty
    store: NonEmpty
    workspace: NonEmpty
    home: NonEmpty
    policy: Policy | None = None
    reasoning_effort: ReasoningEffort | None = None
    agents: tuple[AgentBody, ...] = ()
