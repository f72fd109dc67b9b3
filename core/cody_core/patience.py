"""How long a server that is away is waited for: less where somebody waits for the answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ANSWER_SECONDS = 5.0
"""How long a server that is away is waited for where somebody waits for the answer."""

_LIMIT: ContextVar[float] = ContextVar("patience", default=math.inf)


def patience(usual: float) -> float:
    """Return for how many seconds to wait: as usual, or for less if that is what is wanted here."""
    return min(usual, _LIMIT.get())


@contextmanager
def impatient(seconds: float) -> Iterator[None]:
    """Wait no longer than that for a server, in all that this task does in the block."""
    token = _LIMIT.set(seconds)
    try:
        yield
    finally:
        _LIMIT.reset(token)
