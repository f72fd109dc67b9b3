"""The checkup: whether what is set up works, and what to do where it does not.

A check looks at one thing, changes nothing, and says what it found. What it meets that is not
foreseen in it, an error of ours or of the system, is a finding as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "note", "problem"]
"""``problem``: something that is set up does not work. ``note``: worth knowing, nothing is broken.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        subject: What was looked at, in a word or two.
        state: Whether it works.
        text: What was found, in a line without a secret.
        remedy: What to do about it: a setting or a command.
    """

    subject: str
    state: State
    text: str
    remedy: str | None = None
