"""What was sent, gone through with Up and Down; what was being written meanwhile is kept.

As long as a text from the history stands in the field, the draft from before waits here. A text
that is changed there is a draft of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class History:
    """Prompts, oldest first, and where among them somebody is."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._back = 0
        """How many prompts back the one in the field is; none is one's own text."""
        self._draft = self._shown = ""

    @property
    def newest_first(self) -> Sequence[str]:
        """All prompts."""
        return self._texts[::-1]

    def replace(self, texts: Iterable[str]) -> None:
        """Take over other prompts, oldest first; a draft that waits comes after them."""
        self._texts = list(texts)
        self.add(self.leave())

    def add(self, text: str) -> None:
        """Add a prompt, unless it is empty or the last one again."""
        if text.strip() and self._texts[-1:] != [text]:
            self._texts.append(text)

    def forget(self, text: str) -> None:
        """Take the last prompt out again if it is this one."""
        if self._texts[-1:] == [text]:
            self._texts.pop()

    def drafts(self, text: str) -> Sequence[str]:
        """Return what has not been sent, given the text in the field: that, and what waits."""
        if not self._back:
            return (text,)
        return (self._draft,) if text == self._shown else (self._draft, text)

    def leave(self) -> str:
        """Return the draft that waits, if any; the text in the field is one's own from now on."""
        draft = self._draft if self._back else ""
        self._back, self._draft = 0, ""
        return draft

    def go(self, steps: int, text: str) -> str | None:
        """Return the prompt so many steps back, or forth to the draft; ``None`` if there is none.

        Args:
            steps: How many; below zero forth.
            text: What stands in the field now.
        """
        if self._back and text != self._shown:
            self.add(self.leave())
        back = self._back + steps
        if not 0 <= back <= len(self._texts):
            return None
        if not self._back:
            self._draft = text
        self._back = back
        return self._texts[-back] if back else self._draft

    def shows(self, text: str) -> None:
        """Take note of how the field shows the prompt that it was given."""
        self._shown = text
