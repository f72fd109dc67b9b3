"""JSON as servers send it: with halves of characters, too, where they cut one in two."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair of halves
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text, with ``?`` for halves of surrogate pairs, as ``whole``.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # A second look, once something is wrong: the parser takes no half, and nobody else could.
        given = text if isinstance(text, str) else text.decode()
        mended = _ESCAPE.sub(lambda found: "?" if found["half"] else found[0], given)
        if mended == given:
            raise
        return orjson.loads(mended)
