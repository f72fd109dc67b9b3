"""One prompt, one answer: ``cody chat``, written against a ``Client``."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass

from cody_core.client import Client
from cody_core.errors import ApprovalResolvedBefore, InvalidRequest
from cody_core.reducer import ResponseReducer
from cody_core.schema.events import ApprovalRequested
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response
from cody_core.tasks import task_group

from cody_tui.consent import Asker
from cody_tui.text import printable
from cody_tui.views import View

EXIT_CLOSED_PIPE = 128 + signal.SIGPIPE
"""What a shell says of a program that SIGPIPE ended."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a one-shot ended: the exit code, and what to tell on standard error."""

    exit_code: int
    message: str | None = None


async def converse(client: Client, request: SubmitRequest, view: View, asker: Asker) -> Outcome:
    """Submit a prompt and show the answer as it comes; ``asker`` is asked what needs consent.

    The first interrupt aborts the run and waits for its end, keeping what came; a reader that has
    gone away does the same. A second interrupt ends the program.
    """
    with _stopping() as stopping:
        submitted = await client.submit(request)
        reducer = ResponseReducer()
        try:
            async with task_group() as tasks:
                cancel = tasks.create_task(_cancel_when(stopping, client, submitted.run_id))
                questions = _Questions(client, submitted.run_id, asker, tasks)
                closed = await _show(client, submitted.run_id, reducer, view, questions)
                questions.withdraw()
                cancel.cancel()
        finally:
            gone = _close(view, reducer.response)
        if closed or gone:
            return Outcome(EXIT_CLOSED_PIPE)
        if stopping.signal is not None:
            return Outcome(128 + stopping.signal)
        return _outcome(reducer.response)


async def latest_thread(client: Client) -> str:
    """Return the thread that changed last.

    Raises:
        InvalidRequest: there is none.
    """
    page = await client.threads(limit=1)
    if not page.threads:
        msg = "there is no thread to continue: start one with cody chat 'prompt'"
        raise InvalidRequest(msg)
    return page.threads[0].id


class _Questions:
    """The questions of a run that are being asked here."""

    def __init__(self, client: Client, run_id: str, asker: Asker, tasks: asyncio.TaskGroup) -> None:
        self._client = client
        self._run_id = run_id
        self._asker = asker
        self._tasks = tasks
        self._asking: dict[str, asyncio.Task[None]] = {}

    def update(self, open_questions: Sequence[ApprovalRequested]) -> None:
        """Ask what is new, and withdraw what somebody else has answered."""
        still_open = {question.approval_id for question in open_questions}
        for approval_id, task in self._asking.items():
            if approval_id not in still_open:
                task.cancel()
        for question in open_questions:
            if question.approval_id not in self._asking:
                task = self._tasks.create_task(self._ask(question))
                self._asking[question.approval_id] = task

    def withdraw(self) -> None:
        """Ask nothing any more."""
        self.update(())

    async def _ask(self, question: ApprovalRequested) -> None:
        answer = await self._asker.ask(question)
        with suppress(ApprovalResolvedBefore):
            await self._client.resolve_approval(
                self._run_id, question.approval_id, answer.decision, reason=answer.reason
            )


async def _show(
    client: Client, run_id: str, reducer: ResponseReducer, view: View, questions: _Questions
) -> bool:
    """Show a run to its end; return whether the reader went away before that."""
    closed = False
    async with aclosing(client.follow(run_id)) as batches:
        async for batch in batches:
            reducer.feed(batch)
            if closed:
                continue
            try:
                for entry in batch:
                    view.show(entry)
                view.flush()
                questions.update(reducer.approvals)
            except BrokenPipeError:
                closed = True
                await client.cancel(run_id, reason="the reader of the output went away")
    return closed


def _close(view: View, response: Response | None) -> bool:
    """Close the view; return whether its reader has gone away."""
    try:
        view.close(response)
    except BrokenPipeError:
        return True
    return False


def _outcome(response: Response | None) -> Outcome:
    if response is None or response.status == "complete":
        return Outcome(0)
    if response.error is not None:
        return Outcome(1, printable(response.error.message))
    return Outcome(1, "the run was stopped before the answer was complete")


class _Stopping:
    """Whether somebody wants the program to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.wanted = asyncio.Event()

    def stop(self, number: int) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        self.wanted.set()


async def _cancel_when(stopping: _Stopping, client: Client, run_id: str) -> None:
    await stopping.wanted.wait()
    await client.cancel(run_id, reason="interrupted")


@contextmanager
def _stopping() -> Iterator[_Stopping]:
    """Turn the signals that end a program into a request to end the run.

    One that was ignored from the start, as by ``nohup``, stays ignored.
    """
    stopping, loop = _Stopping(), asyncio.get_running_loop()
    heeded = [each for each in STOP_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    for number in heeded:
        loop.add_signal_handler(number, stopping.stop, int(number))
    try:
        yield stopping
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
