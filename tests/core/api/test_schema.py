"""Requests made up from the document of the API: none of them makes the server fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cody_core.providers.scripted import Say, ScriptedProvider
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from support.server import served

if TYPE_CHECKING:
    from schemathesis import APIOperation, Case, GenerationMode

ENDLESS = "/api/v2/changes"
"""A stream that is there for everybody and ends with the server: it has its own tests."""
EXAMPLES = 4
"""Requests of each route, of those that fit the document and of those that do not."""


def try_out(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, url: str
) -> set[int]:
    """Send made-up requests and return how they were answered."""
    found: set[int] = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Case[Any]) -> None:
        answer = case.call(base_url=url, timeout=20)
        found.add(answer.status_code)
        assert answer.status_code < 500, (case.as_curl_command(), answer.content)
        if answer.status_code >= 400:
            error: Mapping[str, Any] = answer.json()["error"]
            assert set(error) <= {"code", "message", "details"}

    with suppress(Unsatisfiable):  # what takes nothing cannot be asked in a wrong way
        send()
    return found


@pytest.mark.filterwarnings("ignore::Warning")
async def test_nothing_that_fits_the_document_or_does_not_is_a_failure_of_the_server() -> None:
    import schemathesis  # a second of CPU, which no other worker has to spend
    from schemathesis.core.result import Ok

    async with served(ScriptedProvider(lambda request: [Say("Hello.")])) as server:
        await server.ask()
        async with httpx.AsyncClient() as http:
            document = (await http.get(f"{server.url}/openapi.json")).json()
        schema = schemathesis.openapi.from_dict(document)
        tried = {}
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            if operation.path == ENDLESS:
                continue
            for mode in schemathesis.GenerationMode:
                name = (operation.method.upper(), operation.path, mode.value)
                tried[name] = await asyncio.to_thread(try_out, operation, mode, server.url)
    routes = {name[:2] for name in tried}
    assert len(routes) == sum(len(methods) for methods in document["paths"].values()) - 1
    assert {status for found in tried.values() for status in found} >= {200, 201, 202, 400, 404}
