"""Server-sent events, both ways: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import codecs
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event: ``data`` joined by newlines, ``id`` as last seen in the stream."""

    data: str
    event: str = "message"
    id: str = ""


KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: readers skip it, proxies see traffic."""


def encode(data: bytes, *, event: str, id: str) -> bytes:  # noqa: A002 - the field's name
    """Return the frame of one event; ``data`` is JSON on one line, passed on untouched."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (id.encode(), event.encode(), data)


class Decoder:
    """Turns bytes, cut anywhere, into events. Incremental and without I/O.

    Only CR, LF and CRLF end a line: other characters that Unicode calls line breaks may stand in
    the data. An event the stream ends in the middle of is dropped, as the specification says.
    """

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest: list[str] = []
        self._skip_newline = False
        self._data: list[str] = []
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes and return the events that are complete by now."""
        text = self._utf8.decode(chunk)
        if self._skip_newline and text:
            self._skip_newline = False
            text = text.removeprefix("\n")
        if text.endswith("\r"):
            self._skip_newline = True
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "\n" not in text:
            self._rest.append(text)
            return []
        *lines, rest = text.split("\n")
        lines[0] = "".join(self._rest) + lines[0]
        self._rest = [rest] if rest else []
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
        elif field == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event = [], ""
        if not data:
            return None
        return ServerSentEvent("\n".join(data), event or "message", self._id)
