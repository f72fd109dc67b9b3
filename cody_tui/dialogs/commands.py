"""The command palette: everything that can be done, found by typing a part of it."""

from __future__ import annotations

from collections.abc import Sequence

from cody_tui.actions import Action
from cody_tui.dialogs.picking import Entry, Picker
from cody_tui.keys import Spelling


class Commands(Picker):
    """Returns the id of an action."""

    def __init__(self, actions: Sequence[Action], spelling: Spelling) -> None:
        """Prepare.

        Args:
            actions: Everything that can be done.
            spelling: How keys are written.
        """
        listed = [action for action in actions if action.listed]
        found = [entry_of(action, spelling) for action in listed]
        super().__init__("Commands", found)


def entry_of(action: Action, spelling: Spelling, group: str = "") -> Entry:
    """Return an action with how it is done without a list: its keys, and its word."""
    spelled = spelling.of(action.id, action.key)
    word = f"/{action.slash} {action.argument}".strip() if action.slash else ""
    return Entry(action.id, action.title, spelled, group, more=word)
