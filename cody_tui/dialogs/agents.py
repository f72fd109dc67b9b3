"""Choosing who answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cody_tui.dialogs.picking import Entry, Picker
from cody_tui.standing import DEFAULT_AGENT

if TYPE_CHECKING:
    from cody_tui.standing import Agent


class AgentPicker(Picker):
    """Returns the name of an agent."""

    def __init__(self, agents: Mapping[str, Agent], current: str) -> None:
        names = list(dict.fromkeys([DEFAULT_AGENT, *agents]))
        found = [Entry(n, n, _facts(agents.get(n)), is_current=n == current) for n in names]
        note = "" if agents else "Add others as [agents.NAME] in config.toml."
        super().__init__("Agent", found, note=note)


def _facts(agent: Agent | None) -> str:
    if agent is None:
        return "as the settings say"
    tools = "" if agent.tools is None else f"tools: {', '.join(agent.tools) or 'none'}"
    facts = [agent.model or "", agent.policy or "", agent.reasoning_effort or "", tools]
    return ", ".join(fact for fact in facts if fact)
