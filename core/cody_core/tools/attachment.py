"""Files that somebody attaches to a prompt: text of the workspace, and not too much of it."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from cody_core.errors import InvalidRequest, NotFound, ToolError
from cody_core.schema.files import Attachment
from cody_core.tools.reading import Stop, in_thread, is_binary, label, open_regular
from cody_core.tools.workspace import is_inside, resolve

MOST_ATTACHED: Final = 200_000
"""Bytes of one file."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


async def attachment(path: str, workspace: Path, guarded: Iterable[Path] = ()) -> Attachment:
    """Return the text of a file in the workspace; all symbolic links are followed first.

    What is in one of the ``guarded`` directories counts as outside.

    Raises:
        NotFound: there is no such file.
        InvalidRequest: it lies outside the workspace, or is not text.
    """
    try:
        found = resolve(path, workspace)
        if not is_inside(found, workspace, guarded):
            is_private = found.is_relative_to(resolve(".", workspace))
            why = "is private" if is_private else "lies outside the workspace"
            msg = f"{path!r} {why} and is not attached"
            raise InvalidRequest(msg)
        return await in_thread(partial(_read, found, label(found, workspace)))
    except ToolError as error:
        raise InvalidRequest(str(error)) from error


def _read(path: Path, name: str, stop: Stop) -> Attachment:
    try:
        if path.is_dir():
            msg = f"{name} is a directory and is not attached: name the files in it"
            raise InvalidRequest(msg)
        descriptor = open_regular(path, name)
        with os.fdopen(descriptor, "rb") as file:
            if is_binary(descriptor):
                msg = f"{name} is not text and is not attached"
                raise InvalidRequest(msg)
            size = os.fstat(descriptor).st_size
            data = file.read(MOST_ATTACHED + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = f"there is no file {name} in the workspace"
        raise NotFound(msg) from error
    except OSError as error:
        msg = f"{name} cannot be read and is not attached: {error.strerror}"
        raise InvalidRequest(msg) from error
    is_cut = len(data) > MOST_ATTACHED
    content = _decode(data[:MOST_ATTACHED], is_cut)
    return Attachment(path=name, content=content, size=max(size, len(data)), is_cut=is_cut)


def _decode(data: bytes, is_cut: bool) -> str:
    """Return the text of bytes whose last character may be cut; Latin-1 is what nothing else is."""
    mark, encoding = next((found for found in _MARKS if data.startswith(found[0])), (b"", "utf-8"))
    decoder = codecs.getincrementaldecoder(encoding)("strict" if encoding == "utf-8" else "replace")
    try:
        return decoder.decode(data.removeprefix(mark), final=not is_cut)
    except UnicodeDecodeError:
        return data.decode("latin-1")
