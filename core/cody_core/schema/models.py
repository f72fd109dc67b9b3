"""What is known of models, and of the core that asks them."""

from __future__ import annotations

from cody_core.schema.base import NonEmpty, Omittable, Shape
from cody_core.schema.prices import Price
from cody_core.schema.requests import Policy, ReasoningEffort


class ModelInfo(Shape):
    """A model somebody can choose, with its window and its price where they are known."""

    id: NonEmpty
    provider_id: NonEmpty
    context_tokens: Omittable[int] = None
    max_output_tokens: Omittable[int] = None
    price: Omittable[Price] = None
    is_default: bool = False

    @property
    def name(self) -> str:
        """The name that ``--model`` takes: ``provider/model``."""
        return f"{self.provider_id}/{self.id}"


class ModelList(Shape):
    """The models there are, and the providers that did not say which they offer."""

    models: tuple[ModelInfo, ...]
    unreachable: tuple[NonEmpty, ...] = ()


class AgentInfo(Shape):
    """A named way to answer. What is left out is as for any prompt."""

    name: NonEmpty
    model: Omittable[NonEmpty] = None
    policy: Omittable[Policy] = None
    reasoning_effort: Omittable[ReasoningEffort] = None
    tools: Omittable[tuple[NonEmpty, ...]] = None
    """The names of the tools it has; without it, all of them."""


class CoreInfo(Shape):
    """Where a core keeps things, and what counts for a prompt that leaves it open.

    Nothing in it is secret: passwords are left out of addresses.
    """

    version: NonEmpty
    log: NonEmpty
    """``memory``, or the address of the server that holds the event log."""
    store: NonEmpty
    """The file or the address that threads are stored in."""
    workspace: NonEmpty
    """The directory that tools work in."""
    home: NonEmpty
    """The data directory."""
    policy: Omittable[Policy] = None
    """``None`` is said by a core that does not tell yet; what follows is not known then."""
    reasoning_effort: Omittable[ReasoningEffort] = None
    agents: tuple[AgentInfo, ...] = ()
