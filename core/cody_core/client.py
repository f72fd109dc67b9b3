"""What the terminal UI, the command line and the HTTP API are written against.

The runtime implements it in process, the remote client over HTTP; whoever holds one cannot tell
which.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

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


class Client(Protocol):
    """A conversation partner's counter: submit, follow, cancel, and look things up."""

    @property
    def trouble(self) -> str | None:
        """What does not answer and is asked again and again, in words; ``None`` if all does."""
        ...

    async def submit(self, request: SubmitRequest) -> Submitted:
        """Start a run and return at once; its events are read with ``follow``.

        Raises:
            ThreadNotFound: the request names a thread that does not exist.
            UnknownProvider: no such provider is configured.
            InvalidModel: the provider of the model cannot be told.
            EventLogUnavailable: the log cannot take the run.
        """
        ...

    def follow(self, run_id: str, *, after: str = START) -> AsyncGenerator[Sequence[Entry]]:
        """Yield what there is after that offset, then what comes, up to the terminal event.

        A run whose log has expired is replayed from the store; after an offset that the log gave,
        there is its terminal event alone, and ``run`` has what came before. What the store has of a
        run that is worked on in a process without a common log ends without one. Close the iterator
        when leaving early.

        Raises:
            RunNotFound: neither log nor store knows the run.
        """
        ...

    def watch(
        self, thread_id: str, *, after: str | None = None
    ) -> AsyncGenerator[Sequence[RunNews]]:
        """Yield word of the runs of a thread: first of those that are live, then of what comes.

        The first batch may be empty, and comes at once. After the offset of earlier word it goes on
        from there, as far back as word is kept. What happens in a process without a common log is
        not heard of. It never ends by itself. Close the iterator when leaving early.

        Raises:
            ThreadNotFound: there is no such thread.
        """
        ...

    async def cancel(self, run_id: str, *, reason: str = "cancelled by user") -> None:
        """Ask for the end of a run; nothing happens if it has ended. Its terminal event follows.

        Raises:
            RunNotFound: neither log nor store knows the run.
            InvalidRequest: a process works on it that shares no log with this one.
        """
        ...

    async def resolve_approval(
        self, run_id: str, approval_id: str, decision: Decision, *, reason: str | None = None
    ) -> None:
        """Answer a question that a run asks. The first answer counts, whoever gives it.

        Raises:
            RunNotFound: neither log nor store knows the run.
            ApprovalResolvedBefore: somebody answered first, or nobody asks (any more).
        """
        ...

    async def run(self, run_id: str) -> Response:
        """Return a run as far as it has come.

        Raises:
            RunNotFound: neither log nor store knows the run.
        """
        ...

    async def threads(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        tag: str | None = None,
        query: str | None = None,
    ) -> ThreadPage:
        """List threads, newest change first; ``query`` searches titles and message text.

        Each has the state of its newest run; that it asks is only known of runs of this process.

        Raises:
            InvalidRequest: ``cursor`` was not made by an earlier call, or ``limit`` is not
            positive.
        """
        ...

    async def thread(self, thread_id: str) -> ThreadDetail:
        """Return a thread and all its runs, live ones as far as they have come.

        Raises:
            ThreadNotFound: there is no such thread.
        """
        ...

    async def create_thread(self, request: ThreadRequest) -> Thread:
        """Make a thread that has no run yet, and return it.

        Raises:
            ThreadExists: there is a thread with that id, or was one.
            UnknownProvider: no such provider is configured.
            InvalidModel: the provider of the model cannot be told, or the two do not fit.
        """
        ...

    async def update_thread(self, thread_id: str, changes: ThreadChanges) -> Thread:
        """Change what a user may change of a thread, and return it as it is then.

        Raises:
            ThreadNotFound: there is no such thread.
        """
        ...

    async def fork(
        self,
        thread_id: str,
        *,
        until: str | None = None,
        before: str | None = None,
        title: str | None = None,
    ) -> Thread:
        """Copy a thread into a new one that goes its own way, and return that.

        ``until`` is the last run that is copied, ``before`` the first that is not; without either,
        all that have ended are. What the copies refer to is copied with them, so that the model
        sees in the new thread what it saw in the old one.

        Raises:
            ThreadNotFound: there is no such thread.
            RunNotFound: the thread has no such run.
            InvalidRequest: the last run to be copied has not ended.
        """
        ...

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread and its runs; runs of it that are live are cancelled.

        Raises:
            ThreadNotFound: there is no such thread.
        """
        ...

    def changes(self, *, threads: bool = False) -> AsyncGenerator[Changes]:
        """Yield how things stand beside the runs: at once, then whenever that has changed.

        Of the list of threads it tells only with ``threads``, which may cost something, and only
        what is heard of others: whoever changes it here knows. It ends with the core. Close the
        iterator when leaving early.
        """
        ...

    async def models(self, *, refresh: bool = False) -> ModelList:
        """Return the models of the configured providers, the default one marked.

        These are the models the program knows of, at once. With ``refresh``, providers that can be
        asked are, which takes seconds at most; one that does not answer is named, and no error.

        Raises:
            InvalidModel: the settings name a model that cannot be.
            UnknownProvider: the settings name a provider that is not configured.
        """
        ...

    async def info(self) -> CoreInfo:
        """Return where the core keeps things, and what counts for a prompt that leaves it open."""
        ...

    async def find_files(self, query: str, *, limit: int = 20) -> Sequence[str]:
        """Return paths of workspace files like the query, best first; without one, the least deep.

        Hidden files and what ``.gitignore`` names are left out. What was there some seconds ago
        may be answered.

        Raises:
            InvalidRequest: the workspace cannot be read.
        """
        ...

    async def read_attachment(self, path: str) -> Attachment:
        """Return the text of a workspace file for a prompt; of a large one, the beginning.

        Raises:
            NotFound: there is no such file.
            InvalidRequest: it lies outside the workspace, or is not text.
        """
        ...
