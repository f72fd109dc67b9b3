"""Words that mean something in a prompt: ``@path`` is a file, ``/word`` at its start a command."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

_BEFORE: Final = r"(?:^|(?<=[\s(\[{<\"'`]))"
_MENTION: Final = re.compile(_BEFORE + r"@(?:\"([^\"\n]+)\"|([^\s\"@][^\s\"]*))", re.MULTILINE)
_UNFINISHED: Final = re.compile(_BEFORE + r"@(?:\"([^\"]*)|([^\s\"@]*))$")
_COMMAND: Final = re.compile(r"/(?!/)([^\s/]*)$")
_PUNCTUATION: Final = ".,;:!?)]}>'`"
_ATTACHED: Final = re.compile(r"\n\nAttached file: [^\n]+\n`{3,}")


class Word(NamedTuple):
    """A word that can be completed."""

    kind: Literal["file", "command"]
    start: int
    """The column it begins at, its mark included."""
    query: str
    """What has been typed of it, without the mark."""


def word_before(line: str, row: int) -> Word | None:
    """Return the word to complete at the end of a line's beginning, up to the cursor."""
    if row == 0 and (command := _COMMAND.fullmatch(line)):
        return Word("command", 0, command[1])
    if found := _UNFINISHED.search(line):
        return Word("file", found.start(), found[1] or found[2] or "")
    return None


def mention(path: str) -> str:
    """Return how a file is named in a prompt, quoted where the path alone would not be read so."""
    return f"@{path}" if mentions(f"@{path}") == [path] else f'@"{path}"'


def mentions(text: str) -> list[str]:
    """Return the paths that a prompt names, in order and each once."""
    found = (
        quoted or plain.rstrip(_PUNCTUATION)
        for quoted, plain in _MENTION.findall(without_attachments(text))
    )
    return list(dict.fromkeys(path for path in found if path))


def without_attachments(prompt: str) -> str:
    """Return a prompt as it was written, without the files that were sent with it."""
    found = _ATTACHED.search(prompt)
    return prompt[: found.start()] if found else prompt
