"""How hard a model is told to think, in a word that it knows: the nearest to the one asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, get_args

from cody_core.providers.catalog import known_efforts
from cody_core.schema.requests import ReasoningEffort

ALL: Final[Sequence[ReasoningEffort]] = get_args(ReasoningEffort)
COMMON: Final[Sequence[ReasoningEffort]] = ("none", "low", "medium", "high")
"""What servers take that speak OpenAI's language and are not OpenAI."""
_DATE: Final = re.compile(r"-\d{4}-\d\d-\d\d$")


def effort_for(
    model: str,
    effort: ReasoningEffort | None,
    otherwise: Sequence[ReasoningEffort] = ALL,
) -> ReasoningEffort | None:
    """Return the level nearest to the one asked for; of two as near, the harder.

    Args:
        model: The model, as the server calls it: perhaps with its vendor, or a date.
        effort: What is asked for, if anything is.
        otherwise: The levels of a model of which nothing is known.
    """
    if effort is None:
        return None
    levels = known_efforts(_DATE.sub("", model.rpartition("/")[2])) or otherwise
    asked = ALL.index(effort)
    return min(levels, key=lambda level: (abs(ALL.index(level) - asked), -ALL.index(level)))
