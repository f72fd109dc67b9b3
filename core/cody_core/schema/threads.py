"""Threads: conversations, and the pages they are listed in."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import StringConstraints

from cody_core.schema.base import Milliseconds, NonEmpty, Omittable, Shape, Uuid, Whole
from cody_core.schema.response import Response

TITLE_LENGTH = 80
"""Characters of the first prompt that become a thread's title."""

Title = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), Whole
]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=50, strip_whitespace=True), Whole]

ThreadState: TypeAlias = Literal["running", "asking", "failed", "stopped"]
"""How the newest run of a thread stands, where it is not just complete."""


class Thread(Shape):
    """A conversation. Model and provider are those of its newest run; only lists tell ``state``."""

    id: Uuid
    title: str
    summary: Omittable[str] = None
    tags: tuple[Tag, ...] = ()
    agent_role: Omittable[str] = None
    model_id: Omittable[str] = None
    provider_id: Omittable[str] = None
    created_at: Milliseconds
    updated_at: Milliseconds
    state: Omittable[ThreadState] = None


class ThreadRequest(Shape):
    """A thread to be made, which has no run yet; without an id it is given one."""

    thread_id: Omittable[Uuid] = None
    title: Title = "Untitled"
    summary: Omittable[str] = None
    tags: tuple[Tag, ...] = ()
    agent_role: Omittable[str] = None
    model: Omittable[NonEmpty] = None
    provider_id: Omittable[NonEmpty] = None


class ThreadPage(Shape):
    """Threads, newest change first; ``next_cursor`` is opaque and absent on the last page."""

    threads: tuple[Thread, ...]
    next_cursor: Omittable[str] = None


class ThreadDetail(Shape):
    """A thread with its runs in the order they were created."""

    thread: Thread
    runs: tuple[Response, ...]


class ThreadChanges(Shape):
    """What a user may change of a thread; a field left out stays as it is."""

    title: Omittable[Title] = None
    summary: Omittable[str] = None
    tags: Omittable[tuple[Tag, ...]] = None
    agent_role: Omittable[str] = None


def title_of(prompt: str) -> str:
    """Return a thread's title: the first line of the prompt that says something, cut at a word."""
    line = next((line for line in map(str.split, prompt.splitlines()) if line), ["Untitled"])
    text = " ".join(line)
    if len(text) <= TITLE_LENGTH:
        return text
    cut = text[: TITLE_LENGTH - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[TITLE_LENGTH // 2 :] else cut).rstrip() + "…"
