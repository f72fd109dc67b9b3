"""What routes are given: the client and the settings of their app, and parameters.

Parameters are told apart from anything else before a route sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias

from fastapi import Depends, Header, Path, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, StringConstraints

from cody_core.api.ending import Ending
from cody_core.api.feed import Feeds
from cody_core.client import Client
from cody_core.schema.events import START, offset_key
from cody_core.schema.threads import Thread
from cody_core.schema.wire import ErrorBody, Id, ThreadBody
from cody_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Served:
    """What an app serves."""

    client: Client
    settings: Settings
    ending: Ending
    feeds: Feeds


async def _served(request: Request) -> Served:
    served: Served = request.app.state.served
    return served


ServedHere = Annotated[Served, Depends(_served)]


def offset(text: str | None) -> str | None:
    """Complete an offset that is only milliseconds; an empty one is none."""
    return text if not text or "-" in text else f"{text}-0"


def _possible(text: str) -> str:
    if text and max(offset_key(offset(text) or START)) >= 2**63:  # Redis holds no more
        msg = "no offset has a number that large"
        raise ValueError(msg)
    return text


def _without_nul(text: str) -> str:
    if "\0" in text:
        msg = "it holds a character that no text has"
        raise ValueError(msg)
    return text


_Offset = Annotated[
    str, StringConstraints(pattern=r"^([0-9]{1,20}(-[0-9]{1,20})?)?$"), AfterValidator(_possible)
]
From = Annotated[_Offset | None, Query(alias="from", description="the offset to go on after")]
LastEventId = Annotated[
    _Offset | None, Header(alias="Last-Event-ID", description="the same, and wins over from")
]
RunId = Annotated[Id, Path(alias="runId")]
ThreadId = Annotated[Id, Path(alias="threadId")]
Text = Annotated[str, AfterValidator(_without_nul)]

Failures: TypeAlias = dict[int | str, dict[str, Any]]
"""What a route may answer when it fails, by status."""

_DESCRIPTIONS: Final[dict[int | str, str]] = {
    400: "the request is not valid; the field is named",
    401: "a token is asked for",
    403: "Host or Origin are not the server's",
    404: "there is no such thing",
    503: "log or store cannot be reached",
    "default": "the server failed",
}
FAILURES: Final[Failures] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in _DESCRIPTIONS.items()
}
"""What every route may answer."""


PROVIDER_APIS: Final[Mapping[str, str]] = MappingProxyType(
    {"openai": "responses", "openai_chat": "chat", "anthropic": "messages", "demo": "demo"}
)
"""What providers speak, by the kind of adapter."""


def shown(thread: Thread, settings: Settings) -> ThreadBody:
    """Return how a thread is shown."""
    provider = settings.provider(thread.provider_id) if thread.provider_id else None
    return ThreadBody.of(thread, PROVIDER_APIS[provider.kind] if provider is not None else None)


def reply(body: BaseModel, status: int = 200) -> Response:
    """Return a body as it is: serialised once, and validated when it was made."""
    return Response(body.model_dump_json(), status, media_type="application/json")
