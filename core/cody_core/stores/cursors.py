"""Cursors of the thread list: opaque text that says behind which thread a page begins."""

from __future__ import annotations

import base64
import json
from typing import Annotated

from pydantic import Field, TypeAdapter

from cody_core.errors import InvalidRequest
from cody_core.schema.threads import Thread

MAX_PAGE = 500
"""Threads in one page at most; who asks for more gets a cursor to go on with."""

_Int64 = Annotated[int, Field(ge=0, lt=2**63)]
_CURSOR: TypeAdapter[tuple[int, str]] = TypeAdapter(tuple[_Int64, str])


def page_size(limit: int) -> int:
    """Return how many threads a page may have.

    Raises:
        InvalidRequest: ``limit`` is not positive.
    """
    if limit < 1:
        msg = f"limit must be at least 1, not {limit}"
        raise InvalidRequest(msg)
    return min(limit, MAX_PAGE)


def cursor_after(thread: Thread) -> str:
    """Return the cursor of the page that begins behind a thread."""
    place = json.dumps((thread.updated_at, thread.id), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode()


def read_cursor(cursor: str) -> tuple[int, str]:
    """Return the ``updated_at`` and the id of the thread a page begins behind.

    Raises:
        InvalidRequest: no earlier page gave this cursor out.
    """
    try:
        return _CURSOR.validate_json(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except ValueError as error:
        msg = f"{cursor!r} is not a cursor of an earlier page"
        raise InvalidRequest(msg) from error
