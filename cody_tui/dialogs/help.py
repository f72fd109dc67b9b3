"""The help: every action with its keys and its word, and the keys of every place there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widgets import Input, OptionList

from cody_tui.actions import Action
from cody_tui.dialogs.commands import entry_of
from cody_tui.dialogs.picking import Entry, Picker
from cody_tui.keys import Spelling
from cody_tui.remapping import SECTION, Place


class Help(Picker):
    """Returns nothing: it is read, searched and left."""

    def __init__(
        self, actions: Sequence[Action], places: Sequence[Place], spelling: Spelling
    ) -> None:
        """Prepare.

        Args:
            actions: Everything that can be done.
            places: All keys that can be changed, those of the actions among them.
            spelling: How keys are written.
        """
        found = [*_of_actions(actions, spelling), *_of_places(actions, places, spelling)]
        super().__init__("Help", found)

    def moved_to(self, value: str) -> None:
        """Say what the settings call it."""
        self.say(f"{value} under {SECTION} changes its key.")

    @on(Input.Submitted)
    def _chosen(self, event: Input.Submitted) -> None:
        event.stop()
        event.prevent_default()  # a list to choose from would close with what is highlighted
        self.dismiss(None)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        event.prevent_default()


def _of_actions(actions: Iterable[Action], spelling: Spelling) -> Iterable[Entry]:
    listed = [action for action in actions if action.listed]
    for group in dict.fromkeys(action.group for action in listed):
        for action in listed:
            if action.group == group:
                yield entry_of(action, spelling, group)


def _of_places(
    actions: Iterable[Action], places: Iterable[Place], spelling: Spelling
) -> Iterable[Entry]:
    seen = {action.id for action in actions if action.listed}
    for place in places:
        for binding in place.bindings:
            name = binding.id or ""
            if name not in seen:
                seen.add(name)
                said = binding.tooltip or binding.description
                yield Entry(name, said, spelling.of(name, binding.key), place.title)
