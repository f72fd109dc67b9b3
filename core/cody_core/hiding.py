"""What must not be read by others, taken out of text: keys, tokens and passwords."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

HIDDEN: Final = "[hidden]"
_LOGIN: Final = r"(?<=://)[^/?#\s'\"]+(?=@)"
"""Who logs in, in the address of a server; it may be a token."""


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text without these secrets, and without logins in addresses."""
    # The longest first: one may be part of another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return re.sub(_LOGIN, HIDDEN, text)


def address(url: str) -> str:
    """Return where a server is, and nothing of how to get in: that may be in the query, too."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
