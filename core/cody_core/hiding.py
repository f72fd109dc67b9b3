"""What must not be read by others, taken out of text: keys, tokens and passwords."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

HIDDEN: Final = "[hidden]"
LONG_ENOUGH: Final = 8
"""A secret as long as this is looked for inside texts; a shorter one is there by chance: the key of
a server that wants any may be ``ollama``."""
_LOGIN: Final = r"(?<=://)[^/?#\s'\"]+(?=@)"
"""Who logs in, in the address of a server; it may be a token."""


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text without those of these secrets that are long enough, and without logins."""
    # The longest first: one may be part of another.
    for secret in sorted((s for s in secrets if len(s) >= LONG_ENOUGH), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return re.sub(_LOGIN, HIDDEN, text)


def holds_any(text: str, secrets: Iterable[str]) -> bool:
    """Tell whether one of these secrets that is long enough is in a text."""
    return any(len(secret) >= LONG_ENOUGH and secret in text for secret in secrets)


def address(url: str) -> str:
    """Return where a server is, and nothing of how to get in: that may be in the query, too."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
