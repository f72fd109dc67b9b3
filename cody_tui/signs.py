"""Signs: how a state is marked beside its colour, for eyes and for ears.

A screen reader reads a line from left to right and says nothing, or something odd, for a check
mark, a bar or the edge of a box. With ``[ui] screen_reader`` every mark is a word, and nothing is
drawn. Ask for ``signs(app)`` when something is rendered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cody_core.glance import Glance
    from textual.app import App


@dataclass(frozen=True, slots=True)
class Signs:
    """What stands for a state at the beginning of a line, with the blank behind it."""

    done: str
    failed: str
    running: str
    waiting: str
    stopped: str
    warning: str
    chosen: str
    """The entry of a list that is in use."""
    other: str
    """The entries beside it: as wide as ``chosen``, so that they stand below each other."""
    prompt: str
    """What somebody wrote."""
    opened: str
    closed: str
    new: str
    separator: str
    """Between two facts on one line."""
    draws: bool
    """Whether borders, bars and rules are drawn."""


PLAIN: Final = Signs(
    done="✓ ", failed="✗ ", running="● ", waiting="? ", stopped="■ ", warning="⚠ ",
    chosen="• ", other="  ", prompt="▌ ", opened="▾ ", closed="▸ ", new="↓ ", separator=" · ",
    draws=True,
)  # fmt: skip
SPOKEN: Final = Signs(
    done="done: ", failed="failed: ", running="running: ", waiting="waiting: ",
    stopped="stopped: ", warning="careful: ", chosen="in use: ", other="", prompt="you: ",
    opened="open: ", closed="closed: ", new="new below: ", separator=", ", draws=False,
)  # fmt: skip


def signs(app: App[Any]) -> Signs:
    """Return the signs of an app: words where its settings ask for them."""
    look: Glance | None = getattr(app, "look", None)
    return SPOKEN if look is not None and look.screen_reader else PLAIN
