"""What is logged of a request that nobody foresaw would fail."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from cody_core.api import errors
from cody_core.api.access import AccessLog
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from support.server import settings_of


def failing() -> FastAPI:
    """Return an app that fails before it answers, or in the midst of that."""
    app = FastAPI()
    errors.install(app, settings_of())
    app.add_middleware(AccessLog)

    @app.get("/before")
    async def before() -> None:
        raise ValueError

    @app.get("/amid")
    async def amid() -> StreamingResponse:
        return StreamingResponse(body())

    return app


async def body() -> AsyncIterator[bytes]:
    yield b"so far"
    raise ValueError


@pytest.mark.parametrize(("path", "status"), [("/before", 500), ("/amid", 200)])
async def test_the_status_is_the_one_that_was_answered(
    path: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cody_core.api.access")
    transport = httpx.ASGITransport(failing(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        assert (await http.get(path)).status_code == status
    (logged,) = [vars(record)["fields"] for record in caplog.records if record.msg == "request"]
    assert (logged["path"], logged["status"]) == (path, status)
