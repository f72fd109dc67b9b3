"""A connection to the server: uvicorn's own, with an outlet for streams and a limit for heads.

The parser below it takes lines and headers of any length, and no route, and so no check of a token,
is asked before it has all of them.
"""

from __future__ import annotations

import logging
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from cody_core.api.errors import error_response
from cody_core.api.outlet import NAME, Outlet

logger = logging.getLogger(__name__)

LARGEST_HEAD: Final = 32_768
"""Bytes of a request's line and headers."""


class Connection(HttpToolsProtocol):
    """A connection on which each request brings its outlet.

    A head that is too large is refused as soon as that is seen, and so is as much of anything else
    that is no body: what follows one, or blank lines. Nothing is read after that.
    """

    _came = 0
    """Bytes that have come since a request last began, ended, or had something of its body."""
    _is_refused = False

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        if self._is_refused:
            return
        self._came += len(data)
        super().data_received(data)
        if self._came > LARGEST_HEAD:
            self._refuse()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._came = 0
        outlet = Outlet(self.transport, self.flow)
        self.scope["extensions"] = {NAME: outlet}  # type: ignore[dict-item] # of no standard

    def on_headers_complete(self) -> None:
        """Begin to answer it, unless its head is too large."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > LARGEST_HEAD:
            self._refuse()
            raise _TooLarge
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, whose size others limit."""
        self._came = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take notice that all of a request has come."""
        self._came = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, once."""
        if not self._is_refused:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        """Answer that the head is too large, and close when that is read, or after a moment.

        In the midst of the answer to an earlier request there can be no other: the end says it.
        """
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        logger.warning(
            "a request is refused: it has more than %d bytes beside its body", LARGEST_HEAD
        )
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()
            return
        self.transport.write(_TOO_LARGE)
        # Closed while there is more to read, the client would be told of that, and lose the answer.
        self.transport.write_eof()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )


class _TooLarge(Exception):
    """Ends the parsing of a request."""


def _too_large() -> bytes:
    message = f"the line and headers of a request may have {LARGEST_HEAD} bytes"
    response = error_response(431, "HEAD_TOO_LARGE", message, headers={"connection": "close"})
    head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
    return STATUS_LINE[431] + head + b"\r\n" + bytes(response.body)


_TOO_LARGE: Final = _too_large()
