"""Words that mean something in a prompt: ``@path`` is a file, ``/word`` at its start a command."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

_BEFORE: Final = r"(?:^|(?<=[\s(\[{<\"'`]))"
_MENTION: Final = _BEFORE + r"@(?:\"([^\"\n]+)\"|([^\s\"@][^\s\"]*))"
_UNFINISHED: Final = _BEFORE + r"@(?:\"([^\"]*)|([^\s\"@]*))$"
_COMMAND: Final = r"/(?!/)([^\s/]*)$"
_PUNCTUATION: Final = ".,;:!?)]}>'`"
_ATTACHED: Final = r"\n\nAttached file: [^\n]+\n`{3,}"


class Word(NamedTuple):
    """A word that can be completed."""

    kind: Literal["file", "command"]
    start: int
    """The column it begins at, its mark included."""
    query: str
    """What has been typed of it, without the mark."""


def word_before(line: str, row: int) -> Word | None:
    """Return the word to complete at the end of a line's beginning, up to the cursor."""
    if row == 0 and (command := re.fullmatch(_COMMAND, line)):
        return Word("command", 0, command[1])
    if found := re.search(_UNFINISHED, line):
        return Word("file", found.start(), found[1] or found[2] or "")
    return None


def mention(path: str) -> str:
    """Return how a file is named in a prompt, quoted where the path alone would not be read so."""
    return f"@{path}" if mentions(f"@{path}") == [path] else f'@"{path}"'


def mentions(text: str) -> list[str]:
    """Return the paths that a prompt names, in order and each once."""
    found = (
        quoted or plain.rstrip(_PUNCTUATION)
        for quoted, plain in re.findall(_MENTION, without_attachments(text), re.MULTILINE)
    )
    return list(dict.fromkeys(path for path in found if path))


def without_attachments(prompt: str) -> str:
    """Return a prompt as it was written, without the files that were sent with it."""
    found = re.search(_ATTACHED, prompt)
    return prompt[: found.start()] if found else prompt
