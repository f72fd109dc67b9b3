"""Chords: two keys, one after the other, that mean something together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

CHORD_SECONDS: Final = 1.0
"""How long the first key of a chord waits for the second."""


class Chords:
    """Watches for two keys, and remembers the first."""

    def __init__(self) -> None:
        self._first, self._ends = "", 0.0

    def take(self, key: str, chords: Mapping[str, str], *, begins: bool = True) -> str | None:
        """Take a key.

        Args:
            key: The key, as Textual spells it.
            chords: What chords mean, by the two keys with a blank between them.
            begins: Whether this key may be the first of one.

        Returns:
            What is meant; nothing, as a text, while the second key is waited for; ``None`` for a
            key that belongs to no chord.
        """
        first, self._first = self._first, ""
        if first and time.monotonic() < self._ends and (meant := chords.get(f"{first} {key}")):
            return meant
        if begins and any(chord.startswith(f"{key} ") for chord in chords):
            self._first, self._ends = key, time.monotonic() + CHORD_SECONDS
            return ""
        return None
