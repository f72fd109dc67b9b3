"""When Python looks for garbage: not while the program starts, and never at what started it.

A start makes a hundred thousand objects that stay. Looking through them while they are made takes
a tenth of the time until the first paint; looking through them again while an answer streams holds
up keys for as long as several frames.
"""

from __future__ import annotations

import gc


def pause() -> None:
    """Look for no garbage until ``resume``."""
    gc.disable()


def resume() -> None:
    """Look again, but not among what is there now; without a pause before, change nothing."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
