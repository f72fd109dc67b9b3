"""Calls of a ``cody serve``: where it is, one question and its answer, and what goes wrong.

Whatever fails below HTTP, and whatever answers that is no ``cody serve``, is ``ServerUnavailable``.
Errors of the server keep their class. The token is in the header of each request, and nowhere else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
from pydantic import BaseModel, ValidationError

from cody_core import __version__
from cody_core.certificates import certificates
from cody_core.errors import CodyError, InvalidRequest, NotFound, ServerUnavailable, SettingsError
from cody_core.schema.wire import ERRORS, ErrorBody

T = TypeVar("T", bound=BaseModel)

API = "/api/v2"
ANSWER = httpx.Timeout(60.0, connect=10.0)
"""Seconds: asking providers for their models takes some, a full disk may take more."""
IDLE_SECONDS = 2.0
"""How long an idle connection is used again: well below the 5 s after which servers close them."""
_CUT = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Server:
    """A ``cody serve``, from ``open_server``."""

    def __init__(self, http: httpx.AsyncClient, url: str, token: str | None) -> None:
        self.url = url
        self.trouble: str | None = None
        """Why a run that is followed does not go on, if so."""
        self._http = http
        self._token = token

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: BaseModel | None = None,
        again: bool = False,
    ) -> bytes:
        """Send a request and return the body of its answer.

        With ``again``, it may arrive twice: it is sent a second time when the connection is cut.

        Raises:
            ServerUnavailable: there is no server, or it is none of ours.
            CodyError: what the server says went wrong.
        """
        content = None if body is None else body.model_dump_json(exclude_unset=True)
        headers = {} if body is None else {"content-type": "application/json"}
        request = self._http.build_request(
            method, API + path, params=params, content=content, headers=headers, timeout=ANSWER
        )
        with self._translated():
            try:
                response = await self._http.send(request)
            except _CUT:
                if not again:
                    raise
                response = await self._http.send(request)
        if not response.is_success:
            raise self._error(response.status_code, response.content)
        return response.content

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str], silence: float
    ) -> AsyncIterator[httpx.Response]:
        """Open a stream of events; leaving closes its connection.

        ``silence`` is how many seconds may pass without a byte. What reading raises is translated
        here, too: the same errors as of ``ask``.
        """
        timeout = httpx.Timeout(silence, connect=ANSWER.connect)
        with self._translated():
            async with self._http.stream(
                "GET", API + path, headers={**headers}, timeout=timeout
            ) as response:
                if not response.is_success:
                    raise self._error(response.status_code, await response.aread())
                kind = response.headers.get("content-type", "")
                if response.status_code == httpx.codes.OK and "text/event-stream" not in kind:
                    raise self._no_cody(f"it sends {kind or 'nothing'!r}, no events")
                yield response

    def read(self, shape: type[T], content: bytes) -> T:
        """Return what an answer says.

        Raises:
            ServerUnavailable: it is no such answer.
        """
        try:
            return shape.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "its answer"
            raise self._no_cody(f"{where}: {first['msg']}") from error

    def unavailable(self, reason: str) -> ServerUnavailable:
        """Return the error that says why there is no answer."""
        msg = f"the server at {self.url} cannot be reached: {self._redacted(reason)}; "
        return ServerUnavailable(msg + "is 'cody serve' running there?")

    def _no_cody(self, reason: str) -> ServerUnavailable:
        msg = f"what answers at {self.url} is no 'cody serve' of this version: "
        return ServerUnavailable(msg + self._redacted(reason))

    def _redacted(self, text: str) -> str:
        return text.replace(self._token, "…") if self._token else text

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise self.unavailable("it does not answer in time") from error
        except httpx.RequestError as error:
            raise self.unavailable(str(error) or type(error).__name__) from error

    def _error(self, status: int, content: bytes) -> CodyError:
        """Return the error that an answer tells of: its class by its code, or by its status."""
        try:
            problem = ErrorBody.model_validate_json(content).error
        except ValidationError:
            problem = None
        if status == httpx.codes.UNAUTHORIZED:
            what = "refuses this token" if self._token else "wants a token"
            msg = f"the server at {self.url} {what}: set CODY_TOKEN, or give it with --token"
            return SettingsError(msg)
        if problem is None:
            return self._no_cody(f"it answers with status {status}")
        message = self._redacted(problem.message)
        if (known := ERRORS.get(problem.code)) is not None:
            return known(message)
        return self._of_status(status, message)

    def _of_status(self, status: int, message: str) -> CodyError:
        match status:
            case 403:
                return SettingsError(f"the server at {self.url} refuses this client: {message}")
            case 404:
                return NotFound(message)
            case 429 | 502 | 503 | 504:
                return ServerUnavailable(f"the server at {self.url} is busy or away: {message}")
            case _ if status >= 500:
                return CodyError(f"the server at {self.url} failed, see its log: {message}")
            case _:
                return InvalidRequest(message)


@asynccontextmanager
async def open_server(url: str, token: str | None) -> AsyncIterator[Server]:
    """Open connections to a server as they are needed, and close them.

    Raises:
        SettingsError: the address or the token is none, or the token would go over the net for
        everybody to read.
    """
    url = _checked_url(url, token)
    headers = {"user-agent": f"cody/{__version__}", "accept-encoding": "identity"}
    if token is not None:
        if not _TOKEN.fullmatch(token):
            msg = "the token is no word of plain ASCII characters: set CODY_TOKEN, or give --token"
            raise SettingsError(msg)
        headers["authorization"] = f"Bearer {token}"
    async with httpx.AsyncClient(
        base_url=url,
        headers=headers,
        limits=httpx.Limits(max_connections=None, keepalive_expiry=IDLE_SECONDS),
        verify=await certificates(url),
        trust_env=not _is_loopback(urlsplit(url).hostname or ""),  # a proxy is no way to ourselves
    ) as http:
        yield Server(http, url, token)


def _checked_url(url: str, token: str | None) -> str:
    """Return the address of a server without a slash at its end."""
    example = "give one such as http://127.0.0.1:4010 with --server or CODY_SERVER"
    shown = "the server's address" if "@" in url else f"the server's address {url!r}"
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise SettingsError(f"{shown} is no URL: {error}; {example}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(f"{shown} is no URL: {example}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        msg = f"{shown} has a user, a query or a fragment in it: {example}, the token with --token"
        raise SettingsError(msg)
    if token is not None and parts.scheme == "http" and not _is_loopback(host):
        msg = f"the token would go to {host!r} for everybody on the way to read: use https, or a "
        raise SettingsError(msg + "tunnel (ssh -L 4010:127.0.0.1:4010) and http://127.0.0.1:4010")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
