"""Choosing what the next prompt is sent with: model, agent, policy, effort; and the theme.

What is chosen counts from the next prompt on. A run that is live goes on as it began, and the note
says so.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, get_args

from cody_core.errors import CodyError

from cody_tui import remembered
from cody_tui.actions import Action, Handler
from cody_tui.features import Stage
from cody_tui.standing import (
    DEFAULT_AGENT,
    MEANINGS,
    POLICIES,
    effort_of,
    model_of,
    policy_of,
    settings_of,
)
from cody_tui.text import one_line
from cody_tui.themes import AUTO, NAMES

if TYPE_CHECKING:
    from cody_core.schema.models import ModelInfo
    from cody_core.schema.requests import Policy

GROUP: Final = "Choices"
SHORT: Final = 60
"""Characters of what a user wrote that a note repeats."""


class Choosing:
    """Changes the choices."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action(
            "model.choose", "Choose the model", GROUP,
            key="ctrl+k", slash="model", argument="NAME", priority=True,
        ),
        Action("agent.choose", "Choose the agent", GROUP, slash="agent", argument="NAME"),
        Action("policy.next", "Take the next policy", GROUP, key="shift+tab"),
        Action("policy.set", "Set the policy", GROUP, slash="policy", argument="NAME"),
        Action(
            "effort.set", "Take the next reasoning effort", GROUP, slash="effort", argument="LEVEL"
        ),
        Action("theme.choose", "Choose the theme", GROUP, slash="theme", argument="NAME"),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {
            "model.choose": self._model,
            "agent.choose": self._agent,
            "policy.next": lambda _: self._next_policy(),
            "policy.set": self._policy,
            "effort.set": self._effort,
            "theme.choose": self._theme,
        }

    # The model

    async def _model(self, name: str) -> None:
        client = self._stage.client
        if client is None:
            self._stage.say("There is no connection yet.", "warning")
            return
        try:
            models = (await client.models()).models
        except CodyError as error:
            self._stage.say(error.message, "error")
            return
        if name.strip():
            self._model_named(name.strip(), models)
            return
        from cody_tui.dialogs.models import ModelPicker

        stage = self._stage
        settings = settings_of(stage.app)
        recent = remembered.recent_models(settings.home) if settings is not None else ()
        picker = ModelPicker(
            models,
            current=model_of(stage.usual, stage.choices, stage.runs, models),
            recent=recent,
            refresh=lambda: client.models(refresh=True),
        )
        stage.app.push_screen(picker, self._use_model)

    def _model_named(self, name: str, models: Sequence[ModelInfo]) -> None:
        found = [model.name for model in models if name in (model.name, model.id)]
        provider, _, rest = name.partition("/")
        settings = settings_of(self._stage.app)
        providers = {model.provider_id for model in models}
        providers.update(settings.provider_names if settings is not None else ())
        if len(found) == 1 or name in found:
            self._use_model(name if name in found else found[0])
        elif found:
            self._stage.say(f"Which one: {', '.join(found)}? Write provider/name.", "warning")
        elif rest and provider in providers:
            self._use_model(name)
        else:
            known = [model.name for model in models] + [model.id for model in models]
            self._unknown("model", name, known, "Write provider/name; /model lists them.")

    def _use_model(self, name: str | None) -> None:
        if name is None:
            return
        self._stage.choices.model = name
        if (settings := settings_of(self._stage.app)) is not None:
            remembered.model_used(settings.home, name)
        self._changed(f"Model: {one_line(name, SHORT)}.")

    # The agent

    def _agent(self, name: str) -> None:
        stage, name = self._stage, name.strip()
        known = stage.usual.agents
        agents = known or {}
        if not name:
            from cody_tui.dialogs.agents import AgentPicker

            picker = AgentPicker(agents, stage.choices.agent or DEFAULT_AGENT)
            stage.app.push_screen(picker, self._use_agent)
        elif known is None or name in (DEFAULT_AGENT, *agents):
            self._use_agent(name)
        else:
            hint = f"There are: {', '.join(dict.fromkeys([DEFAULT_AGENT, *agents]))}."
            self._unknown("agent", name, list(agents), hint)

    def _use_agent(self, name: str | None) -> None:
        if name is not None:
            self._stage.choices.agent = name
            self._changed(f"Agent: {one_line(name, SHORT)}.")

    # The policy

    def _next_policy(self) -> None:
        now = policy_of(self._stage.usual, self._stage.choices)
        at = POLICIES.index(now) + 1 if now is not None else 0
        self._use_policy(POLICIES[at % len(POLICIES)])

    def _policy(self, name: str) -> None:
        name = name.strip()
        if not name:
            self._next_policy()
            return
        for policy in POLICIES:
            if policy == name:
                self._use_policy(policy)
                return
        self._unknown("policy", name, POLICIES, f"There are: {', '.join(POLICIES)}.")

    def _use_policy(self, policy: Policy) -> None:
        self._stage.choices.policy = policy
        self._changed(f"Policy {policy}: {MEANINGS[policy]}.", is_warning=policy == "full-auto")

    # Effort and theme

    def _effort(self, level: str) -> None:
        from cody_core.schema.requests import ReasoningEffort

        levels: tuple[ReasoningEffort, ...] = get_args(ReasoningEffort)
        level = level.strip()
        if level and level not in levels:
            self._unknown("effort", level, levels, f"There are: {', '.join(levels)}.")
            return
        if not level:
            now = effort_of(self._stage.usual, self._stage.choices)
            at = [*levels].index(now) + 1 if now in levels else levels.index("low")
            level = levels[at % len(levels)]
        self._stage.choices.reasoning_effort = next(known for known in levels if known == level)
        self._changed(f"Reasoning effort: {level}.")

    def _theme(self, name: str) -> None:
        app, name = self._stage.app, name.strip()
        if not name:
            from cody_tui.dialogs.themes import ThemePicker

            app.push_screen(ThemePicker(NAMES, app.theme), self._use_theme)
        elif name in NAMES:
            self._use_theme(name)
        else:
            self._unknown("theme", name, NAMES, "/theme lists them.")

    def _use_theme(self, name: str | None) -> None:
        if name is None:
            return
        self._stage.app.theme = name
        settings = settings_of(self._stage.app)
        if settings is None:
            return
        remembered.theme_used(settings.home, name)
        if settings.ui.theme != AUTO:
            self._stage.say(
                f"Until Cody ends: ui.theme is set to {settings.ui.theme!r}.", "warning"
            )

    def _changed(self, text: str, *, is_warning: bool = False) -> None:
        self._stage.choices_changed()
        if self._stage.is_live:
            text += " It counts from the next prompt on, not for the answer on its way."
        self._stage.say(text, "warning" if is_warning else "information")

    def _unknown(self, what: str, name: str, known: Sequence[str], hint: str) -> None:
        close = difflib.get_close_matches(name, known, n=1)
        guess = f" Did you mean {close[0]}?" if close else f" {hint}"
        self._stage.say(f"There is no {what} {one_line(name, SHORT)!r}.{guess}", "error")
