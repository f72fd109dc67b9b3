"""The command palette: everything that can be done, found by typing a part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cody_tui import keys
from cody_tui.actions import Action
from cody_tui.dialogs.picking import Entry, Picker


class Commands(Picker):
    """Returns the id of an action."""

    def __init__(self, actions: Sequence[Action], changed: Mapping[str, str]) -> None:
        """Prepare.

        Args:
            actions: Everything that can be done.
            changed: The keys that the user has changed, by id.
        """
        listed = [action for action in actions if action.listed]
        found = [entry_of(action, changed) for action in listed]
        super().__init__("Commands", found)


def entry_of(action: Action, changed: Mapping[str, str], group: str = "") -> Entry:
    """Return an action with how it is done without a list: its keys, and its word."""
    spelled = keys.spelled(changed.get(action.id, action.key))
    word = f"/{action.slash} {action.argument}".strip() if action.slash else ""
    return Entry(action.id, action.title, spelled, group, more=word)
