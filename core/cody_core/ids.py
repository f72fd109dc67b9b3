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
    head = (milliseconds << 16) | 0x7000 | (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1) | (0b10 << 62)
    first, second = f"{head:016x}", f"{random:016x}"  # one number of 128 bits would take longer
    return f"{first[:8]}-{first[8:12]}-{first[12:]}-{second[:4]}-{second[4:]}"


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
