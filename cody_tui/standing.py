"""How things stand beside the conversation: what the next prompt is sent with, and what was used.

No widget in here: what counts of the choices, the agent and the settings is worked out for the
status line, the dialogs and the notes alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from cody_core.glance import Glance
    from cody_core.schema.models import AgentInfo, CoreInfo, ModelInfo
    from cody_core.schema.requests import Policy
    from cody_core.schema.response import Response, Usage
    from cody_core.settings import AgentSettings, Settings
    from textual.app import App

    from cody_tui.messages import Choices

Agent: TypeAlias = "AgentInfo | AgentSettings"

DEFAULT_AGENT: Final = "default"
POLICIES: Final[tuple[Policy, ...]] = ("ask", "auto-edit", "full-auto", "read-only")
"""The policies in the order in which a key goes through them."""
MEANINGS: Final[dict[str, str]] = {
    "ask": "changes and commands wait for your consent",
    "auto-edit": "files in the workspace are changed without asking, commands wait for you",
    "full-auto": "everything runs without asking, also outside the workspace",
    "read-only": "nothing is changed and no command runs",
}


class Share(NamedTuple):
    """How much of a model's window the thread takes, as far as can be told."""

    tokens: int
    window: int
    is_estimate: bool = False

    @property
    def text(self) -> str:
        """In words: ``12% of 200k``."""
        about = "~" if self.is_estimate else ""
        return f"{about}{100 * self.tokens // self.window}% of {count(self.window)}"


def settings_of(app: App[Any]) -> Settings | None:
    """Return the settings an app was given."""
    settings: Settings | None = getattr(app, "settings", None)
    return settings


def home_of(app: App[Any]) -> Path | None:
    """Return the directory for what an app remembers; known before its settings are."""
    look: Glance | None = getattr(app, "look", None)
    return look.home if look is not None else None


class Usual(NamedTuple):
    """What counts where nothing was chosen; of a server that does not tell, nothing is known."""

    policy: Policy | None = None
    reasoning_effort: str | None = None
    agents: Mapping[str, Agent] | None = None


def usual_of(settings: Settings | None, info: CoreInfo | None) -> Usual:
    """Return what the core says that counts; before it has, what the settings do.

    Those of this program are not those of a server.
    """
    if info is not None and info.policy is not None:
        agents = {agent.name: agent for agent in info.agents}
        return Usual(info.policy, info.reasoning_effort, agents)
    if settings is None:
        return Usual("ask", agents={})
    if settings.server is not None:
        return Usual()
    return Usual(settings.policy, settings.reasoning_effort, settings.agents)


def agent_of(usual: Usual, choices: Choices) -> Agent | None:
    """Return how the agent answers that the next prompt is sent to, where more is said of it."""
    return (usual.agents or {}).get(choices.agent or DEFAULT_AGENT)


def policy_of(usual: Usual, choices: Choices) -> Policy | None:
    """Return the policy of the next prompt, if that is known."""
    agent = agent_of(usual, choices)
    return choices.policy or (agent.policy if agent is not None else None) or usual.policy


def effort_of(usual: Usual, choices: Choices) -> str | None:
    """Return the reasoning effort of the next prompt; ``None`` leaves it to others."""
    agent = agent_of(usual, choices)
    own = agent.reasoning_effort if agent is not None else None
    return choices.reasoning_effort or own or usual.reasoning_effort


def model_of(
    usual: Usual,
    choices: Choices,
    runs: Sequence[Response],
    models: Sequence[ModelInfo],
) -> str:
    """Return the model of the next prompt, as ``provider/name`` where that is known."""
    if choices.model:
        found = find_model(models, choices.model)
        return found.name if found is not None else choices.model
    agent = agent_of(usual, choices)
    if agent is not None and agent.model and (not runs or runs[-1].agent_id != choices.agent):
        return agent.model
    if runs:
        return f"{runs[-1].provider_id}/{runs[-1].model_id}"
    return next((model.name for model in models if model.is_default), "")


def find_model(models: Sequence[ModelInfo], name: str) -> ModelInfo | None:
    """Return the model of that name, with or without its provider."""
    named = [model for model in models if model.name == name]
    return next(iter(named or [model for model in models if model.id == name]), None)


def share_of(runs: Sequence[Response], models: Sequence[ModelInfo], name: str) -> Share | None:
    """Return how much of that model's window the last run that was counted takes."""
    info = find_model(models, name)
    last = next((run for run in reversed(runs) if run.usage is not None), None)
    if info is None or not info.context_tokens or last is None or last.usage is None:
        return None
    # Usage adds up all requests of a run, and each of them sends the thread again.
    requests = _requests(last)
    tokens = last.usage.prompt_tokens // requests + last.usage.completion_tokens
    return Share(min(tokens, info.context_tokens), info.context_tokens, requests > 1)


def _requests(run: Response) -> int:
    """Return how often the model was asked: once, and again after each round of its calls."""
    outputs = [item.type == "function_call_output" for item in run.output_items]
    rounds = sum(
        now and not before for before, now in zip([False, *outputs], outputs, strict=False)
    )
    return 1 + rounds


class Bill(NamedTuple):
    """What a thread cost, as far as prices are known."""

    dollars: float
    is_complete: bool
    as_of: str


def used(runs: Sequence[Response]) -> Usage | None:
    """Return the tokens of a thread."""
    total: Usage | None = None
    for run in runs:
        if run.usage is not None:
            total = run.usage if total is None else total + run.usage
    return total


def bill(runs: Sequence[Response], models: Sequence[ModelInfo]) -> Bill | None:
    """Add up what the runs of a thread cost; ``None`` if the price of none is known."""
    from cody_core.schema.prices import cost

    prices = {model.name: model.price for model in models if model.price is not None}
    counted = [run for run in runs if run.usage is not None]
    dollars, known, day = 0.0, 0, ""
    for run in counted:
        price = prices.get(f"{run.provider_id}/{run.model_id}")
        if price is not None and run.usage is not None:
            dollars, known, day = dollars + cost(price, run.usage), known + 1, price.as_of
    return Bill(dollars, known == len(counted), day) if known else None


def count(tokens: int) -> str:
    """Return a number of tokens in few cells: ``1.2k``, ``200k``, ``1M``."""
    if tokens < 1000:
        return str(tokens)
    if tokens < 10_000:
        return f"{tokens / 1000:.1f}k".replace(".0k", "k")
    return f"{tokens // 1000}k" if tokens < 1_000_000 else f"{tokens / 1_000_000:.2g}M"
