"""All features, and with them all that can be done on the chat screen."""

from __future__ import annotations

from typing import Final

from cody_tui.actions import Action
from cody_tui.features import Feature
from cody_tui.features.branches import Branches
from cody_tui.features.choosing import Choosing
from cody_tui.features.exporting import Exporting
from cody_tui.features.finding import Finding
from cody_tui.features.leaving import Leaving
from cody_tui.features.moving import Moving
from cody_tui.features.reading import Reading
from cody_tui.features.seeking import Seeking
from cody_tui.features.threads import Threads
from cody_tui.features.waiting import Waiting
from cody_tui.features.writing import Writing

FEATURES: Final[tuple[type[Feature], ...]] = (
    Writing,
    Moving,
    Reading,
    Threads,
    Waiting,
    Branches,
    Seeking,
    Exporting,
    Choosing,
    Finding,
    Leaving,
)
"""What can be done, in the order of the help."""
ACTIONS: Final[tuple[Action, ...]] = tuple(
    action for feature in FEATURES for action in feature.ACTIONS
)
