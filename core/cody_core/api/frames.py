"""What streams write: server-sent events, put together once for all who are sent them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from cody_core.schema.changes import Changes
from cody_core.schema.events import Entry
from cody_core.schema.news import RunNews
from cody_core.schema.wire import ChangesBody, RunNewsBody
from cody_core.sse import KEEP_ALIVE, encode

_TYPE: Final = re.compile(rb'"run_id":"[^"]{36}","type":"([a-z_]{1,64})"')
"""Where a stored event says its type: found without parsing the event."""


def event_frames(batch: Sequence[Entry], *, batch_size: int) -> Iterator[bytes]:
    """Yield the events of a run as frames, so many at once at most."""
    for start in range(0, len(batch), batch_size):
        yield b"".join(
            [entry.frame or _frame(entry) for entry in batch[start : start + batch_size]]
        )


def news_frames(batch: Sequence[RunNews]) -> Iterator[bytes]:
    """Yield word of runs as frames; an empty batch is a sign of life, which comes at once."""
    yield b"".join(map(_news_frame, batch)) or KEEP_ALIVE


def changes_frames(now: Changes) -> Iterator[bytes]:
    """Yield how things stand as a frame. It has no id: there is nothing to resume."""
    body = ChangesBody.model_validate(now)
    yield encode(body.model_dump_json().encode(), event="changes", id="")


def _news_frame(word: RunNews) -> bytes:
    body = RunNewsBody(run_id=word.run_id, thread_id=word.thread_id, status=word.status)
    kind = "run_started" if word.status is None else "run_ended"
    return encode(body.model_dump_json().encode(), event=kind, id=word.offset)


def _frame(entry: Entry) -> bytes:
    data = entry.data
    if found := _TYPE.search(data):
        kind = found[1].decode()
    else:  # written by somebody who orders fields in another way
        kind = entry.payload.type if entry.payload is not None else "message"
    entry.frame = encode(data, event=kind, id=entry.offset)
    return entry.frame
