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


def keep() -> None:
    """Look no more at what has come since either: what the first answer brings stays as well.

    That is above all a provider's SDK, a tenth of a second to look through in the middle of an
    answer. Without a ``resume`` that left something out, change nothing.
    """
    if gc.get_freeze_count():
        gc.freeze()
