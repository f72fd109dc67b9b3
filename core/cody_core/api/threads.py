"""Threads: listing, making, showing, changing, copying, deleting."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from cody_core.api.dependencies import Failures, ServedHere, Text, ThreadId, reply
from cody_core.api.errors import ThreadExists
from cody_core.api.shapes import (
    ErrorShape,
    Fork,
    NewThread,
    ThreadDetailShape,
    ThreadPatch,
    ThreadShape,
    ThreadsShape,
)
from cody_core.ids import new_id, now_ms
from cody_core.providers.catalog import resolve
from cody_core.schema.threads import Thread, ThreadChanges
from cody_core.settings import Settings

router = APIRouter(prefix="/api/v2/threads", tags=["threads"])

Limit = Annotated[int, Query(ge=1, le=500)]
Words = Annotated[Text, Query(max_length=1000)]
_EXISTS: Final[Failures] = {
    409: {"model": ErrorShape, "description": "there is, or was, a thread with that id"}
}


@router.get("", response_model=ThreadsShape)
async def threads(
    served: ServedHere,
    limit: Limit = 50,
    cursor: Words | None = None,
    tag: Words | None = None,
    q: Words | None = None,
) -> Response:
    """List threads, newest change first; ``q`` searches titles and message text."""
    page = await served.client.threads(limit=limit, cursor=cursor, tag=tag, query=q)
    listed = tuple(ThreadShape.of(thread, served.settings) for thread in page.threads)
    return reply(ThreadsShape(threads=listed, next_cursor=page.next_cursor))


@router.post("", status_code=201, response_model=ThreadShape, responses=_EXISTS)
async def create(body: NewThread, served: ServedHere) -> Response:
    """Make a thread that has no run yet."""
    thread = _new_thread(body, served.settings)
    if not await served.threads.create_thread(thread):
        msg = f"there is a thread {thread.id!r}, or was one: leave threadId out to be given one"
        raise ThreadExists(msg)
    return reply(ThreadShape.of(thread, served.settings), 201)


@router.get("/{threadId}", response_model=ThreadDetailShape)
async def thread(thread_id: ThreadId, served: ServedHere) -> Response:
    """Return a thread and its runs in the order they were created."""
    detail = await served.client.thread(thread_id)
    shown = ThreadShape.of(detail.thread, served.settings)
    return reply(ThreadDetailShape(thread=shown, runs=detail.runs))


@router.patch("/{threadId}", response_model=ThreadShape)
async def update(thread_id: ThreadId, body: ThreadPatch, served: ServedHere) -> Response:
    """Change title, summary, tags or agent role; what is left out stays."""
    said = body.model_dump(by_alias=False, exclude_unset=True)
    if "tags" in said:
        said["tags"] = tuple(dict.fromkeys(body.tags))
    await served.client.update_thread(thread_id, ThreadChanges(**said))
    detail = await served.client.thread(thread_id)
    return reply(ThreadShape.of(detail.thread, served.settings))


@router.delete("/{threadId}", status_code=204)
async def delete(thread_id: ThreadId, served: ServedHere) -> Response:
    """Delete a thread and its runs; those that are live are cancelled."""
    await served.client.delete_thread(thread_id)
    return Response(status_code=204)


@router.post("/{threadId}/fork", status_code=201, response_model=ThreadShape)
async def fork(thread_id: ThreadId, served: ServedHere, body: Fork | None = None) -> Response:
    """Copy a thread, up to a run or as far as it has come, into one that goes its own way."""
    end = body or Fork()
    copy = await served.client.fork(thread_id, until=end.until, before=end.before, title=end.title)
    return reply(ThreadShape.of(copy, served.settings), 201)


def _new_thread(body: NewThread, settings: Settings) -> Thread:
    """Return the thread that is asked for.

    Raises:
        UnknownProvider: no such provider is configured.
        InvalidModel: the provider of the model cannot be told, or the two do not fit.
    """
    model_id = provider_id = None
    if body.model is not None or body.model_provider_id is not None:
        info = resolve(settings, body.model, body.model_provider_id)
        model_id, provider_id = info.id, info.provider_id
    now = now_ms()
    return Thread(
        id=body.thread_id or new_id(),
        title=body.title,
        summary=body.summary,
        tags=tuple(dict.fromkeys(body.tags)),
        agent_role=body.agent_role,
        model_id=model_id,
        provider_id=provider_id,
        created_at=now,
        updated_at=now,
    )
