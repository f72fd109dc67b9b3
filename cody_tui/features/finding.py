"""Finding out: the help, how things stand, and where the keys go that answer a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from cody_core.errors import CodyError

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage
from cody_tui.keys import Spelling
from cody_tui.standing import (
    DEFAULT_AGENT,
    bill,
    effort_of,
    model_of,
    policy_of,
    share_of,
    used,
)

if TYPE_CHECKING:
    from cody_core.schema.models import CoreInfo, ModelInfo

GROUP: Final = "Help"


class Finding:
    """Shows what there is."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("help.show", "Show all keys and commands", GROUP, key="f1", slash="help",
               short="Help", priority=True),
        Action("app.palette", "Find a command", GROUP, key="ctrl+p", priority=True, listed=False),
        Action("status.show", "Show how things stand", GROUP, slash="status"),
        Action("approval.go", "Go to the question, or back", GROUP, key="tab", listed=False),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {
            "help.show": lambda _: self._help(),
            "app.palette": lambda _: self._commands(),
            "status.show": lambda _: self._status(),
            "approval.go": lambda _: self._go(),
        }

    def _help(self) -> None:
        from cody_tui.dialogs.help import Help
        from cody_tui.features.keyboard import places

        app, actions = self._stage.app, self._stage.actions
        app.push_screen(Help(actions, places(app.BINDINGS, actions), Spelling(app)))

    def _commands(self) -> None:
        from cody_tui.dialogs.commands import Commands

        async def chosen(action_id: str | None) -> None:
            if action_id is not None:
                await self._stage.do(action_id)

        app = self._stage.app
        app.push_screen(Commands(self._stage.actions, Spelling(app)), chosen)

    async def _status(self) -> None:
        from cody_tui.dialogs import status

        stage = self._stage
        models, info = await self._ask()
        usual, choices, runs = stage.usual, stage.choices, stage.runs
        model = model_of(usual, choices, runs, models)
        facts = [
            *status.choices(
                model,
                choices.agent or DEFAULT_AGENT,
                policy_of(usual, choices),
                effort_of(usual, choices),
            ),
            *status.consumption(used(runs), share_of(runs, models, model), bill(runs, models)),
            *status.places(info),
        ]
        stage.app.push_screen(status.StatusDialog(facts))

    async def _ask(self) -> tuple[Sequence[ModelInfo], CoreInfo | None]:
        client = self._stage.client
        if client is None:
            return (), None
        try:
            return (await client.models()).models, await client.info()
        except CodyError as error:
            self._stage.say(error.message, "error")
            return (), None

    def _go(self) -> None:
        """Let the question have the keys if there is one; or go on as Tab always does."""
        from cody_tui.widgets.approval import Approval

        app = self._stage.app
        asking = [panel for panel in app.screen.query(Approval) if panel.display]
        if asking and app.focused is self._stage.prompt:
            asking[0].focus()
        else:
            app.action_focus_next()
