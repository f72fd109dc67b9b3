"""The keyboard: every key that can be changed, by the place where it counts.

It knows what can be opened, so it is imported only for the help and for a user who changes keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from textual.binding import Binding, BindingType

from cody_tui.actions import Action
from cody_tui.dialogs.first_run import Choice, FirstRunScreen
from cody_tui.dialogs.picking import Picker
from cody_tui.dialogs.status import Page, StatusDialog
from cody_tui.dialogs.threads import AskLine
from cody_tui.keys import bound
from cody_tui.remapping import Place
from cody_tui.widgets.approval import Approval
from cody_tui.widgets.copying import CopyingViewport
from cody_tui.widgets.one_line import OneLine
from cody_tui.widgets.prompt import Prompt
from cody_tui.widgets.recall import Recall
from cody_tui.widgets.seek import Seek
from cody_tui.widgets.sidebar import Sidebar

PROGRAM: Final = "Cody"
EVERYWHERE: Final = "Everywhere"
LISTS: Final = "In lists: models, themes, threads, commands"
_RECALL: Final = "Searching what was sent"
_SEEK: Final = "Searching the thread"
_ABOVE_ALL: Final = (PROGRAM, EVERYWHERE)


def places(program: Iterable[BindingType], actions: Iterable[Action]) -> Sequence[Place]:
    """Return all places, those of a program's own keys and of its actions first."""
    completing = [key for key in Prompt.KEYS if (key.id or "").startswith("completion.")]
    prompt = [key for key in Prompt.KEYS if key not in completing]
    return (
        Place(PROGRAM, bound(program)),
        Place(EVERYWHERE, _of_actions(actions), (PROGRAM,), has_chords=True),
        Place("The prompt", [*prompt, *bound(Prompt.BINDINGS)], _ABOVE_ALL),
        Place("Completing a word", completing, _ABOVE_ALL),
        Place("When you are asked", bound(Approval.BINDINGS), _ABOVE_ALL, writes=False),
        Place("Choosing lines", bound(CopyingViewport.BINDINGS), _ABOVE_ALL, writes=False),
        Place("The list of threads", bound(Sidebar.BINDINGS), _ABOVE_ALL, writes=False),
        Place(_RECALL, bound(Recall.BINDINGS), _ABOVE_ALL),
        Place(_SEEK, bound(Seek.BINDINGS), _ABOVE_ALL),
        Place(LISTS, bound(Picker.BINDINGS), (PROGRAM,)),
        Place("A line of text", bound(OneLine.BINDINGS), (*_ABOVE_ALL, LISTS, _RECALL, _SEEK)),
        Place("A title", bound(AskLine.BINDINGS), (PROGRAM,)),
        Place(
            "How things stand",
            bound(StatusDialog.BINDINGS, Page.BINDINGS),
            (PROGRAM,),
            writes=False,
        ),
        Place("The first start", bound(FirstRunScreen.BINDINGS, Choice.BINDINGS), (PROGRAM,)),
    )


def _of_actions(actions: Iterable[Action]) -> list[Binding]:
    """Return the keys of actions, chords among them, which Textual is not told of."""
    return [
        Binding(action.key or action.id, "", id=action.id, tooltip=action.title)
        for action in actions
    ]
