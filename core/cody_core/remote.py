"""The remote client: the core of a ``cody serve``, over HTTP. See ``Client`` for its promises."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from urllib.parse import quote

from cody_core.errors import RunNotFound, ThreadNotFound
from cody_core.ids import is_uuid, new_id
from cody_core.remote_calls import Server, open_server
from cody_core.remote_stream import PATIENCE, changes, follow, watch
from cody_core.schema.changes import Changes
from cody_core.schema.events import START, Decision, Entry
from cody_core.schema.files import Attachment
from cody_core.schema.models import CoreInfo, ModelList
from cody_core.schema.news import RunNews
from cody_core.schema.requests import SubmitRequest, Submitted
from cody_core.schema.response import Response
from cody_core.schema.threads import (
    Thread,
    ThreadChanges,
    ThreadDetail,
    ThreadPage,
    ThreadRequest,
)
from cody_core.schema.wire import (
    ApprovalBody,
    AttachmentBody,
    CancelBody,
    FilesBody,
    ForkBody,
    NewThreadBody,
    SubmitBody,
    SubmittedBody,
    ThreadBody,
    ThreadChangesBody,
    ThreadDetailBody,
    ThreadPageBody,
    body_of,
    body_with,
    shape_of,
)
from cody_core.schema.wire_info import InfoBody, ModelsBody

MOST_LISTED = 500
"""What a server lists at once at most; whoever asks for more gets that many."""


@asynccontextmanager
async def open_remote(
    url: str, *, token: str | None = None, patience: float = PATIENCE
) -> AsyncIterator[RemoteClient]:
    """Open a client of the ``cody serve`` at that address.

    ``patience`` is for how many seconds a run is followed without a sign of life from the server.

    Raises:
        SettingsError: the address is none, or the server does not take the token.
        ServerUnavailable: there is no ``cody serve``.
    """
    async with open_server(url, token) as server:
        client = RemoteClient(server, patience)
        await client.info()  # said now, not when the first prompt has been written
        yield client


class RemoteClient:
    """The client of a server, from ``open_remote``; ``patience`` is in seconds, as there.

    Beyond what ``Client`` says, each call may raise ``ServerUnavailable``. Ids that are none are
    never sent: nobody has made a run or a thread with one.
    """

    def __init__(self, server: Server, patience: float = PATIENCE) -> None:
        self._server = server
        self._patience = patience

    @property
    def trouble(self) -> str | None:
        """What does not answer; see ``Client.trouble``."""
        return self._server.trouble

    async def submit(self, request: SubmitRequest) -> Submitted:
        """Start a run; see ``Client.submit``.

        We name the run, so that a request whose answer was lost can be sent again.
        """
        if request.run_id is None:
            request = request.model_copy(update={"run_id": new_id()})
        body = body_of(SubmitBody, request)
        answer = await self._server.ask("POST", "/submit", body=body, again=True)
        return shape_of(Submitted, self._server.read(SubmittedBody, answer))

    async def follow(self, run_id: str, *, after: str = START) -> AsyncGenerator[Sequence[Entry]]:
        """Yield a run's events, over as many connections as it takes; see ``Client.follow``."""
        stream = follow(self._server, _run(run_id), after=after, patience=self._patience)
        async with aclosing(stream) as batches:
            async for batch in batches:
                yield batch

    async def watch(
        self, thread_id: str, *, after: str | None = None
    ) -> AsyncGenerator[Sequence[RunNews]]:
        """Yield word of the runs of a thread, over as many connections; see ``Client.watch``."""
        stream = watch(self._server, _thread(thread_id), after=after, patience=self._patience)
        async with aclosing(stream) as batches:
            async for batch in batches:
                yield batch

    async def cancel(self, run_id: str, *, reason: str = "cancelled by user") -> None:
        """Ask for the end of a run; see ``Client.cancel``."""
        path = f"/runs/{_run(run_id)}/cancel"
        body = body_with(CancelBody, reason=reason) if reason else CancelBody()
        await self._server.ask("POST", path, body=body, again=True)

    async def resolve_approval(
        self, run_id: str, approval_id: str, decision: Decision, *, reason: str | None = None
    ) -> None:
        """Answer a question; see ``Client.resolve_approval``.

        It is not sent twice: the second answer would be told that the first was somebody else's.
        """
        path = f"/runs/{_run(run_id)}/approvals/{quote(approval_id, safe='')}"
        body = body_with(ApprovalBody, decision=decision, **({"reason": reason} if reason else {}))
        await self._server.ask("POST", path, body=body)

    async def run(self, run_id: str) -> Response:
        """Return a run so far; see ``Client.run``."""
        answer = await self._server.ask("GET", f"/runs/{_run(run_id)}", again=True)
        return self._server.read(Response, answer)

    async def threads(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        tag: str | None = None,
        query: str | None = None,
    ) -> ThreadPage:
        """List threads; see ``Client.threads``."""
        asked = {"limit": min(limit, MOST_LISTED), "cursor": cursor, "tag": tag, "q": query}
        params = {name: value for name, value in asked.items() if value is not None}
        answer = await self._server.ask("GET", "/threads", params=params, again=True)
        return self._server.read(ThreadPageBody, answer).page()

    async def thread(self, thread_id: str) -> ThreadDetail:
        """Return a thread and its runs; see ``Client.thread``."""
        answer = await self._server.ask("GET", f"/threads/{_thread(thread_id)}", again=True)
        return self._server.read(ThreadDetailBody, answer).detail()

    async def create_thread(self, request: ThreadRequest) -> Thread:
        """Make a thread; see ``Client.create_thread``."""
        body = body_of(NewThreadBody, request)
        return self._server.read(
            ThreadBody, await self._server.ask("POST", "/threads", body=body)
        ).thread()

    async def update_thread(self, thread_id: str, changes: ThreadChanges) -> Thread:
        """Change a thread; see ``Client.update_thread``."""
        path, body = f"/threads/{_thread(thread_id)}", body_of(ThreadChangesBody, changes)
        answer = await self._server.ask("PATCH", path, body=body, again=True)
        return self._server.read(ThreadBody, answer).thread()

    async def fork(
        self,
        thread_id: str,
        *,
        until: str | None = None,
        before: str | None = None,
        title: str | None = None,
    ) -> Thread:
        """Copy a thread up to a run; see ``Client.fork``."""
        runs = {"until": until, "before": before}
        named = {name: _run(run_id) for name, run_id in runs.items() if run_id is not None}
        body = body_with(ForkBody, **named, title=title)
        answer = await self._server.ask("POST", f"/threads/{_thread(thread_id)}/fork", body=body)
        return self._server.read(ThreadBody, answer).thread()

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread; see ``Client.delete_thread``."""
        await self._server.ask("DELETE", f"/threads/{_thread(thread_id)}")

    def changes(self, *, threads: bool = False) -> AsyncGenerator[Changes]:
        """Yield how things stand beside the runs, on the server; see ``Client.changes``."""
        return changes(self._server, threads=threads)

    async def models(self, *, refresh: bool = False) -> ModelList:
        """Return the models there are; see ``Client.models``."""
        params = {"refresh": "true"} if refresh else None
        answer = await self._server.ask("GET", "/models", params=params, again=True)
        return shape_of(ModelList, self._server.read(ModelsBody, answer))

    async def info(self) -> CoreInfo:
        """Return where things are on the server, and what counts there; see ``Client.info``."""
        answer = await self._server.ask("GET", "/info", again=True)
        return shape_of(CoreInfo, self._server.read(InfoBody, answer))

    async def find_files(self, query: str, *, limit: int = 20) -> Sequence[str]:
        """Return paths in the workspace of the server; see ``Client.find_files``."""
        params: dict[str, str | int] = {"q": query, "limit": min(limit, MOST_LISTED)}
        answer = await self._server.ask("GET", "/files", params=params, again=True)
        return self._server.read(FilesBody, answer).paths

    async def read_attachment(self, path: str) -> Attachment:
        """Return the text of a file there; see ``Client.read_attachment``."""
        answer = await self._server.ask("GET", "/attachment", params={"path": path}, again=True)
        return shape_of(Attachment, self._server.read(AttachmentBody, answer))


def _run(run_id: str) -> str:
    if not is_uuid(run_id):
        msg = f"there is no run {run_id!r}: that is not the id of one"
        raise RunNotFound(msg)
    return run_id


def _thread(thread_id: str) -> str:
    if not is_uuid(thread_id):
        msg = f"there is no thread {thread_id!r}: see 'cody threads list'"
        raise ThreadNotFound(msg)
    return thread_id
