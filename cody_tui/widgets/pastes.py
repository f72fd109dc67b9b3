"""Long pastes, folded: a word stands in the text for what was pasted, and is spelled out when sent.

A text area is fast as long as its text is short. So the field holds ``[pasted 1: 120 lines,
98 kB]``, which can be moved, copied and deleted like any other word; one that was changed is just
text.
"""

from __future__ import annotations

import re
from typing import Final

LONG_PASTE: Final = 2_000
"""Characters of a paste that is folded."""
MANY_LINES: Final = 20
LONG_TEXT: Final = 20_000
"""Characters of a text that is folded when it comes back from where it was kept."""
MOST_UNFOLDED: Final = 100_000
"""Characters that a text area can show without hesitating."""
_MOST_KEPT: Final = 8
"""Pastes that are remembered while no text holds them: their text may come back."""
_TOKEN: Final = r"\[pasted \d+: \d+ lines?, [\d.]+ k?B\]"


class Pastes:
    """What was pasted, by the words that stand for it."""

    def __init__(self) -> None:
        self._contents: dict[str, str] = {}
        self._unfolded: set[str] = set()
        self._count = 0
        self._expanded = ("", "")

    def paste(self, text: str) -> str:
        """Return what a pasted text looks like in the field: itself, unless it is long."""
        is_long = len(text) > LONG_PASTE or text.count("\n") >= MANY_LINES
        return self._token(text) if is_long else text

    def fold(self, text: str) -> str:
        """Return a whole text as it looks in the field: what was pasted before is folded again."""
        folded = text
        for token, content in self._contents.items():
            if token not in self._unfolded and len(content) <= len(folded):
                folded = folded.replace(content, token)
        if len(folded) > LONG_TEXT:  # words in what a word stands for would not be spelled out
            folded = self._token(text)
        self._forget(folded)
        return folded

    def expand(self, text: str) -> str:
        """Return a text with everything pasted spelled out."""
        if not self._contents or "[pasted " not in text:
            return text
        if self._expanded[0] != text:  # a field asks for every row that it draws
            whole = re.sub(_TOKEN, self._content, text)
            self._expanded = (text, whole)
        return self._expanded[1]

    def unfold(self, token: str) -> str:
        """Return what a word stands for; it is not folded again, but an undo may bring it back."""
        self._unfolded.add(token)
        return self._contents[token]

    def size(self, token: str) -> int:
        """Return how many characters a word stands for."""
        return len(self._contents[token])

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Return where in a line words stand for something."""
        return [found.span() for found in re.finditer(_TOKEN, line) if found[0] in self._contents]

    def _content(self, token: re.Match[str]) -> str:
        return self._contents.get(token[0], token[0])

    def _token(self, text: str) -> str:
        self._count += 1
        lines = text.count("\n") + (not text.endswith("\n"))
        size = len(text.encode())
        amount = f"{size / 1000:.0f} kB" if size >= 1000 else f"{size} B"
        token = f"[pasted {self._count}: {lines} line{'s'[: lines != 1]}, {amount}]"
        self._contents[token] = text
        self._expanded = ("", "")
        return token

    def _forget(self, text: str) -> None:
        unused = [token for token in self._contents if token not in text]
        self._expanded = ("", "")
        for token in unused[:-_MOST_KEPT]:
            del self._contents[token]
            self._unfolded.discard(token)
