"""Identifiers: UUIDv7 (RFC 9562, section 5.7) for what we name, so that names sort by time."""

from __future__ import annotations

import os
import time
import uuid


def new_id() -> str:
    """Return a new UUIDv7 in its canonical text form.

    48 bits of milliseconds, 12 bits of the fraction of that millisecond (section 6.2, method 3), so
    that ids made by one process in a row sort in that row, and 62 random bits.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | random
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_uuid(text: str) -> bool:
    """Tell whether ``text`` is a UUID in canonical text form, of any version."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def now_ms() -> int:
    """Return the wall clock in milliseconds since the epoch, as every timestamp on the wire."""
    return time.time_ns() // 1_000_000


def traceparent(run_id: str) -> str:
    """Return the W3C ``traceparent`` of a run; its trace id is the run's UUID.

    Raises:
        ValueError: ``run_id`` is not a UUID.
    """
    return f"00-{uuid.UUID(run_id).hex}-{os.urandom(8).hex()}-01"
