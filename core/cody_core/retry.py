"""When a failed request to a provider is sent again. A policy, without a clock or a loop."""

from __future__ import annotations

import random

from cody_core.errors import ProviderError

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 20.0
PATIENCE = 120.0
"""Seconds a provider may ask us to wait; asked for more, we rather tell the user."""


def pause_before_retry(error: ProviderError, failures: int) -> float | None:
    """Return the seconds to wait after that many failures in a row, or ``None`` to give up.

    The pause doubles with each failure and is spread by half, so that clients do not come back
    together. What the provider asks for is the least it gets.
    """
    if not error.retryable or (error.retry_after or 0) > PATIENCE:
        return None
    doublings = min(failures - 1, 10)  # more are longer than the longest pause
    pause = min(FIRST_PAUSE * 2.0**doublings, LONGEST_PAUSE) * random.uniform(0.5, 1.5)
    return max(pause, error.retry_after or 0)
