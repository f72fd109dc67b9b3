"""The bodies of the HTTP API, and the way between them and the canonical shapes.

Both ends use this module, so that they cannot differ: the API makes bodies of what its client
returns, the remote client makes them of what it is given. Bodies spell their fields in camelCase
and give times as ISO 8601. A ``Response`` and an event go over the wire as they are stored, and
have no body here.

A body that says what a shape says is that shape by other names; ``body_of`` and ``shape_of``
translate. Fields of a thread are always there, ``null`` where there is nothing to say; elsewhere
what is ``None`` is left out. Errors keep their class: codes on the wire are those of ``errors.py``
in capitals.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cody_core import errors
from cody_core.errors import CodyError, EventLogUnavailable
from cody_core.schema.base import JsonObject, NonEmpty, Omittable, Shape, Uuid
from cody_core.schema.events import Decision
from cody_core.schema.files import Attachment
from cody_core.schema.models import CoreInfo, ModelInfo, ModelList
from cody_core.schema.prices import Price
from cody_core.schema.requests import SubmitRequest, Submitted
from cody_core.schema.response import Response
from cody_core.schema.threads import (
    Tag,
    Thread,
    ThreadChanges,
    ThreadDetail,
    ThreadPage,
    ThreadState,
)

S = TypeVar("S", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)

_CAMEL = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)

IsoTime = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
]
"""A moment, such as ``2026-01-31T23:59:59.999Z``."""

Tags = Annotated[tuple[Tag, ...], Field(strict=False)]
"""Tags as JSON has them: a list, which strict reading of parsed JSON takes for no tuple."""


def iso_of(milliseconds: int) -> str:
    """Return a time of ours as the wire has it, exact; what no calendar holds is the last day."""
    moment = _EPOCH + timedelta(milliseconds=min(milliseconds, _LAST))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds_of(iso: str) -> int:
    """Return the time that the wire gives, in milliseconds.

    Raises:
        ValueError: it is not a time.
    """
    return (datetime.fromisoformat(iso) - _EPOCH) // timedelta(milliseconds=1)


def body_of(body: type[B], shape: BaseModel) -> B:
    """Return a shape as the body that says the same; what was left open in it stays so."""
    return body.model_validate(shape.model_dump(exclude_unset=True), by_name=True, by_alias=False)


def shape_of(shape: type[S], body: BaseModel) -> S:
    """Return the shape that a body says; what was left open in it stays so."""
    return shape.model_validate(body.model_dump(by_alias=False, exclude_unset=True))


class Body(Shape):
    """Base of the bodies that no shape has the fields of. We make them by the names of fields."""

    model_config = ConfigDict(**_CAMEL, validate_by_name=True, validate_by_alias=True)


class SubmitBody(SubmitRequest):
    """``POST /submit``: a request that can be submitted as it is."""

    model_config = _CAMEL


class SubmittedBody(Submitted):
    """The answer to it."""

    model_config = _CAMEL

    stream_url: NonEmpty
    """Where its events are, relative to the server."""


class CancelBody(Body):
    """``POST /runs/{id}/cancel``; the body may be missing, too."""

    reason: Omittable[str] = None


class ApprovalBody(Body):
    """``POST /runs/{id}/approvals/{approvalId}``."""

    decision: Decision
    reason: Omittable[str] = None


class ThreadBody(Body):
    """A thread. ``modelProviderApi`` names the protocol its provider speaks, where it is known."""

    thread_id: Uuid
    title: str
    summary: str | None = None
    tags: Tags = ()
    agent_role: str | None = None
    model_provider_id: str | None = None
    model_provider_api: str | None = None
    model: str | None = None
    created_at: IsoTime
    updated_at: IsoTime
    state: Omittable[ThreadState] = None

    @classmethod
    def of(cls, thread: Thread, api: str | None = None) -> ThreadBody:
        """Return the body of a thread; ``api`` is the protocol of its provider."""
        return cls(
            thread_id=thread.id,
            title=thread.title,
            summary=thread.summary,
            tags=thread.tags,
            agent_role=thread.agent_role,
            model_provider_id=thread.provider_id,
            model_provider_api=api,
            model=thread.model_id,
            created_at=iso_of(thread.created_at),
            updated_at=iso_of(thread.updated_at),
            state=thread.state,
        )

    def thread(self) -> Thread:
        """Return the thread."""
        return Thread(
            id=self.thread_id,
            title=self.title,
            summary=self.summary,
            tags=self.tags,
            agent_role=self.agent_role,
            model_id=self.model,
            provider_id=self.model_provider_id,
            created_at=milliseconds_of(self.created_at),
            updated_at=milliseconds_of(self.updated_at),
            state=self.state,
        )


class ThreadPageBody(Body):
    """``GET /threads``; ``nextCursor`` is ``null`` on the last page."""

    threads: tuple[ThreadBody, ...]
    next_cursor: str | None = None

    def page(self) -> ThreadPage:
        """Return the page."""
        threads = tuple(body.thread() for body in self.threads)
        return ThreadPage(threads=threads, next_cursor=self.next_cursor)


class ThreadDetailBody(Body):
    """``GET /threads/{id}``: the thread, and its runs in canonical form."""

    thread: ThreadBody
    runs: tuple[Response, ...]

    def detail(self) -> ThreadDetail:
        """Return the thread and its runs."""
        return ThreadDetail(thread=self.thread.thread(), runs=self.runs)


class ThreadChangesBody(ThreadChanges):
    """``PATCH /threads/{id}``: what is left out stays, and nothing else can be changed."""

    model_config = ConfigDict(**_CAMEL, extra="forbid")

    tags: Omittable[Tags] = None


class ForkBody(Body):
    """``POST /threads/{id}/fork``; the answer is the new thread."""

    until: Omittable[Uuid] = None
    before: Omittable[Uuid] = None
    title: Omittable[str] = None


class PriceBody(Price):
    """What a model costs."""

    model_config = _CAMEL


class ModelBody(ModelInfo):
    """A model."""

    model_config = _CAMEL

    price: Omittable[PriceBody] = None


class ModelsBody(ModelList):
    """``GET /models``."""

    model_config = _CAMEL

    models: tuple[ModelBody, ...]


class InfoBody(CoreInfo):
    """``GET /info``."""

    model_config = _CAMEL


class FilesBody(Body):
    """``GET /files``: paths in the workspace, the best first."""

    paths: tuple[str, ...]


class AttachmentBody(Attachment):
    """``GET /attachment``: the text of one of them."""

    model_config = _CAMEL


class Problem(Body):
    """What went wrong."""

    code: NonEmpty
    message: str
    details: Omittable[JsonObject] = None


class ErrorBody(Body):
    """The answer to whatever cannot be done."""

    error: Problem


def code_of(error: type[CodyError]) -> str:
    """Return the code that an error has on the wire."""
    return "REDIS_UNAVAILABLE" if error is EventLogUnavailable else error.code.upper()


ERRORS: Mapping[str, type[CodyError]] = MappingProxyType(
    {
        code_of(error): error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, CodyError)
    }
)
"""The class of each error by its code on the wire; the API has more of its own, for no client."""
