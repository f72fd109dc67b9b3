"""One prompt, one answer: ``cody chat``, written against a ``Client``."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from cody_core.client import Client
from cody_core.errors import InvalidRequest
from cody_core.reducer import ResponseReducer
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response

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


async def converse(client: Client, request: SubmitRequest, view: View) -> Outcome:
    """Submit a prompt and show the answer as it comes.

    The first interrupt aborts the run and waits for its end, keeping what came; a reader that has
    gone away does the same. A second interrupt ends the program.
    """
    with _stopping() as stopping:
        submitted = await client.submit(request)
        reducer = ResponseReducer()
        async with asyncio.TaskGroup() as tasks:
            cancel = tasks.create_task(_cancel_when(stopping, client, submitted.run_id))
            closed = await _show(client, submitted.run_id, reducer, view)
            cancel.cancel()
        if closed:
            return Outcome(EXIT_CLOSED_PIPE)
        view.close(reducer.response)
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


async def _show(client: Client, run_id: str, reducer: ResponseReducer, view: View) -> bool:
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
            except BrokenPipeError:
                closed = True
                await client.cancel(run_id, reason="the reader of the output went away")
    return closed


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
    """Turn the signals that end a program into a request to end the run."""
    stopping, loop = _Stopping(), asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopping.stop, int(number))
    try:
        yield stopping
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
