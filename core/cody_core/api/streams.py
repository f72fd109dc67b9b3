"""The streams: the events of a run, word of the runs of a thread, and how things stand beside."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from cody_core.api.dependencies import From, LastEventId, RunId, ServedHere, ThreadId, offset
from cody_core.api.frames import changes_frames, news_frames
from cody_core.api.run_stream import RunStream
from cody_core.api.stream import KEEP_ALIVE_SECONDS, BatchStream
from cody_core.schema.events import START

router = APIRouter(prefix="/api/v2", tags=["streams"])

_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "server-sent events",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "nothing follows that offset, and nothing will"},
}
_LONGEST: Final = int(KEEP_ALIVE_SECONDS * 1000)

BlockMs = Annotated[
    int,
    Query(alias="blockMs", ge=100, description=f"silence before a keep-alive, {_LONGEST} at most"),
]
BatchSize = Annotated[
    int, Query(alias="batchSize", ge=1, le=1000, description="events in one write at most")
]


@router.get("/stream/{runId}", response_class=Response, responses=_STREAM)
async def stream(
    run_id: RunId,
    served: ServedHere,
    from_: From = None,
    last_event_id: LastEventId = None,
    block_ms: BlockMs = _LONGEST,
    batch_size: BatchSize = 256,
) -> Response:
    """Stream a run's events as they are stored, from an offset on to the terminal event."""
    after = offset(last_event_id) or offset(from_) or START
    return RunStream(
        partial(served.client.follow, run_id),
        served.feeds.of(run_id),
        served.ending.streams,
        after=after,
        batch_size=batch_size,
        interval=min(block_ms, _LONGEST) / 1000,
    )


@router.get("/threads/{threadId}/events", response_class=Response, responses=_STREAM)
async def thread_events(
    thread_id: ThreadId, served: ServedHere, last_event_id: LastEventId = None
) -> Response:
    """Stream word of the runs of a thread: of those that are live, and of what begins and ends."""
    batches = served.client.watch(thread_id, after=offset(last_event_id) or None)
    return BatchStream(batches, news_frames, served.ending.streams)


@router.get("/changes", response_class=Response, responses=_STREAM)
async def changes(served: ServedHere, threads: bool = False) -> Response:
    """Stream how things stand: whether runs wait to be stored, and what is heard of threads."""
    found = served.client.changes(threads=threads)
    return BatchStream(found, changes_frames, served.ending.streams)
