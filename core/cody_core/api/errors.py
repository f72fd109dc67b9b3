"""Failures as the API tells them: one shape, stable codes, and nothing of the inside.

The codes are those of the exception tree in capitals. What only says something to whoever runs the
server (a path, an address, a traceback) goes to its log, and the client is told in general terms.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from cody_core.errors import (
    AppendedBefore,
    ApprovalResolvedBefore,
    CodyError,
    EventLogUnavailable,
    InvalidRequest,
    NotFound,
    RunClosed,
    StoreUnavailable,
    ThreadExists,
    TooManyRuns,
    UnknownProvider,
)
from cody_core.settings import Settings

logger = logging.getLogger(__name__)

VALIDATION_ERROR: Final = "VALIDATION_ERROR"
INTERNAL_ERROR: Final = "INTERNAL_ERROR"
MOST_PROBLEMS: Final = 20
"""How many things wrong with a request are told at once."""


class ShuttingDown(CodyError):
    """The server takes no new runs, for it is about to end."""

    code = "shutting_down"


class _Told(NamedTuple):
    """How a kind of error is told; without a message, by its own."""

    status: int
    code: str | None = None
    message: str | None = None


_NOT_NOW = "the server's store cannot be reached at the moment: try again"
_NO_LOG = "the server's event log cannot be reached: REDIS_URL names it there; try again"
_INTERNAL = "the server failed; its log says why"

_KINDS: Final[Mapping[type[CodyError], _Told]] = MappingProxyType(
    {
        ApprovalResolvedBefore: _Told(409),
        InvalidRequest: _Told(400),
        NotFound: _Told(404),
        RunClosed: _Told(409),
        AppendedBefore: _Told(409),
        ThreadExists: _Told(409),
        TooManyRuns: _Told(429),
        ShuttingDown: _Told(503),
        EventLogUnavailable: _Told(503, "REDIS_UNAVAILABLE", _NO_LOG),
        StoreUnavailable: _Told(503, "STORE_UNAVAILABLE", _NOT_NOW),
        CodyError: _Told(500, None, _INTERNAL),
    }
)
"""The nearest kind in an error's ancestry counts."""

_HTTP_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "BODY_TOO_LARGE"}
)


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error in the one shape there is.

    It is plain ASCII, for a name in it may be anything that JSON can say and UTF-8 cannot.
    """
    error: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        error["details"] = dict(details)
    body = json.dumps({"error": error})
    return Response(body, status, headers=headers, media_type="application/json")


def install(app: FastAPI, settings: Settings) -> None:
    """Let the app answer all that goes wrong in that shape."""

    async def foreseen(request: Request, error: Exception) -> Response:
        assert isinstance(error, CodyError)
        return _foreseen(error, settings)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _invalid(error.errors())

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _http(error)

    async def unforeseen(request: Request, error: Exception) -> Response:
        return error_response(500, INTERNAL_ERROR, _INTERNAL)

    app.add_exception_handler(CodyError, foreseen)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unforeseen)


def _foreseen(error: CodyError, settings: Settings) -> Response:
    told = next(_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS)
    if told.message is not None:
        logger.error("%s: %s", error.code, error.message)
    details = None
    if isinstance(error, UnknownProvider):
        details = {"providers": list(settings.provider_names)}
    code = told.code or error.code.upper()
    return error_response(told.status, code, told.message or error.message, details=details)


def _invalid(errors: Sequence[Mapping[str, Any]]) -> Response:
    """Name the fields, and what is wrong with them; never what stood there."""
    problems = [_problem(error) for error in errors[:MOST_PROBLEMS]]
    field, message = problems[0]["field"], problems[0]["message"]
    text = f"{field}: {message}" if field else message
    details = {"field": field, "problems": problems}
    return error_response(400, VALIDATION_ERROR, text, details=details)


def _problem(error: Mapping[str, Any]) -> dict[str, str]:
    place, *inner = error["loc"]
    if error["type"] == "json_invalid":
        return {"field": "", "message": "the body is not valid JSON"}
    if not inner:
        inner = [] if place == "body" else [place]
    message = str(error["msg"]).removeprefix("Value error, ")
    return {"field": ".".join(map(str, inner)), "message": message}


def _http(error: HTTPException) -> Response:
    """Tell what the framework found: no route, a wrong method, a body that cannot be read."""
    code = _HTTP_CODES.get(error.status_code)
    if code is None and error.status_code == 400:
        code = VALIDATION_ERROR
    if code is None:
        return error_response(error.status_code, "HTTP_ERROR", "the request cannot be served")
    return error_response(error.status_code, code, str(error.detail), headers=error.headers)
