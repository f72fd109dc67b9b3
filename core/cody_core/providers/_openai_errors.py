"""Where an OpenAI-compatible API is, and how its failures read in our own tree of exceptions.

Both adapters that use the ``openai`` SDK share this module. Failures reach it in three shapes: the
SDK's exceptions, which stand for an HTTP answer or for none; raw ``httpx2`` exceptions, which the
SDK lets through once the body is being read; and error objects inside a stream. All three are
told apart by type, HTTP status and the API's own codes, never by their text, and no message
repeats a key, not even one that a server echoes.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import openai
from openai import AsyncOpenAI
from pydantic import SecretStr

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
from cody_core.providers._transport import quicken
from cody_core.settings import ProviderSettings

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 10.0
LONGEST_QUOTE = 1000
"""Characters of an API's own message that ours repeats."""

_KEYLESS = "no-key"
"""Sent to servers that want none: the SDK insists on a key."""

_BILLING = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "402"}
)
"""Codes that no waiting helps against, although some come with a status that says "later"."""

_BY_CODE: Mapping[str, type[ProviderError]] = {
    "invalid_api_key": ProviderAuthError,
    "authentication_error": ProviderAuthError,
    "permission_denied": ProviderAuthError,
    "rate_limit_exceeded": ProviderRateLimited,
    "rate_limit_error": ProviderRateLimited,
    "too_many_requests": ProviderRateLimited,
    "server_error": ProviderOverloaded,
    "internal_server_error": ProviderOverloaded,
    "internal_error": ProviderOverloaded,
    "api_error": ProviderOverloaded,
    "overloaded": ProviderOverloaded,
    "overloaded_error": ProviderOverloaded,
    "server_is_overloaded": ProviderOverloaded,
    "slow_down": ProviderOverloaded,
    "service_unavailable": ProviderOverloaded,
    "unavailable_error": ProviderOverloaded,
    "vector_store_timeout": ProviderOverloaded,
    "context_length_exceeded": ProviderContextTooLong,
    "exceed_context_size_error": ProviderContextTooLong,
    "timeout": ProviderTimeout,
    "request_timeout": ProviderTimeout,
}
_BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: ProviderAuthError,
    403: ProviderAuthError,
    408: ProviderTimeout,
    429: ProviderRateLimited,
}
_WORDING: Mapping[type[ProviderError], str] = {
    ProviderAuthError: "provider {name!r} did not accept the key: {said}. Check {key_setting}",
    ProviderRateLimited: "provider {name!r} limits the rate of requests: {said}",
    ProviderOverloaded: "provider {name!r} failed: {said}",
    ProviderContextTooLong: "the conversation is too long for the model of provider {name!r}:"
    " {said}. Start a new thread or lower CODY_CONTEXT_TOKENS",
    ProviderTimeout: "provider {name!r} gave up waiting: {said}",
    ProviderBadRequest: "provider {name!r} refused the request: {said}",
}
_NO_QUOTA = (
    "the account at provider {name!r} has no quota left: {said}. Check its plan and billing, or"
    " {key_setting}"
)


