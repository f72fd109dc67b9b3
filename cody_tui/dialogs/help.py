"""The help: every action with its keys and its word, and the keys of prompt and approvals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from textual import on
from textual.binding import Binding
from textual.widgets import Input, OptionList

from cody_tui import keys
from cody_tui.actions import Action
from cody_tui.dialogs.commands import hint_of
from cody_tui.dialogs.picking import Entry, Picker

GROUPS = {"prompt": "Prompt", "approval": "When you are asked", "app": "Cody"}
"""What the ids of bindings begin with that belong to no action, and their headings."""
IN_THE_PROMPT = (
    ("Send the prompt", "Enter"),
    ("Begin a new line", "Shift+Enter, Ctrl+J, \\ Enter"),
    ("Go through what was sent", "↑, ↓"),
)
"""Keys of the prompt that cannot be changed."""

NOTE = "Esc closes."


class Help(Picker):
    """Returns nothing: it is read, searched and left."""

    def __init__(
        self, actions: Sequence[Action], bindings: Sequence[Binding], changed: Mapping[str, str]
    ) -> None:
        """Prepare.

        Args:
            actions: Everything that can be done.
            bindings: The keys of widgets and of the app, each with an id.
            changed: The keys that the user has changed, by id.
        """
        found = [*_of_actions(actions, changed), *_of_bindings(actions, bindings, changed)]
        super().__init__("Help", found, note=NOTE)

    def moved_to(self, value: str) -> None:
        """Say what the settings call it."""
        can_change = value.partition(":")[0] == value
        self.say(f"{NOTE} Its key is {value} in {keys.SECTION}." if can_change else NOTE)

    @on(Input.Submitted)
    def _chosen(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(None)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()


def _of_actions(actions: Iterable[Action], changed: Mapping[str, str]) -> Iterable[Entry]:
    listed = [action for action in actions if action.listed]
    for group in dict.fromkeys(action.group for action in listed):
        for action in listed:
            if action.group == group:
                yield Entry(action.id, action.title, hint_of(action, changed), group)


def _of_bindings(
    actions: Iterable[Action], bindings: Iterable[Binding], changed: Mapping[str, str]
) -> Iterable[Entry]:
    for title, spelled in IN_THE_PROMPT:
        yield Entry(f"prompt:{title}", title, spelled, GROUPS["prompt"])
    seen = {action.id for action in actions}
    for binding in bindings:
        name = binding.id or ""
        group = GROUPS.get(name.partition(".")[0])
        if group is not None and name not in seen:
            seen.add(name)
            spelled = keys.spelled(changed.get(name, binding.key))
            yield Entry(name, binding.tooltip or binding.description, spelled, group)
