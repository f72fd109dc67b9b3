"""Threads: listing, making, showing, changing, copying, deleting."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from cody_core.api.dependencies import Failures, ServedHere, Text, ThreadId, reply, shown
from cody_core.schema.threads import ThreadChanges, ThreadRequest
from cody_core.schema.wire import (
    ErrorBody,
    ForkBody,
    NewThreadBody,
    ThreadBody,
    ThreadChangesBody,
    ThreadDetailBody,
    ThreadPageBody,
    shape_of,
)

router = APIRouter(prefix="/api/v2/threads", tags=["threads"])

Limit = Annotated[int, Query(ge=1, le=500)]
Words = Annotated[Text, Query(max_length=1000)]
_EXISTS: Final[Failures] = {
    409: {"model": ErrorBody, "description": "there is, or was, a thread with that id"}
}


@router.get("", response_model=ThreadPageBody)
async def threads(
    served: ServedHere,
    limit: Limit = 50,
    cursor: Words | None = None,
    tag: Words | None = None,
    q: Words | None = None,
) -> Response:
    """List threads, newest change first; ``q`` searches titles and message text."""
    page = await served.client.threads(limit=limit, cursor=cursor, tag=tag, query=q)
    listed = tuple(shown(thread, served.settings) for thread in page.threads)
    return reply(ThreadPageBody(threads=listed, next_cursor=page.next_cursor))


@router.post("", status_code=201, response_model=ThreadBody, responses=_EXISTS)
async def create(body: NewThreadBody, served: ServedHere) -> Response:
    """Make a thread that has no run yet."""
    made = await served.client.create_thread(shape_of(ThreadRequest, body))
    return reply(shown(made, served.settings), 201)


@router.get("/{threadId}", response_model=ThreadDetailBody)
async def thread(thread_id: ThreadId, served: ServedHere) -> Response:
    """Return a thread and its runs in the order they were created."""
    detail = await served.client.thread(thread_id)
    body = ThreadDetailBody(thread=shown(detail.thread, served.settings), runs=detail.runs)
    return reply(body)


@router.patch("/{threadId}", response_model=ThreadBody)
async def update(thread_id: ThreadId, body: ThreadChangesBody, served: ServedHere) -> Response:
    """Change title, summary, tags or agent role; what is left out stays."""
    changed = await served.client.update_thread(thread_id, shape_of(ThreadChanges, body))
    return reply(shown(changed, served.settings))


@router.delete("/{threadId}", status_code=204)
async def delete(thread_id: ThreadId, served: ServedHere) -> Response:
    """Delete a thread and its runs; those that are live are cancelled."""
    await served.client.delete_thread(thread_id)
    return Response(status_code=204)


@router.post("/{threadId}/fork", status_code=201, response_model=ThreadBody)
async def fork(thread_id: ThreadId, served: ServedHere, body: ForkBody | None = None) -> Response:
    """Copy a thread, up to a run or as far as it has come, into one that goes its own way."""
    end = body or ForkBody()
    copy = await served.client.fork(thread_id, until=end.until, before=end.before, title=end.title)
    return reply(shown(copy, served.settings), 201)
