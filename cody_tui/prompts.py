"""Every prompt that was sent, in one file for all threads: what Ctrl+R searches.

A line a prompt. Several programs may append at the same time, and each cuts the file when it has
become too long, so both are done under a lock.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MOST_PROMPTS: Final = 1_000
LONGEST: Final = 10_000
"""Characters of a prompt that is kept; a longer one is in its thread."""
_LOCK_SECONDS: Final = 2.0


class Prompts:
    """The file. All of this blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, text: str) -> None:
        """Add a prompt, unless it is very long.

        Raises:
            OSError: it cannot be written.
        """
        import json

        from filelock import FileLock

        if not text.strip() or len(text) > LONGEST:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps({"text": text}) + "\n"
        with FileLock(self._path.with_suffix(".lock"), timeout=_LOCK_SECONDS, mode=0o600):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            with open(os.open(self._path, flags, 0o600), "a", encoding="utf-8") as file:
                file.write(line)
            lines = self._lines()
            if len(lines) > MOST_PROMPTS * 1.2:
                self._replace(lines[-MOST_PROMPTS:])

    def load(self) -> list[str]:
        """Return the prompts, newest first and each once; lines that are none are passed over."""
        try:
            lines = self._lines()
        except OSError:
            return []
        return list(dict.fromkeys(filter(None, map(_text, reversed(lines)))))[:MOST_PROMPTS]

    def _lines(self) -> list[str]:
        # Lines end with a newline only: what else breaks one may stand in a prompt.
        return self._path.read_text("utf-8", "replace").split("\n")[:-1]

    def _replace(self, lines: Iterable[str]) -> None:
        descriptor, name = tempfile.mkstemp(prefix=".prompts-", dir=self._path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.writelines(f"{line}\n" for line in lines)
            os.replace(name, self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _text(line: str) -> str | None:
    import json  # none of this stands before the first paint

    try:
        text = json.loads(line)["text"]
    except (ValueError, TypeError, KeyError):
        return None
    return text if isinstance(text, str) else None
