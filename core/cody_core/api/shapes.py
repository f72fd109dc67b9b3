"""What the API takes and gives that is not stored as such: camelCase, times in ISO 8601.

``Response`` and events go out as they are stored, and have no shapes here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from cody_core.schema.base import NonEmpty
from cody_core.schema.events import Decision
from cody_core.schema.models import ModelInfo, ModelList
from cody_core.schema.requests import MAX_PROMPT_CHARACTERS, Policy, ReasoningEffort
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadState
from cody_core.settings import Settings

MOST_TOKENS: Final = 2**31 - 1

UUID_PATTERN: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
Id = Annotated[str, StringConstraints(pattern=UUID_PATTERN), AfterValidator(str.lower)]
"""A UUID, which is compared in lower case."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Tags = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=50, strip_whitespace=True)]],
    Field(max_length=100),
]
Summary = Annotated[str, StringConstraints(max_length=20_000)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class Wire(BaseModel):
    """Base of what the API speaks. A number is not a string, as everywhere in the core."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        from_attributes=True,
        strict=True,
    )


class Submission(Wire):
    """A prompt, and how it is to be answered. What else stands in it is ignored."""

    prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARACTERS, pattern=r"\S")]
    model: Name | None = None
    provider_id: Name | None = None
    thread_id: Id | None = None
    run_id: Id | None = None
    turn_id: Id | None = None
    agent_id: Name | None = None
    reasoning_effort: ReasoningEffort | None = None
    thinking_budget: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = None
    max_output_tokens: Annotated[int, Field(gt=0, le=MOST_TOKENS)] | None = None
    system: Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARACTERS)] | None = None
    policy: Policy | None = None


class Accepted(Wire):
    """Where to find what was submitted."""

    run_id: str
    thread_id: str
    turn_id: str
    stream_url: str


class Cancellation(Wire):
    """Why a run is to end."""

    reason: Reason = "cancelled by user"


class Cancelled(Wire):
    """The run that was asked to end."""

    run_id: str


class Answer(Wire):
    """The answer to a question that a run asks."""

    decision: Decision
    reason: Reason | None = None


class Answered(Wire):
    """The answer that counts."""

    approval_id: str
    decision: Decision


class NewThread(Wire):
    """A thread to be made."""

    thread_id: Id | None = None
    title: Title = "Untitled"
    summary: Summary | None = None
    tags: Tags = []
    agent_role: Name | None = None
    model: Name | None = None
    model_provider_id: Name | None = None


class ThreadPatch(Wire):
    """What may be changed of a thread; what is left out stays, ``""`` clears.

    Nothing else may stand in it.
    """

    model_config = ConfigDict(extra="forbid")

    title: Title = ""
    summary: Summary = ""
    tags: Tags = []
    agent_role: Annotated[str, StringConstraints(max_length=200)] = ""

    @model_validator(mode="after")
    def _says_something(self) -> ThreadPatch:
        if not self.model_fields_set:
            msg = "there is nothing to change: give title, summary, tags or agentRole"
            raise ValueError(msg)
        return self


class Fork(Wire):
    """Where a copy of a thread ends; see ``Client.fork``."""

    until: Id | None = None
    before: Id | None = None
    title: Title | None = None


PROVIDER_APIS: Final = MappingProxyType(
    {"openai": "responses", "openai_chat": "chat", "anthropic": "messages", "demo": "demo"}
)
"""What providers speak, by the kind of adapter."""


class ThreadShape(Wire):
    """A thread. Only lists tell its ``state``."""

    thread_id: str
    title: str
    summary: str | None
    tags: tuple[str, ...]
    agent_role: str | None
    model_provider_id: str | None
    model_provider_api: str | None
    model: str | None
    created_at: str
    updated_at: str
    state: ThreadState | None

    @classmethod
    def of(cls, thread: Thread, settings: Settings) -> ThreadShape:
        """Return how a thread is shown."""
        provider = settings.provider(thread.provider_id) if thread.provider_id else None
        return cls(
            thread_id=thread.id,
            title=thread.title,
            summary=thread.summary,
            tags=thread.tags,
            agent_role=thread.agent_role,
            model_provider_id=thread.provider_id,
            model_provider_api=PROVIDER_APIS[provider.kind] if provider is not None else None,
            model=thread.model_id,
            created_at=iso(thread.created_at),
            updated_at=iso(thread.updated_at),
            state=thread.state,
        )


class ThreadsShape(Wire):
    """A page of threads, newest change first."""

    threads: tuple[ThreadShape, ...]
    next_cursor: str | None


class ThreadDetailShape(Wire):
    """A thread with its runs in the order they were created."""

    thread: ThreadShape
    runs: tuple[Response, ...]


class PriceShape(Wire):
    """US dollars per million tokens."""

    prompt: float
    completion: float
    cached: float | None
    cache_write: float | None
    as_of: str


class ModelShape(Wire):
    """A model somebody can choose."""

    id: str
    provider_id: str
    name: str
    context_tokens: int | None
    max_output_tokens: int | None
    price: PriceShape | None
    is_default: bool


class ModelsShape(Wire):
    """The models there are, and the providers that did not say which they offer."""

    models: tuple[ModelShape, ...]
    unreachable: tuple[str, ...]

    @classmethod
    def of(cls, listed: ModelList) -> ModelsShape:
        """Return how a list of models is shown."""
        models: tuple[ModelInfo, ...] = listed.models
        return cls(
            models=tuple(ModelShape.model_validate(model) for model in models),
            unreachable=listed.unreachable,
        )


class InfoShape(Wire):
    """Where the server's core keeps things."""

    version: NonEmpty
    log: NonEmpty
    store: NonEmpty
    workspace: NonEmpty
    home: NonEmpty


class PathsShape(Wire):
    """Files of the workspace, best first."""

    paths: tuple[str, ...]


class AttachmentShape(Wire):
    """The text of a file, or as much of its beginning as is attached."""

    path: str
    content: str
    size: int
    is_cut: bool


Part = Literal["ok", "unavailable"]


class Health(Wire):
    """Whether the server can do its work."""

    status: Literal["ok", "degraded"]
    version: str
    log: Part
    store: Part


class Problem(Wire):
    """What is wrong with one field."""

    field: str
    message: str


class ErrorBody(Wire):
    """A failure; ``code`` is stable, ``message`` is for people."""

    code: str
    message: str
    details: dict[str, object] | None = None


class ErrorShape(Wire):
    """The one shape of all errors."""

    error: ErrorBody


def iso(milliseconds: int) -> str:
    """Return a time as ISO 8601 in UTC."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
