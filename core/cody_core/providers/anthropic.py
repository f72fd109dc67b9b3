"""The provider ``anthropic``: Claude through the Messages API.

The SDK brings authentication, connections and its error classes. The stream is read as bytes and
decoded here: at half the cost of the SDK's typed events, and an event that the SDK does not know is
no surprise. Nothing is retried: who asked does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anthropic
import httpx2

from cody_core.errors import (
    ProviderAuthError,
    ProviderBadRequest,
    ProviderConnectionError,
    ProviderContextTooLong,
    ProviderError,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderStreamBroken,
    ProviderTimeout,
    SettingsError,
)
from cody_core.providers import Provider
from cody_core.providers._json import loads
from cody_core.providers._transport import quicken
from cody_core.providers.anthropic_request import build_request
from cody_core.providers.anthropic_stream import Translator
from cody_core.schema.events import Payload
from cody_core.schema.requests import ModelRequest
from cody_core.settings import ProviderSettings
from cody_core.sse import Decoder

log = logging.getLogger(__name__)

DEFAULT_URL = "https://api.anthropic.com"
CONNECT_TIMEOUT = 10.0
DRAIN_TIMEOUT = 0.5
"""Seconds to wait for the end of a body that has nothing more to say, to keep its connection."""

_BY_TYPE: dict[str, type[ProviderError]] = {
    "authentication_error": ProviderAuthError,
    "permission_error": ProviderAuthError,
    "rate_limit_error": ProviderRateLimited,
    "overloaded_error": ProviderOverloaded,
    "api_error": ProviderOverloaded,
    "timeout_error": ProviderTimeout,
    "request_too_large": ProviderContextTooLong,
    "invalid_request_error": ProviderBadRequest,
    "not_found_error": ProviderBadRequest,
    "billing_error": ProviderBadRequest,
}
_BY_STATUS: dict[int, type[ProviderError]] = {
    401: ProviderAuthError,
    403: ProviderAuthError,
    408: ProviderTimeout,
    413: ProviderContextTooLong,
    429: ProviderRateLimited,
    504: ProviderTimeout,
}
_FOREIGN = (anthropic.APIError, httpx2.HTTPError, httpx2.StreamError)
"""What the SDK raises before the answer, and what its HTTP client does in the midst of it."""


def create(settings: ProviderSettings, *, name: str) -> Provider:
    """Return the provider of that name; its key is looked at when it is first asked."""
    return AnthropicProvider(settings, name=name)


class AnthropicProvider:
    """Speaks the Messages API to one address with one key."""

    def __init__(self, settings: ProviderSettings, *, name: str) -> None:
        self._name = name
        self._url = settings.base_url or DEFAULT_URL
        self._where = f"provider {name!r} at {_without_password(self._url, name)!r}"
        self._key_variable = settings.api_key_env
        self._timeout = settings.timeout
        self._key = settings.api_key.get_secret_value().strip() if settings.api_key else ""
        # A server of one's own may want no key; without any the SDK would look for one by itself.
        keyless = bool(settings.base_url) and not settings.api_key_env
        key = self._key or ("none" if keyless else "")
        self._client = self._connect(key) if key else None

    def _connect(self, key: str) -> anthropic.AsyncAnthropic:
        client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=self._url,
            timeout=anthropic.Timeout(self._timeout, connect=CONNECT_TIMEOUT),
            max_retries=0,
        )
        quicken(client._client)
        if self._name != "anthropic":
            # The SDK takes ANTHROPIC_CUSTOM_HEADERS from the environment: it may hold a key.
            client._custom_headers = {}
        return client

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Payload, None]:
        """Yield the answer as it comes; see ``Provider.stream``.

        Raises:
            ProviderError: one of its subclasses, before the first payload or between two.
        """
        client = self._ready()
        body: dict[str, Any] = build_request(request, provider_id=self._name)
        translator = Translator(request.response_id, provider_id=self._name)
        create_message = client.messages.with_streaming_response.create
        started = False
        try:
            async with (
                create_message(**body, stream=True) as response,
                contextlib.aclosing(response.iter_bytes()) as chunks,
            ):
                started = True
                decoder = Decoder()
                async for chunk in chunks:
                    for payload in self._payloads(decoder, translator, chunk):
                        yield payload
                    if translator.done:
                        break
                await _drain(chunks)
        except _FOREIGN as error:
            raise self._translated(error, started=started) from error
        if not translator.done:
            raise ProviderStreamBroken(f"{self._where} ended its answer before it was complete")

    async def models(self) -> Sequence[str]:
        """Return the ids of the models on offer, all pages of them.

        Raises:
            ProviderError: the provider could not be asked.
        """
        client = self._ready()
        try:
            return [model.id async for model in client.models.list(limit=1000)]
        except _FOREIGN as error:
            raise self._translated(error, started=False) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            msg = f"{self._where} answered with something else than models: is base_url right?"
            raise ProviderBadRequest(msg) from error

    async def aclose(self) -> None:
        """Close connections. Streams that are under way break."""
        if self._client is not None:
            await self._client.close()

    def _ready(self) -> anthropic.AsyncAnthropic:
        if self._client is None:
            raise ProviderAuthError(f"provider {self._name!r} has no key: set {self._key_setting}")
        if not (self._key.isascii() and self._key.isprintable()):
            # The HTTP client would refuse to send it, and say so with all of it.
            msg = f"the key of provider {self._name!r} holds characters that no key has"
            raise ProviderAuthError(f"{msg}: check {self._key_setting}")
        return self._client

    def _payloads(
        self, decoder: Decoder, translator: Translator, chunk: bytes
    ) -> Iterator[Payload]:
        for sent in decoder.feed(chunk):
            try:
                event = loads(sent.data)
                failed = event.get("type") == "error"
                payloads = [] if failed else translator.feed(event)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                msg = f"{self._where} sent an event that cannot be read: {error!r}"
                raise ProviderStreamBroken(msg) from error
            if failed:
                details = _details({"error": event.get("error")})
                raise self._refused(*details, status=None, retry_after=None)
            yield from payloads
            if translator.done:
                return

    @property
    def _key_setting(self) -> str:
        return self._key_variable or f"api_key_env in [providers.{self._name}]"

    def _translated(self, error: Exception, *, started: bool) -> ProviderError:
        """Put an exception of the SDK or of its HTTP client into the core's terms."""
        if isinstance(error, anthropic.APIStatusError):
            kind, message = _details(error.body)
            message = message or f"HTTP status {error.status_code}"
            retry_after = _retry_after(error.response.headers)
            return self._refused(kind, message, status=error.status_code, retry_after=retry_after)
        if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
            if isinstance(error.__cause__, httpx2.ConnectTimeout):
                msg = f"{self._where} could not be reached within {CONNECT_TIMEOUT:g} seconds"
            else:
                msg = f"{self._where} sent nothing for {self._timeout:g} seconds"
            return ProviderTimeout(msg)
        if started:
            return ProviderStreamBroken(f"{self._where} broke off its answer: {error!r}")
        cause = error.__cause__ or error
        return ProviderConnectionError(f"{self._where} cannot be reached: {cause}")

    def _refused(
        self, kind: str | None, message: str, *, status: int | None, retry_after: float | None
    ) -> ProviderError:
        """Return the error for what the API said, before the answer or in the midst of it."""
        what = _BY_TYPE.get(kind or "") or _BY_STATUS.get(status or 0)
        if what is None:
            server_failed = status is None or status >= 500
            what = ProviderOverloaded if server_failed else ProviderBadRequest
        if what is ProviderBadRequest and _says_too_long(message):
            what = ProviderContextTooLong
        said = message.replace(self._key, "***") if self._key else message
        text = f"{self._where}: {said}" + (f" ({kind})" if kind else "")
        if what is ProviderAuthError:
            text += f": check {self._key_setting}"
        return what(text, retry_after=retry_after)


def _without_password(url: str, name: str) -> str:
    """Return an address as messages may show it.

    Raises:
        SettingsError: it is not one.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        msg = f"base_url of provider {name!r} is not a URL: {error}"
        raise SettingsError(msg) from error
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read a body to its end: a connection with unread bytes could not be used again."""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(DRAIN_TIMEOUT):
            async for _ in chunks:
                log.debug("bytes after the end of the answer are ignored")


def _details(body: object) -> tuple[str | None, str]:
    """Return type and message of ``{"type": "error", "error": {"type", "message"}}``."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None, ""
    kind, message = error.get("type"), error.get("message")
    return (kind if isinstance(kind, str) else None), str(message or kind or "")


def _says_too_long(message: str) -> bool:
    """Tell whether a refusal is about the length of the conversation.

    The API has no type or code of its own for it, so that there is only the text to go by.
    """
    text = message.lower()
    return "prompt is too long" in text or "exceed context limit" in text


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds to wait: the header holds a number, or a date."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds)
