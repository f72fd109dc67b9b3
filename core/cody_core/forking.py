"""Forking: a thread copied up to some run, to go on differently from there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cody_core.errors import InvalidRequest, RunNotFound
from cody_core.ids import new_id, now_ms
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadDetail


def fork(
    detail: ThreadDetail,
    *,
    until: str | None = None,
    before: str | None = None,
    title: str | None = None,
) -> ThreadDetail:
    """Return a copy of a thread with new ids, as ``Client.fork`` describes it.

    Threads, turns and runs get new ids, items keep theirs: outputs name their calls by them, and
    providers may have been told of them.

    Raises:
        RunNotFound: the thread has no such run.
        InvalidRequest: the last run to be copied has not ended.
    """
    runs = _chosen(detail.runs, until, before)
    thread_id, now = new_id(), now_ms()
    turns: defaultdict[str, str] = defaultdict(new_id)
    copies = tuple(
        run.model_copy(
            update={"id": new_id(), "turn_id": turns[run.turn_id], "thread_id": thread_id}
        )
        for run in runs
    )
    changes: dict[str, object] = {"id": thread_id, "created_at": now, "updated_at": now}
    changes |= {"title": title or detail.thread.title, "summary": None, "state": None}
    if runs:
        changes |= {"model_id": runs[-1].model_id, "provider_id": runs[-1].provider_id}
    thread: Thread = detail.thread.model_copy(update=changes)
    return ThreadDetail(thread=thread, runs=copies)


def _chosen(runs: Sequence[Response], until: str | None, before: str | None) -> Sequence[Response]:
    if until is not None:
        end = _place(runs, until) + 1
        if not runs[end - 1].is_terminal:
            msg = f"run {until!r} has not ended yet: stop it or wait for its end, then fork"
            raise InvalidRequest(msg)
    else:
        end = len(runs) if before is None else _place(runs, before)
    return [run for run in runs[:end] if run.is_terminal]


def _place(runs: Sequence[Response], run_id: str) -> int:
    for place, run in enumerate(runs):
        if run.id == run_id:
            return place
    msg = f"the thread has no run {run_id!r}"
    raise RunNotFound(msg)
