"""The response: one run's answer, complete and compact, as it is stored and shown."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from cody_core.schema.base import JsonObject, Milliseconds, NonEmpty, Omittable, Shape, Uuid
from cody_core.schema.items import Item

Status: TypeAlias = Literal["queued", "in_progress", "complete", "error", "aborted"]
Tokens: TypeAlias = Annotated[int, Field(ge=0)]


class ErrorInfo(Shape):
    """A failure as data; ``code`` is stable, ``message`` is for people."""

    code: NonEmpty
    message: str
    details: Omittable[JsonObject] = None


class Usage(Shape):
    """Tokens of a whole response, over all its iterations.

    ``cached_tokens`` and ``cache_write_tokens`` are part of ``prompt_tokens``, ``reasoning_tokens``
    of ``completion_tokens``.
    """

    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0
    total_tokens: Tokens = 0
    cached_tokens: Omittable[Tokens] = None
    cache_write_tokens: Omittable[Tokens] = None
    reasoning_tokens: Omittable[Tokens] = None

    def __add__(self, other: Usage) -> Usage:
        """Return the sum, field by field; a detail that neither side knows stays unknown."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cached_tokens=_sum(self.cached_tokens, other.cached_tokens),
            cache_write_tokens=_sum(self.cache_write_tokens, other.cache_write_tokens),
            reasoning_tokens=_sum(self.reasoning_tokens, other.reasoning_tokens),
        )


def _sum(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return left if right is None else right
    return left + right


class Response(Shape):
    """One answer to a turn. ``id`` is also the id of the run that produced it.

    ``input_items`` hold the prompt, ``output_items`` only what the run produced. ``error`` and
    ``finish_reason`` are always present on the wire, as ``null`` where there is none.
    """

    id: Uuid
    turn_id: Uuid
    thread_id: Uuid
    agent_id: Omittable[str] = None
    model_id: NonEmpty
    provider_id: NonEmpty
    created_at: Milliseconds
    updated_at: Milliseconds
    status: Status
    input_items: tuple[Item, ...] = ()
    output_items: tuple[Item, ...] = ()
    usage: Omittable[Usage] = None
    finish_reason: str | None = None
    error: ErrorInfo | None = None

    @property
    def is_terminal(self) -> bool:
        """Tell whether the run has ended."""
        return self.status in ("complete", "error", "aborted")
