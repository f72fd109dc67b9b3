"""The text in a file's bytes, in a way that can be put back byte by byte."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from cody_core.errors import ToolError

Encoding: TypeAlias = Literal["utf-8", "utf-8-sig", "latin-1"]


def is_binary(data: bytes | None) -> bool:
    """Tell whether bytes are no text that anybody could read in a diff."""
    return data is not None and b"\0" in data


@dataclass(frozen=True, slots=True)
class Text:
    """A text and how it is written down.

    Attributes:
        text: The text; if ``crlf`` holds, without the carriage returns.
        encoding: UTF-8, with or without its mark, or Latin-1, which every file can be read as.
        crlf: All lines of the file end in CR LF; where only some do, ``text`` has them as is.
    """

    text: str = ""
    encoding: Encoding = "utf-8"
    crlf: bool = False

    @classmethod
    def decode(cls, data: bytes, name: str) -> Self:
        """Read the bytes of a file; ``name`` is what messages call it.

        Raises:
            ToolError: it is a binary file.
        """
        if is_binary(data):
            msg = f"{name!r} is a binary file, which cannot be edited as text."
            raise ToolError(msg)
        encoding: Encoding = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            encoding, text = "latin-1", data.decode("latin-1")
        ends = text.count("\n")
        crlf = 0 < ends == text.count("\r\n") and "\r\r\n" not in text
        return cls(text.replace("\r\n", "\n") if crlf else text, encoding, crlf)

    def with_text(self, text: str) -> Self:
        """Return another text written down in the same way."""
        return type(self)(
            text.replace("\r\n", "\n") if self.crlf else text, self.encoding, self.crlf
        )

    def encode(self, name: str) -> bytes:
        """Return the bytes of the file.

        Raises:
            ToolError: the text has characters that the file's encoding does not have.
        """
        text = self.text.replace("\n", "\r\n") if self.crlf else self.text
        if "\0" in text:
            msg = f"The new text of {name!r} has a null character, which no text file has."
            raise ToolError(msg)
        try:
            return text.encode(self.encoding)
        except UnicodeEncodeError as error:
            missing = text[error.start : error.start + 1]
            msg = (
                f"{name!r} cannot hold the character {missing!r}: the file is not UTF-8, it is "
                "kept as Latin-1. Use other characters, or convert the file first."
            )
            raise ToolError(msg) from error
