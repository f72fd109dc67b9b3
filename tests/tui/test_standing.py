from __future__ import annotations

from cody_core.schema.models import AgentInfo, CoreInfo
from cody_core.settings import AgentSettings, load_settings

from cody_tui.messages import Choices
from cody_tui.standing import Usual, effort_of, policy_of, usual_of

BEFORE = CoreInfo(version="1", log="memory", store="s", workspace="w", home="h")
AGENT = AgentInfo(name="a", policy="read-only")
TOLD = BEFORE.model_copy(
    update={"policy": "auto-edit", "reasoning_effort": "low", "agents": (AGENT,)}
)


def test_what_counts_is_what_the_core_says_or_the_settings_of_one_in_this_process() -> None:
    here = load_settings(policy="full-auto", agents={"b": AgentSettings()})
    there = load_settings(policy="full-auto", server="http://localhost:1")
    for settings in (None, here, there):
        assert usual_of(settings, TOLD) == Usual("auto-edit", "low", {"a": AGENT})
    assert usual_of(here, None) == Usual("full-auto", None, {"b": AgentSettings()})
    for info in (None, BEFORE):
        assert usual_of(there, info) == Usual(None, None, None)


def test_a_choice_counts_before_the_agent_and_the_agent_before_the_rest() -> None:
    usual = usual_of(None, TOLD)
    assert policy_of(usual, Choices()) == "auto-edit"
    assert policy_of(usual, Choices(agent="a")) == "read-only"
    assert policy_of(usual, Choices(agent="a", policy="ask")) == "ask"
    assert effort_of(usual, Choices(agent="a")) == "low"
    assert policy_of(Usual(), Choices(agent="a")) is None
