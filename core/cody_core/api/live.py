"""The runs this server was given that have not ended, and word of runs for who listens.

Word is kept for a while in one list that listeners read at their own place, as runs are read from
the log: nobody waits for a slow one. Runs that another process was given are seen when a listener
comes, and followed from then on.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Self

from cody_core.api.errors import ShuttingDown, TooManyRuns
from cody_core.client import Client
from cody_core.errors import CodyError
from cody_core.ids import now_ms
from cody_core.schema.events import START, Entry, ResponseDone, ResponseStart, offset_key
from cody_core.schema.requests import SubmitRequest, Submitted
from cody_core.sse import KEEP_ALIVE, encode
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

KEPT: Final = 10_000
"""How much word is kept for listeners that are slow or come back."""


@dataclass(slots=True)
class _Live:
    """A run that has not ended."""

    run_id: str
    thread_id: str
    since: int | None
    """When it was submitted here; ``None`` if it was not."""
    is_announced: bool = False


@dataclass(frozen=True, slots=True)
class _Word:
    """Word that a run began or ended."""

    number: int
    thread_id: str
    frame: bytes


class LiveRuns:
    """See the module. Get one with ``open``."""

    def __init__(self, client: Client, tasks: asyncio.TaskGroup, limit: int) -> None:
        self._client = client
        self._tasks = tasks
        self._limit = limit
        self._live: dict[str, _Live] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._began = now_ms()
        self._count = 0
        self._words: deque[_Word] = deque(maxlen=KEPT)
        self._changed = asyncio.Event()
        self._is_refusing = False
        self._is_closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, client: Client, *, limit: int) -> AsyncIterator[Self]:
        """Open it. Leaving it ends all listening, and the following of what has not ended."""
        async with task_group() as tasks:
            runs = cls(client, tasks, limit)
            try:
                yield runs
            finally:
                runs.close()
                for task in runs._following:
                    task.cancel()

    async def submit(self, request: SubmitRequest) -> Submitted:
        """Submit a run, and follow it to its end.

        Raises:
            ShuttingDown: it is too late for a new run.
            TooManyRuns: there are as many as there may be.
        """
        if self._is_refusing:
            msg = "the server is shutting down and takes no new runs: try again in a while"
            raise ShuttingDown(msg)
        if len(self._ours) >= self._limit and request.run_id not in self._live:
            msg = f"{self._limit:,} runs are on their way, as many as there may be: try again later"
            raise TooManyRuns(msg)
        since = now_ms()
        submitted = await self._client.submit(request)
        self._follow(_Live(submitted.run_id, submitted.thread_id, since))
        return submitted

    async def news(self, thread_id: str, *, after: str | None = None) -> AsyncGenerator[bytes]:
        """Yield word of the runs of a thread, as frames: of what is live, then of what comes.

        After the offset of an earlier frame it goes on from there, if this server wrote it.

        Raises:
            ThreadNotFound: there is no such thread.
        """
        for run in (await self._client.thread(thread_id)).runs:
            if not run.is_terminal:
                self._follow(_Live(run.id, thread_id, None))
        began, position = offset_key(after or START)
        if began != self._began:
            position = self._count
            known = [run for run in self._live.values() if run.is_announced]
            live = [_started(run) for run in known if run.thread_id == thread_id]
            yield KEEP_ALIVE + b"".join(self._frame(*word) for word in live)
        while not self._is_closed:
            changed = self._changed
            frames = self._since(position, thread_id)
            position = self._count
            if frames:
                yield frames
            else:
                await changed.wait()

    def refuse(self) -> None:
        """Take no new runs."""
        self._is_refusing = True

    def close(self) -> None:
        """Take no new runs, and end all listening."""
        self._is_refusing = self._is_closed = True
        self._notify()

    @property
    def _ours(self) -> list[str]:
        return [run.run_id for run in self._live.values() if run.since is not None]

    def _follow(self, run: _Live) -> None:
        if run.run_id in self._live or self._is_closed:
            return
        self._live[run.run_id] = run
        if run.since is None:
            self._announce(run)
        task = self._tasks.create_task(self._until_end(run))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _until_end(self, run: _Live) -> None:
        last: Entry | None = None
        try:
            async with aclosing(self._client.follow(run.run_id)) as batches:
                async for batch in batches:
                    if last is None and _is_new(batch[0], run):
                        self._announce(run)
                    last = batch[-1]
        except CodyError as error:
            logger.warning("run %s is out of sight: %s", run.run_id, error.message)
        finally:
            del self._live[run.run_id]
            if run.is_announced:
                self._say(run, "run_ended", {"status": _status(last)})
            self._notify()

    def _announce(self, run: _Live) -> None:
        if not run.is_announced:
            run.is_announced = True
            self._say(*_started(run))

    def _say(self, run: _Live, kind: str, more: dict[str, str]) -> None:
        self._count += 1
        frame = self._frame(run, kind, more)
        self._words.append(_Word(self._count, run.thread_id, frame))
        self._notify()

    def _frame(self, run: _Live, kind: str, more: dict[str, str]) -> bytes:
        data = json.dumps({"runId": run.run_id, "threadId": run.thread_id, **more})
        return encode(data.encode(), event=kind, id=f"{self._began}-{self._count}")

    def _since(self, position: int, thread_id: str) -> bytes:
        """Return the frames of a thread that came after that many words of all threads."""
        newest = takewhile(lambda word: word.number > position, reversed(self._words))
        mine = [word.frame for word in newest if word.thread_id == thread_id]
        return b"".join(reversed(mine))

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _started(run: _Live) -> tuple[_Live, str, dict[str, str]]:
    return run, "run_started", {}


def _is_new(first: Entry, run: _Live) -> bool:
    """Tell whether a run began with its submission: the same one may be submitted once more."""
    start = first.payload
    return isinstance(start, ResponseStart) and start.created_at >= (run.since or 0)


def _status(last: Entry | None) -> str:
    end = last.payload if last is not None and last.is_terminal else None
    if end is None:
        return "unknown"
    return end.status if isinstance(end, ResponseDone) else "error"