@dataclass(frozen=True)
class Endpoint:
    """An API: its name in the settings, its address, and the key it wants.

    Attributes:
        key_variable: The environment variable that holds the key; ``None`` if none was named.
        needs_key: Whether a request without a key is refused before it is sent.
        timeout: Seconds between two bytes of an answer.
    """

    name: str
    url: str
    timeout: float
    key_variable: str | None
    needs_key: bool
    key: str | None = field(repr=False, default=None)

    @classmethod
    def of(cls, settings: ProviderSettings, *, name: str, needs_key: bool) -> Endpoint:
        """Return the endpoint that the settings describe."""
        key: SecretStr | None = settings.api_key
        return cls(
            name=name,
            url=settings.base_url or OPENAI_URL,
            timeout=settings.timeout,
            key_variable=settings.api_key_env,
            needs_key=needs_key,
            key=(key.get_secret_value().strip() or None) if key else None,
        )

    @property
    def is_openai(self) -> bool:
        """Tell whether this is OpenAI itself, in any region, rather than a compatible server."""
        host = urlsplit(self.url).hostname or ""
        return host == "api.openai.com" or host.endswith(".api.openai.com")

    @property
    def is_openrouter(self) -> bool:
        """Tell whether this is OpenRouter, which translates what a model does not know."""
        return urlsplit(self.url).hostname == "openrouter.ai"

    @property
    def key_setting(self) -> str:
        """What to set for the key to be another."""
        return self.key_variable or f"'api_key' of [providers.{self.name}] in config.toml"

    def client(self) -> AsyncOpenAI:
        """Return a client that never retries; it takes some time to make.

        Raises:
            SettingsError: the address is not one.
        """
        timeout = httpx2.Timeout(self.timeout, connect=CONNECT_SECONDS)
        try:
            is_openai = self.is_openai
            client = AsyncOpenAI(
                api_key=self.key or _KEYLESS, base_url=self.url, timeout=timeout, max_retries=0
            )
        except (httpx2.InvalidURL, ValueError) as error:
            msg = f"base_url of provider {self.name!r} is not a URL: {error}"
            raise SettingsError(msg) from error
        if not is_openai:
            # The SDK takes these from the environment; they are nobody's business but OpenAI's.
            client.organization = client.project = None
        quicken(client._client)
        if self.name != "openai":
            client._custom_headers = {}  # OPENAI_CUSTOM_HEADERS, which may hold credentials
        return client

    def require_key(self) -> None:
        """Refuse to send a request that cannot be answered.

        Raises:
            ProviderAuthError: there is no key, or it cannot be put into a header.
        """
        if self.key is None and self.needs_key:
            msg = f"provider {self.name!r} needs a key: set {self.key_setting}"
            raise ProviderAuthError(msg)
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            msg = f"the key of provider {self.name!r} holds characters that no key has"
            raise ProviderAuthError(f"{msg}: check {self.key_setting}")

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Translate what the SDK and the HTTP client below it raise inside the block.

        Raises:
            ProviderError: one of its subclasses, from the foreign exception.
        """
        try:
            yield
        except openai.APIStatusError as error:
            raise self._of_status(error) from error
        except openai.APIConnectionError as error:
            raise self._of_transport(error.__cause__ or error, answering=False) from error
        except httpx2.HTTPError as error:
            raise self._of_transport(error, answering=True) from error
        except (httpx2.StreamError, openai.OpenAIError) as error:
            raise self.broken(str(error)) from error

    def error(
        self, body: object, *, status: int | None = None, retry_after: float | None = None
    ) -> ProviderError:
        """Return our error for the API's error object, as answered or as found in a stream.

        ``status`` is that of the answer, ``retry_after`` how many seconds it asks us to wait.
        """
        codes = _codes(body)
        if status is None:
            # OpenRouter puts the status that its upstream answered with in the place of a code.
            status = next((int(code) for code in codes if re.fullmatch("[45][0-9]{2}", code)), None)
        kind = _kind(codes, status)
        words = _WORDING[kind]
        if status == 402 or not _BILLING.isdisjoint(codes):
            kind, words = ProviderBadRequest, _NO_QUOTA
        said = self._quote(_message(body) or (codes[0] if codes else f"HTTP {status or 'error'}"))
        text = words.format(name=self.name, said=said, key_setting=self.key_setting)
        return kind(text, retry_after=retry_after)

    def broken(self, why: str) -> ProviderStreamBroken:
        """Return the error for an answer that ended, or made no sense, before it was complete."""
        return ProviderStreamBroken(
            f"the answer of provider {self.name!r} at {self._address} broke off:"
            f" {self._quote(why) or 'the connection was lost'}"
        )

    def not_this_api(self, what: str) -> ProviderBadRequest:
        """Return the error for an answer that no such API gives."""
        return ProviderBadRequest(
            f"provider {self.name!r} at {self._address} answered with {what}:"
            f" is base_url of [providers.{self.name}] right?"
        )

    def _of_status(self, error: openai.APIStatusError) -> ProviderError:
        return self.error(
            error.body, status=error.status_code, retry_after=retry_after(error.response.headers)
        )

    def _of_transport(self, error: BaseException, *, answering: bool) -> ProviderError:
        if isinstance(error, httpx2.TimeoutException) and not isinstance(
            error, httpx2.ConnectTimeout
        ):
            return ProviderTimeout(
                f"provider {self.name!r} at {self._address} sent nothing for {self.timeout:g} s;"
                f" the setting is 'timeout' of [providers.{self.name}]"
            )
        if answering:
            return self.broken(str(error))
        why = self._quote(str(error)) or type(error).__name__
        return ProviderConnectionError(
            f"provider {self.name!r} cannot be reached at {self._address}: {why}."
            " Check that it is up, the network, and base_url"
        )

    @property
    def _address(self) -> str:
        """The address without a password that may stand in it."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))

    def _quote(self, text: str) -> str:
        """Return foreign text as one line that is not too long and holds no key."""
        if self.key:
            text = text.replace(self.key, "[key]")
        text = " ".join(re.sub(r"\bsk-[\w*.-]{4,}", "[key]", text).split())
        return (text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…").rstrip(".")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks us to wait, from either header, seconds or a date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    """Read a number of things one can wait for: not negative, not infinite."""
    return float(text) if text and re.fullmatch(r"\s*\d{1,9}(\.\d*)?\s*", text) else None


def _kind(codes: list[str], status: int | None) -> type[ProviderError]:
    """Choose the class. Codes are more exact than the status; a stream's errors have only codes."""
    for code in codes:
        if code in _BY_CODE:
            return _BY_CODE[code]
    if status is not None and status < 500:
        return _BY_STATUS.get(status, ProviderBadRequest)
    # A code we do not know names something about the request; no code at all, a broken server.
    return ProviderOverloaded if status is not None or not codes else ProviderBadRequest


def _codes(body: object) -> list[str]:
    """Return what the API calls the error: its code, then its type."""
    if not isinstance(body, Mapping):
        return []
    values = (body.get("code"), body.get("type"))
    return [str(value) for value in values if value and value != "error"]


def _message(body: object) -> str:
    """Return the API's own words, and those of the API behind it where it is a router."""
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body
    if not isinstance(body, Mapping):
        return ""
    said: Any = body.get("message") or body.get("detail") or ""
    metadata = body.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    return f"{said}: {raw}" if raw else str(said)
