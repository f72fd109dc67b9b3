"""The thread somebody is in: prompts that wait, the run that is live, one after the other.

No widget in here. ``converse`` is run by one worker as long as the thread is on the screen; leaving
it leaves a live run alone, which ends and is saved without anybody looking.

The same thread may be open elsewhere. While nothing is going on here, a look at the list of threads
tells whether it has changed; a run begun elsewhere is followed like one of ours, or, where the two
processes share no log, read from the store as it grows.

What needs the core's schema is imported where it is used: that is after the first paint.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from cody_core.errors import ApprovalResolvedBefore, CodyError, InvalidRequest

from cody_tui.elsewhere import Unseen
from cody_tui.messages import Choices, Snapshot
from cody_tui.widgets.mentions import without_attachments

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.events import ApprovalRequested, Decision
    from cody_core.schema.response import Response
    from cody_core.schema.threads import ThreadDetail

    from cody_tui.widgets.status import State

NEWS_SECONDS: Final = 1.0
"""How often somebody else's part in the thread is looked for; a store is written as often."""
NEWEST: Final = 8
"""How many of the threads that changed last are looked at: a thread that changed is among them."""


class Listener(Protocol):
    """Who is told how the conversation goes."""

    def thread_loaded(self, detail: ThreadDetail) -> None:
        """The thread that is continued has been read."""

    def thread_titled(self, title: str) -> None:
        """The thread has a title now, or another one."""

    def snapshot_came(self, snapshot: Snapshot) -> None:
        """The live run has come further."""

    def conversation_changed(self) -> None:
        """A prompt waits, is sent or is answered."""

    def conversation_failed(self, error: CodyError, unsent: Sequence[str]) -> None:
        """Something did not work; ``unsent`` prompts are not waiting any more."""


class _Queued(NamedTuple):
    """A prompt that is to be sent, the files that go along, and the turn it answers anew."""

    prompt: str
    mentions: Sequence[str]
    turn_id: str | None


