"""What the server says of requests: each is a line of its log."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cody_core.api.outlet import outlet_of

logger = logging.getLogger(__name__)


class AccessLog:
    """Logs each request when it is over: what, how it went, how long and how much.

    Only the path is logged: somebody may put a secret into a query by mistake.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, size = time.monotonic(), 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            status = status or 500  # which is answered further out
            raise
        finally:
            if (outlet := outlet_of(scope)) is not None:
                size += outlet.size
            fields = {
                "client": scope["client"][0] if scope.get("client") else None,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "bytes": size,
                "ms": round((time.monotonic() - began) * 1000, 1),
            }
            logger.info("request", extra={"fields": fields})
