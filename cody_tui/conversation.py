"""The thread somebody is in: prompts that wait, the run that is live, one after the other.

No widget in here. ``converse`` is run by one worker as long as the thread is on the screen; leaving
it leaves a live run alone, which ends and is saved without anybody looking.

What needs the core's schema is imported where it is used: that is after the first paint.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from cody_core.errors import ApprovalResolvedBefore, CodyError

from cody_tui.messages import Choices, Snapshot

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.events import ApprovalRequested, Decision
    from cody_core.schema.threads import ThreadDetail


class Listener(Protocol):
    """Who is told how the conversation goes."""

    def thread_loaded(self, detail: ThreadDetail) -> None:
        """The thread that is continued has been read."""

    def snapshot_came(self, snapshot: Snapshot) -> None:
        """The live run has come further."""

    def conversation_changed(self) -> None:
        """A prompt waits, is sent or is answered."""

    def conversation_failed(self, error: CodyError, unsent: Sequence[str]) -> None:
        """Something did not work; ``unsent`` prompts are not waiting any more."""


class Conversation:
    """Sends prompts in order, each when the answer before is complete."""

    def __init__(self, listener: Listener, *, choices: Choices, thread_id: str | None) -> None:
        self.thread_id = thread_id
        self.sending: str | None = None
        """The prompt that is on its way and not yet part of a run that is shown."""
        self.is_stopping = False
        self.began = 0.0
        """When the live run began, on the monotonic clock."""
        self._listener = listener
        self._choices = choices
        self._client: Client | None = None
        self._queue: deque[str] = deque()
        self._wake = asyncio.Event()
        self._run_id: str | None = None
        self._is_live = False
        self._asked: tuple[ApprovalRequested, ...] = ()
        self._answered: set[str] = set()

    @property
    def is_live(self) -> bool:
        """Whether an answer is on its way."""
        return self._is_live

    @property
    def waiting(self) -> tuple[str, ...]:
        """The prompts that wait for the answer before them."""
        return tuple(self._queue)

    @property
    def questions(self) -> tuple[ApprovalRequested, ...]:
        """What the live run asks, oldest first; what is being answered or stopped is left out."""
        if self.is_stopping:
            return ()
        return tuple(q for q in self._asked if q.approval_id not in self._answered)

    def send(self, prompt: str) -> None:
        """Let a prompt wait for its turn, which may be now."""
        self._queue.append(prompt)
        self._wake.set()
        self._listener.conversation_changed()

    def take_waiting(self) -> list[str]:
        """Return the prompts that wait; they wait no more."""
        prompts = list(self._queue)
        self._queue.clear()
        return prompts

    async def converse(self, client: Client) -> None:
        """Read the thread if there is one, then answer prompts until cancelled."""
        self._client = client
        try:
            await self._load(client)
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    await self._answer(client, self._queue.popleft())
        finally:
            self._client = None

    async def abort(self) -> None:
        """Ask for the end of the live run, also of one that is just being submitted."""
        if not self._is_live or self.is_stopping:
            return
        self.is_stopping = True
        self._listener.conversation_changed()
        if self._client is not None and self._run_id is not None:
            await self._cancel(self._client, self._run_id)

    async def answer(self, approval_id: str, decision: Decision, reason: str | None) -> None:
        """Answer a question of the live run; it is asked again if the answer did not get through.

        That somebody else was faster is said, since then it is not this answer that counts.
        """
        if self._client is None or self._run_id is None:
            return
        self._answered.add(approval_id)
        self._listener.conversation_changed()
        try:
            await self._client.resolve_approval(self._run_id, approval_id, decision, reason=reason)
        except CodyError as error:
            if not isinstance(error, ApprovalResolvedBefore):
                self._answered.discard(approval_id)
            self._listener.conversation_failed(error, ())

    async def _load(self, client: Client) -> None:
        if self.thread_id is None:
            return
        try:
            detail = await client.thread(self.thread_id)
        except CodyError as error:
            self.thread_id = None
            self._listener.conversation_failed(error, ())
            return
        self._listener.thread_loaded(detail)
        for run in detail.runs:
            if not run.is_terminal:
                await self._watch(client, run.id)

    async def _answer(self, client: Client, prompt: str) -> None:
        from cody_core.schema.requests import SubmitRequest

        self.sending = prompt
        self._begin()
        choices = self._choices
        request = SubmitRequest(
            prompt=prompt,
            model=choices.model,
            agent_id=choices.agent,
            policy=choices.policy,
            reasoning_effort=choices.reasoning_effort,
            thread_id=self.thread_id,
        )
        try:
            submitted = await client.submit(request)
        except CodyError as error:
            self._end()
            self._listener.conversation_failed(error, [prompt, *self.take_waiting()])
            return
        self.thread_id = submitted.thread_id
        await self._watch(client, submitted.run_id)

    async def _watch(self, client: Client, run_id: str) -> None:
        from cody_tui.follow import follow

        self._begin()
        self._run_id = run_id
        try:
            if self.is_stopping:
                await self._cancel(client, run_id)
            await follow(client, run_id, self._show)
        except CodyError as error:
            self._listener.conversation_failed(error, ())
        finally:
            self._end()

    async def _cancel(self, client: Client, run_id: str) -> None:
        try:
            await client.cancel(run_id)
        except CodyError as error:
            self.is_stopping = False
            self._listener.conversation_failed(error, ())

    def _show(self, snapshot: Snapshot) -> None:
        self.sending = None
        self._asked = snapshot.approvals
        self._listener.snapshot_came(snapshot)

    def _begin(self) -> None:
        if not self._is_live:
            self._is_live, self.is_stopping, self.began = True, False, time.monotonic()
            self._listener.conversation_changed()

    def _end(self) -> None:
        self._is_live, self.is_stopping, self._run_id, self.sending = False, False, None, None
        self._asked = ()
        self._answered.clear()
        self._listener.conversation_changed()
