"""The I/O of one streamed answer, the same for both OpenAI adapters.

Bytes are read raw and decoded here: the SDK's parsed streaming costs five times as much per event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Protocol

import httpx2
import orjson
from openai import AsyncOpenAI

from cody_core.providers._json import loads
from cody_core.providers._openai_errors import Endpoint
from cody_core.schema.events import Payload, ResponseDone
from cody_core.sse import Decoder, ServerSentEvent

DRAIN_SECONDS = 0.1
"""How long the end of the body may take after its last event before the connection is given up."""


class Translator(Protocol):
    """Turns the API's events into payloads; pure and incremental."""

    def feed(self, event: dict[str, Any]) -> list[Payload]:
        """Return the payloads that one event makes.

        Raises:
            ProviderError: the event says that the answer failed.
            AttributeError, KeyError, TypeError, ValueError: it is not of its documented shape.
        """
        ...

    def end(self, *, marked: bool) -> list[Payload]:
        """Return what is left at the end of the stream, which ``[DONE]`` may have marked.

        Raises:
            ProviderStreamBroken: the answer is not complete.
        """
        ...


async def stream_payloads(
    endpoint: Endpoint,
    client: AsyncOpenAI,
    path: str,
    body: Mapping[str, Any],
    translator: Translator,
) -> AsyncGenerator[Payload]:
    """Ask, and yield what the answer says, up to its ``response_done``.

    Args:
        endpoint: Who is asked.
        client: The connections to it.
        path: What of it is asked, below its address.
        body: The request, which is sent as it is and asks for a stream.
        translator: What becomes of the answer.

    Raises:
        ProviderError: one of its subclasses; see ``Provider.stream``.
    """
    endpoint.require_key()
    decoder = Decoder()
    with endpoint.translating():
        async with (
            _answer(client, path, body) as response,
            aclosing(await _chunks(endpoint, response)) as chunks,
        ):
            async for chunk in chunks:
                for payload in _payloads(endpoint, translator, decoder.feed(chunk)):
                    if not isinstance(payload, ResponseDone):
                        yield payload
                        continue
                    await _drain(chunks)
                    yield payload
                    return
            for payload in translator.end(marked=False):
                yield payload


@asynccontextmanager
async def _answer(
    client: AsyncOpenAI, path: str, body: Mapping[str, Any]
) -> AsyncIterator[httpx2.Response]:
    """Ask with the SDK's authentication and errors, and give what is read of the body to us.

    The SDK's method for the path would do the same, but brings the shapes of all that it could
    answer (4 MB), and matches each argument with their types: 0.7 ms an item, with the event loop
    standing still.
    """
    content = orjson.dumps(body)
    response = await client.post(path, cast_to=httpx2.Response, content=content, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


async def _chunks(endpoint: Endpoint, response: httpx2.Response) -> AsyncGenerator[bytes]:
    """Return the body of an answer that is a stream, or at least does not say otherwise."""
    kind = response.headers.get("content-type", "")
    if "html" in kind:
        raise endpoint.not_this_api("a web page")
    if "json" in kind:
        body = _parse(endpoint, await response.aread())
        if error := body.get("error"):
            raise endpoint.error(error)
        raise endpoint.not_this_api("JSON instead of a stream")
    return response.aiter_bytes()


def _payloads(
    endpoint: Endpoint, translator: Translator, events: Iterable[ServerSentEvent]
) -> Iterator[Payload]:
    for event in events:
        if event.data == "[DONE]":
            yield from translator.end(marked=True)
            continue
        value = _parse(endpoint, event.data)
        try:
            payloads = translator.feed(value)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            why = f"it holds an event that cannot be read ({type(error).__name__})"
            raise endpoint.broken(why) from error
        yield from payloads


def _parse(endpoint: Endpoint, text: str | bytes) -> dict[str, Any]:
    try:
        value = loads(text)
    except ValueError as error:
        raise endpoint.broken(f"it holds an event that is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise endpoint.broken("it holds an event that is not a JSON object")
    return value


async def _drain(chunks: AsyncGenerator[bytes]) -> None:
    """Read the body to its end, so that the connection can be used for the next request."""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in chunks:
                pass


async def model_ids(endpoint: Endpoint, client: AsyncOpenAI) -> list[str]:
    """Ask for the models that the endpoint offers.

    Raises:
        ProviderError: one of its subclasses; see ``Provider.models``.
    """
    endpoint.require_key()
    with endpoint.translating():
        response = await client.models.with_raw_response.list()
    try:
        # Ollama without models says null instead of an empty list.
        return [str(model["id"]) for model in orjson.loads(response.content)["data"] or ()]
    except (ValueError, KeyError, TypeError) as error:
        raise endpoint.not_this_api("something else than a list of models") from error