class Conversation:
    """Sends prompts in order, each when the answer before is complete."""

    def __init__(self, listener: Listener, *, choices: Choices, thread_id: str | None) -> None:
        self.thread_id = thread_id
        self.sending: str | None = None
        """The prompt that is on its way and not yet part of a run that is shown."""
        self.is_stopping = False
        self.title: str | None = None
        """What the thread is called, once there is one."""
        self._began = 0.0
        """When the live run began, on the monotonic clock."""
        self._listener = listener
        self._choices = choices
        self._client: Client | None = None
        self._queue: deque[_Queued] = deque()
        self._wake = asyncio.Event()
        self._run_id: str | None = None
        self._latest: Response | None = None
        self._is_live = self._is_left = False
        self._asked: tuple[ApprovalRequested, ...] = ()
        self._answered: set[str] = set()
        self._seen: dict[str, int] = {}
        self._seen_at = 0
        self._left: set[str] = set()

    @property
    def is_live(self) -> bool:
        """Whether an answer is on its way."""
        return self._is_live

    @property
    def seconds(self) -> int:
        """For how long an answer has been on its way."""
        return int(time.monotonic() - self._began) if self._is_live else 0

    @property
    def state(self) -> State:
        """How it goes."""
        if not self._is_live:
            return "sending" if self._queue else "ready"
        if self.is_stopping:
            return "stopping"
        if self.questions:
            return "asking"
        if self._run_id is None:
            return "sending"
        items = self._latest.output_items if self._latest and not self._latest.is_terminal else ()
        answering = any(item.type == "message" and item.content for item in items)
        return "answering" if answering else "thinking"

    @property
    def waiting(self) -> tuple[str, ...]:
        """The prompts that wait for the answer before them."""
        return tuple(queued.prompt for queued in self._queue)

    @property
    def questions(self) -> tuple[ApprovalRequested, ...]:
        """What the live run asks, oldest first; what is being answered or stopped is left out."""
        if self.is_stopping:
            return ()
        return tuple(q for q in self._asked if q.approval_id not in self._answered)

    def send(
        self, prompt: str, *, mentions: Sequence[str] = (), turn_id: str | None = None
    ) -> None:
        """Let a prompt wait for its turn, which may be now.

        Args:
            prompt: The prompt.
            mentions: The paths of files that are to go along with it.
            turn_id: The turn that it is, answered anew; nothing else may wait then.
        """
        self._queue.append(_Queued(prompt, mentions, turn_id))
        self._wake.set()
        self._listener.conversation_changed()

    def take_waiting(self) -> list[str]:
        """Return the prompts that wait; they wait no more."""
        prompts = list(self.waiting)
        self._queue.clear()
        return prompts

    def take_unsent(self) -> list[str]:
        """Return the prompts that wait, and before them one that has not arrived anywhere."""
        sending = [self.sending] if self.sending is not None and self._run_id is None else []
        self.sending = None
        return [*sending, *self.take_waiting()]

    def leave(self) -> tuple[list[str], Unseen | None]:
        """Tell nobody anything any more: another thread is on the screen.

        Returns:
            What has not been sent, and the live run for whoever wants to know how it goes on.
        """
        self._is_left = True
        unsent = self.take_unsent()
        if self._run_id is None or self.thread_id is None:
            return unsent, None
        return unsent, Unseen(self._run_id, self.thread_id, self.title or "", self._began)

    def take_last(self) -> str | None:
        """Return the prompt that was sent last of those that wait; it waits no more."""
        if not self._queue:
            return None
        prompt = self._queue.pop().prompt
        self._listener.conversation_changed()
        return prompt

    async def converse(self, client: Client) -> None:
        """Read the thread if there is one, then answer prompts until cancelled."""
        self._client = client
        try:
            await self._load(client)
            while True:
                await self._wait(client)
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
            self._fail(error)

    async def _load(self, client: Client) -> None:
        if self.thread_id is None:
            return
        try:
            detail = await client.thread(self.thread_id)
        except CodyError as error:
            self.thread_id = None
            self._fail(error)
            return
        self._seen_at = detail.thread.updated_at
        self._seen = {run.id: run.updated_at for run in detail.runs}
        self._latest = next(reversed(detail.runs), None)
        self._listener.thread_loaded(detail)
        self._take_title(detail.thread.title)
        for run in detail.runs:
            if not run.is_terminal:
                await self._watch(client, run.id, created_at=run.created_at)

    async def _wait(self, client: Client) -> None:
        """Wait for a prompt, and show what others do in the thread meanwhile."""
        while True:
            try:
                async with asyncio.timeout(NEWS_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                await self._look(client)
            else:
                self._wake.clear()
                return

    async def _look(self, client: Client) -> None:
        """Show what has come to the thread from elsewhere; a client that fails is asked again."""
        if self.thread_id is None:
            return
        try:
            newest = (await client.threads(limit=NEWEST)).threads
            mine = next((thread for thread in newest if thread.id == self.thread_id), None)
            if mine is None or mine.updated_at <= self._seen_at:
                return
            detail = await client.thread(mine.id)
        except CodyError:
            return
        self._seen_at = max(mine.updated_at, detail.thread.updated_at)
        self._take_title(detail.thread.title)
        for run in detail.runs:
            if not run.is_terminal and run.id not in self._left:
                await self._watch(client, run.id, created_at=run.created_at)
            elif self._seen.get(run.id) != run.updated_at:
                self._show(Snapshot(run))

    async def _answer(self, client: Client, queued: _Queued) -> None:
        from cody_core.schema.requests import SubmitRequest

        self.sending = prompt = queued.prompt
        self._begin()
        choices = self._choices
        try:
            whole = await self._whole(client, prompt, queued.mentions)
        except CodyError as error:
            self._end()
            self._fail(error, [prompt, *self.take_waiting()])
            return
        request = SubmitRequest(
            prompt=whole,
            model=choices.model,
            agent_id=choices.agent,
            policy=choices.policy,
            reasoning_effort=choices.reasoning_effort,
            thread_id=self.thread_id,
            turn_id=queued.turn_id,
        )
        try:
            submitted = await client.submit(request)
        except CodyError as error:
            self._end()
            self._fail(error, [prompt, *self.take_waiting()])
            return
        self.thread_id = submitted.thread_id
        await self._watch(client, submitted.run_id)

    async def _whole(self, client: Client, prompt: str, mentions: Sequence[str]) -> str:
        """Return a prompt with the files it names; what cannot be attached is said.

        Raises:
            InvalidRequest: it is longer than any prompt can be.
        """
        from cody_core.schema.requests import MAX_PROMPT_CHARACTERS

        from cody_tui.attachments import attach

        whole, problems = await attach(client, prompt, mentions)
        for problem in problems:
            self._fail(problem)
        if len(whole) > MAX_PROMPT_CHARACTERS:
            msg = f"the prompt has {len(whole):,} characters; {MAX_PROMPT_CHARACTERS:,} can be sent"
            raise InvalidRequest(msg)
        return whole

    async def _watch(self, client: Client, run_id: str, *, created_at: int | None = None) -> None:
        from cody_tui.follow import follow

        self._begin(0.0 if created_at is None else max(0.0, time.time() - created_at / 1000))
        self._run_id = run_id
        try:
            if self.is_stopping:
                await self._cancel(client, run_id)
            response = await follow(client, run_id, self._show)
            if response is not None and not response.is_terminal:
                await self._watch_stored(client, response)
        except CodyError as error:
            self._fail(error)
        finally:
            self._end()

    async def _watch_stored(self, client: Client, response: Response) -> None:
        """Show a run of another process as the store has it, until it ends or we leave it."""
        while not response.is_terminal and response.id not in self._left:
            await asyncio.sleep(NEWS_SECONDS)
            before, response = response, await client.run(response.id)
            if response != before:
                last = [] if response.is_terminal else response.output_items[-1:]
                self._show(Snapshot(response, frozenset(item.id for item in last)))

    async def _cancel(self, client: Client, run_id: str) -> None:
        try:
            await client.cancel(run_id)
        except CodyError as error:
            self.is_stopping = False
            self._left.add(run_id)
            self._fail(error)

    def _show(self, snapshot: Snapshot) -> None:
        if self._is_left:  # the last snapshot comes when following has been given up
            return
        self.sending = None
        self._asked = snapshot.approvals
        run = snapshot.response
        self._seen[run.id] = run.updated_at
        self._seen_at = max(self._seen_at, run.updated_at)
        self._latest = run
        self._listener.snapshot_came(snapshot)
        if self.title is None:
            from cody_core.schema.threads import title_of

            self._take_title(title_of(next(iter(prompts_of(run)), "")))

    def _fail(self, error: CodyError, unsent: Sequence[str] = ()) -> None:
        if not self._is_left:
            self._listener.conversation_failed(error, unsent)

    def _take_title(self, title: str) -> None:
        self.title = title
        self._listener.thread_titled(title)

    def _begin(self, seconds_ago: float = 0.0) -> None:
        if not self._is_live:
            self._is_live, self.is_stopping = True, False
            self._began = time.monotonic() - seconds_ago
            self._listener.conversation_changed()

    def _end(self) -> None:
        self._is_live, self.is_stopping, self._run_id, self.sending = False, False, None, None
        self._asked = ()
        self._answered.clear()
        self._listener.conversation_changed()


def prompts_of(run: Response) -> list[str]:
    """Return the prompts of a run as they were written."""
    return [without_attachments(item.content) for item in run.input_items if item.type == "message"]
