"""Signs: how a state is marked beside its colour, for eyes and for ears.

A screen reader reads a line from left to right and says nothing, or something odd, for a check
mark, a bar or the edge of a box. With ``[ui] screen_reader`` every mark is a word, and nothing is
drawn. Ask for ``signs(app)`` when something is rendered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from cody_core.glance import Glance
    from textual.app import App


class Signs(NamedTuple):
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
    bullets: tuple[str, ...]
    """Before the entries of lists, the one in another one."""
    checked: str
    unchecked: str
    quote: str
    result: str
    """What a script returned."""
    image: str
    less: str
    """What closes something long again."""
    cursor: str
    """The entry of a list that Enter takes, or the item that keys are about."""
    draws: bool
    """Whether borders, bars and rules are drawn."""

    def box(self, is_checked: bool) -> str:
        """Return what stands before a task."""
        return self.checked if is_checked else self.unchecked


_COUNTS: Final = re.compile("\\+([0-9,]+) \N{MINUS SIGN}([0-9,]+)")
PLAIN: Final = Signs(
    done="✓ ", failed="✗ ", running="● ", waiting="? ", stopped="■ ", warning="⚠ ",
    chosen="• ", other="  ", prompt="▌ ", opened="▾ ", closed="▸ ", new="↓ ", separator=" · ",
    bullets=("• ", "◦ ", "▪ "), checked="☑ ", unchecked="☐ ", quote="▎ ", result="→ ",
    image="🖼 ", less="▴ ", cursor="\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ", draws=True,
)  # fmt: skip
SPOKEN: Final = Signs(
    done="done: ", failed="failed: ", running="running: ", waiting="waiting: ",
    stopped="stopped: ", warning="careful: ", chosen="in use: ", other="", prompt="you: ",
    opened="open: ", closed="closed: ", new="new below: ", separator=", ",
    bullets=("bullet: ",), checked="done: ", unchecked="to do: ", quote="quote: ",
    result="result: ", image="picture: ", less="", cursor="here: ", draws=False,
)  # fmt: skip


def in_words(text: str, signs: Signs) -> str:
    """Return a text of ours with counts of lines, such as ``+2`` and minus one, as read out."""
    if signs.draws:
        return text
    return _COUNTS.sub(r"\1 added, \2 removed", text)


def signs(app: App[Any]) -> Signs:
    """Return the signs of an app: words where its settings ask for them."""
    look: Glance | None = getattr(app, "look", None)
    return SPOKEN if look is not None and look.screen_reader else PLAIN
