"""The way from a stream to its socket, past all that stands between an app and its server.

What an app sends goes through a dozen coroutines, which is for each event and each listener more
than to write it. An answer that has begun, and whose end is not known, needs none of them.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl

NAME: Final = "cody.outlet"
"""The extension that a request's outlet is."""


class Outlet:
    """Writes parts of the body of an answer whose head has been sent, and whose end is still to be.

    Attributes:
        size: How many bytes of the body went this way.
    """

    __slots__ = ("_flow", "_transport", "size")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow
        self.size = 0

    @property
    def is_free(self) -> bool:
        """Whether something can be written without being kept in memory for a slow client."""
        return not (self._flow.write_paused or self._transport.is_closing())

    def write(self, data: bytes) -> None:
        """Write a part, which is not empty."""
        self.size += len(data)
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))


def outlet_of(scope: Scope) -> Outlet | None:
    """Return the outlet of a request, if its answer is sent in parts that say their length."""
    if scope.get("http_version") != "1.1" or scope.get("method") != "GET":
        return None
    found: Outlet | None = (scope.get("extensions") or {}).get(NAME)
    return found
