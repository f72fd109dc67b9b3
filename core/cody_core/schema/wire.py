"""The bodies of the HTTP API, and the way between them and the canonical shapes.

Both ends use this module, so that they cannot differ: the API makes bodies of what its client
returns, the remote client makes them of what it is given. Bodies spell their fields in camelCase
and give times as ISO 8601. A ``Response`` and an event go over the wire as they are stored, and
have no body here.

A body that says what a shape says is that shape by other names; ``body_of`` and ``shape_of``
translate. In an answer, what is not there is ``null``; in a request it is left out. Errors keep
their class: codes on the wire are those of ``errors.py`` in capitals.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from cody_core import errors
from cody_core.errors import CodyError, EventLogUnavailable, InvalidRequest
from cody_core.schema.base import JsonObject, NonEmpty, Omittable, Uuid
from cody_core.schema.events import Decision
from cody_core.schema.news import RunEnd
from cody_core.schema.requests import MAX_PROMPT_CHARACTERS, Policy, Prompt, ReasoningEffort
from cody_core.schema.response import Response
from cody_core.schema.threads import Tag, Thread, ThreadDetail, ThreadPage, ThreadState, Title

S = TypeVar("S", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
MOST_TOKENS: Final = 2**31 - 1

Id = Annotated[Uuid, AfterValidator(str.lower)]
"""A UUID, which is compared in lower case."""
IsoTime = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
]
"""A moment, such as ``2026-01-31T23:59:59.999Z``."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARACTERS)]
Summary = Annotated[str, StringConstraints(max_length=20_000)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Tags = Annotated[
    tuple[Tag, ...],
    Field(strict=False, max_length=100),
    AfterValidator(lambda tags: tuple(dict.fromkeys(tags))),
]
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
    """Return a shape as the body that says the same; what was left open in it stays so.

    Raises:
        InvalidRequest: it says what no body may.
    """
    return body_with(body, **shape.model_dump(exclude_unset=True))


def body_with(body: type[B], **said: object) -> B:
    """Return a body with these fields, by their own names.

    Raises:
        InvalidRequest: they say what no body may.
    """
    try:
        return body.model_validate(said, by_name=True, by_alias=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = "".join(f"{name}: " for name in first["loc"])
        raise InvalidRequest(place + first["msg"].removeprefix("Value error, ")) from error


def shape_of(shape: type[S], body: BaseModel) -> S:
    """Return the shape that a body says; what was left open in it stays so."""
    return shape.model_validate(body.model_dump(by_alias=False, exclude_unset=True))


class Body(BaseModel):
    """Base of the bodies; we make them by the names of fields. A number is not a string."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        from_attributes=True,
        strict=True,
        frozen=True,
    )


class SubmitBody(Body):
    """``POST /submit``: a prompt, and how it is to be answered. What else is in it is ignored."""

    prompt: Prompt
    model: Name | None = None
    provider_id: Name | None = None
    thread_id: Id | None = None
    run_id: Id | None = None
    turn_id: Id | None = None
    agent_id: Name | None = None
    reasoning_effort: ReasoningEffort | None = None
    thinking_budget: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = None
    """In tokens."""
    max_output_tokens: Annotated[int, Field(gt=0, le=MOST_TOKENS)] | None = None
    system: Text | None = None
    policy: Policy | None = None


class SubmittedBody(Body):
    """Where to find what was submitted; ``streamUrl`` is relative to the server."""

    run_id: Uuid
    thread_id: Uuid
    turn_id: Uuid
    stream_url: NonEmpty


class CancelBody(Body):
    """``POST /runs/{id}/cancel``: why a run is to end; the body may be missing, too."""

    reason: Reason = "cancelled by user"


class CancelledBody(Body):
    """The run that was asked to end."""

    run_id: Uuid


class ApprovalBody(Body):
    """``POST /runs/{id}/approvals/{approvalId}``: the answer to a question that a run asks."""

    decision: Decision
    reason: Reason | None = None


class ApprovedBody(Body):
    """The answer that counts."""

    approval_id: str
    decision: Decision


class RunNewsBody(Body):
    """``GET /threads/{id}/events``: word of a run; ``status`` only where it has ended."""

    run_id: Uuid
    thread_id: Uuid
    status: Omittable[RunEnd] = None


class NewThreadBody(Body):
    """``POST /threads``: a thread to be made; the answer is the thread."""

    thread_id: Id | None = None
    title: Title = "Untitled"
    summary: Summary | None = None
    tags: Tags = ()
    agent_role: Name | None = None
    model: Name | None = None
    provider_id: Annotated[Name | None, Field(alias="modelProviderId")] = None


class ThreadChangesBody(Body):
    """``PATCH /threads/{id}``: what is left out stays, ``""`` clears, nothing else may be in it."""

    model_config = ConfigDict(extra="forbid", validate_by_name=False)

    title: Title = ""
    summary: Summary = ""
    tags: Tags = ()
    agent_role: Annotated[str, StringConstraints(max_length=200)] = ""

    @model_validator(mode="after")
    def _says_something(self) -> ThreadChangesBody:
        if not self.model_fields_set:
            msg = "there is nothing to change: give title, summary, tags or agentRole"
            raise ValueError(msg)
        return self


class ForkBody(Body):
    """``POST /threads/{id}/fork``: where a copy ends; the answer is the new thread."""

    until: Id | None = None
    before: Id | None = None
    title: Title | None = None


class ThreadBody(Body):
    """A thread. Only lists tell its ``state``.

    ``modelProviderApi`` names the protocol that its provider speaks, where that is known.
    """

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
    state: ThreadState | None = None

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
    """``GET /threads``: newest change first; ``nextCursor`` is ``null`` on the last page."""

    threads: tuple[ThreadBody, ...]
    next_cursor: str | None = None

    def page(self) -> ThreadPage:
        """Return the page."""
        threads = tuple(body.thread() for body in self.threads)
        return ThreadPage(threads=threads, next_cursor=self.next_cursor)


class ThreadDetailBody(Body):
    """``GET /threads/{id}``: the thread, and its runs in the order they were created."""

    thread: ThreadBody
    runs: tuple[Response, ...]

    def detail(self) -> ThreadDetail:
        """Return the thread and its runs."""
        return ThreadDetail(thread=self.thread.thread(), runs=self.runs)


class ChangesBody(Body):
    """Word of ``GET /changes``: how things stand beside the runs."""

    threads: int = 0
    is_told: bool = False
    unsaved: int = 0


class FilesBody(Body):
    """``GET /files``: paths in the workspace, the best first."""

    paths: tuple[str, ...]


class AttachmentBody(Body):
    """``GET /attachment``: the text of one of them, or as much of its beginning as is attached."""

    path: NonEmpty
    content: str
    size: int
    """Of the whole file, in bytes."""
    is_cut: bool = False


Part = Literal["ok", "unavailable"]


class HealthBody(Body):
    """``GET /health``: whether the server can do its work."""

    status: Literal["ok", "degraded"]
    version: NonEmpty
    log: Part
    store: Part


class Failure(Body):
    """What went wrong; ``code`` is stable, ``message`` is for people."""

    code: NonEmpty
    message: str
    details: JsonObject | None = None


class ErrorBody(Body):
    """The answer to whatever cannot be done."""

    error: Failure


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
