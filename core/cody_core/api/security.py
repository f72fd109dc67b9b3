"""Who may come in, as pure ASGI middleware in the order of ``install``.

A page in a browser is the usual attacker of a server on loopback: it may send requests to any
address, and by DNS rebinding even read the answers under a name of its own. So the name in ``Host``
must be one of ours, an ``Origin`` must be that same name or a configured one, and what an HTML form
can send without asking first is refused. A token, where there is one, is asked for on top.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cody_core.api.errors import error_response
from cody_core.settings import Settings

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS: Final = frozenset({"/health", "/docs", "/openapi.json"})
"""What is answered without a token: it says nothing that is not public."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CORS_HEADERS: Final = ("Authorization", "Content-Type", "Last-Event-ID")


def is_loopback(host: str) -> bool:
    """Tell whether an address, or ``localhost``, can only be reached from this machine."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def token_of(settings: Settings) -> str | None:
    """Return the secret that clients show, if one is asked for."""
    return settings.token.get_secret_value() or None if settings.token is not None else None


def install(app: FastAPI, settings: Settings) -> None:
    """Put the guards in front of the app. The one added last is met first."""
    server = settings.serve
    app.add_middleware(BodyGuard, limit=server.max_body)
    if token := token_of(settings):
        app.add_middleware(TokenGuard, token=token)
    if server.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=server.allowed_origins,
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=CORS_HEADERS,
        )
    app.add_middleware(OriginGuard, allowed=server.allowed_origins)
    app.add_middleware(
        HostGuard,
        allowed={*LOOPBACK_NAMES, settings.host.lower(), *server.allowed_hosts},
        addresses=not is_loopback(settings.host),
    )


class HostGuard:
    """Refuses names that are not ours.

    With ``addresses`` any address will do: only a name can be made to mean another machine.
    """

    def __init__(self, app: ASGIApp, *, allowed: Collection[str], addresses: bool) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed)
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or let it pass."""
        if scope["type"] == "http" and not self._is_ours(Headers(scope=scope).get("host", "")):
            msg = "this Host is not one of the server's: see allowed_hosts below [serve]"
            await error_response(403, "FORBIDDEN_HOST", msg)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        name = _host_name(host)
        if name is None:
            return False
        return name in self._allowed or (self._addresses and _address(name) is not None)


class OriginGuard:
    """Refuses what a page of somebody else may send, and what a plain form may."""

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 or 415, or let it pass."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if not self._is_trusted(headers):
                msg = "this Origin may not use the server: see allowed_origins below [serve]"
                await error_response(403, "FORBIDDEN_ORIGIN", msg)(scope, receive, send)
                return
            if scope["method"] not in SAFE_METHODS and not _is_json(headers):
                msg = "the body must be sent as Content-Type: application/json"
                await error_response(415, "UNSUPPORTED_MEDIA_TYPE", msg)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_trusted(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            # Browsers that leave Origin out of a GET still say where it comes from.
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        if origin in self._allowed:
            return True
        scheme, _, place = origin.partition("://")
        return scheme in ("http", "https") and place.lower() == headers.get("host", "").lower()


class TokenGuard:
    """Asks for the bearer token, in the header and nowhere else."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or let it pass."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and not self._shown(scope):
            msg = "a token is asked for: send Authorization: Bearer, with what CODY_TOKEN is there"
            headers = {"www-authenticate": "Bearer"}
            response = error_response(401, "UNAUTHORIZED", msg, headers=headers)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _shown(self, scope: Scope) -> bool:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(shown) != 1:
            return False
        scheme, _, token = shown[0].partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


class BodyGuard:
    """Refuses bodies of more than ``limit`` bytes, said to be so long, or found to be."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 at once, or while the body is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if said.isdecimal() and int(said) > self._limit:
            response = error_response(413, "BODY_TOO_LARGE", self._message)
            await response(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._limit:
                raise HTTPException(413, self._message)
            return message

        await self._app(scope, counted, send)

    @property
    def _message(self) -> str:
        return f"the body has more than {self._limit:,} bytes"


def _is_json(headers: Headers) -> bool:
    """Tell whether there is JSON, or nothing at all: a form always says that it is one."""
    kind = headers.get("content-type")
    if kind is None:
        return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    return kind.partition(";")[0].strip().lower() == "application/json"


def _host_name(host: str) -> str | None:
    """Return the name in a ``Host``, without port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
