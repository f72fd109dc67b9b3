"""How each kind of error is told, without a word of the inside."""

from __future__ import annotations

import httpx
import pytest
from cody_core import errors
from cody_core.api import errors as api_errors
from fastapi import FastAPI
from support.server import settings_of

INSIDE = "/home/somebody/cody.db at redis://:password@inside"
OPEN = "what there is to say"

TOLD = [
    (errors.InvalidRequest(OPEN), 400, "INVALID_REQUEST"),
    (errors.UnknownAgent(OPEN), 400, "UNKNOWN_AGENT"),
    (errors.UnknownProvider(OPEN), 400, "UNKNOWN_PROVIDER"),
    (errors.InvalidModel(OPEN), 400, "INVALID_MODEL"),
    (errors.NotFound(OPEN), 404, "NOT_FOUND"),
    (errors.ThreadNotFound(OPEN), 404, "THREAD_NOT_FOUND"),
    (errors.RunNotFound(OPEN), 404, "RUN_NOT_FOUND"),
    (errors.ApprovalResolvedBefore(OPEN), 409, "APPROVAL_RESOLVED"),
    (errors.RunClosed(OPEN), 409, "RUN_CLOSED"),
    (errors.AppendedBefore(OPEN), 409, "APPENDED_BEFORE"),
    (errors.ThreadExists(OPEN), 409, "THREAD_EXISTS"),
    (errors.TooManyRuns(OPEN), 429, "TOO_MANY_RUNS"),
    (api_errors.ShuttingDown(OPEN), 503, "SHUTTING_DOWN"),
]
HIDDEN = [
    (errors.EventLogUnavailable(INSIDE), 503, "REDIS_UNAVAILABLE"),
    (errors.StoreUnavailable(INSIDE), 503, "STORE_UNAVAILABLE"),
    (errors.StoreCorrupt(INSIDE), 500, "STORE_CORRUPT"),
    (errors.SettingsError(INSIDE), 500, "SETTINGS_ERROR"),
    (errors.ProviderAuthError(INSIDE), 500, "PROVIDER_AUTH"),
    (errors.ToolError(INSIDE), 500, "TOOL_ERROR"),
    (ValueError(INSIDE), 500, "INTERNAL_ERROR"),
]


async def answer_to(error: Exception) -> httpx.Response:
    """Let a route fail, and return how that is told."""
    app = FastAPI()
    api_errors.install(app, settings_of())

    @app.get("/")
    async def fail() -> None:
        raise error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.get("/")


@pytest.mark.parametrize(("error", "status", "code"), TOLD, ids=[told[2] for told in TOLD])
async def test_what_the_caller_can_mend_is_said(error: Exception, status: int, code: str) -> None:
    answer = await answer_to(error)
    told = answer.json()["error"]
    assert (answer.status_code, told["code"], told["message"]) == (status, code, OPEN)


@pytest.mark.parametrize(("error", "status", "code"), HIDDEN, ids=[told[2] for told in HIDDEN])
async def test_what_only_the_server_can_mend_is_not(
    error: Exception, status: int, code: str
) -> None:
    answer = await answer_to(error)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "somebody" not in answer.text
    assert "password" not in answer.text
