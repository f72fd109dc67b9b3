"""The last line of the screen: which model, what it is doing, what it took, which keys matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from cody_tui.text import one_line

if TYPE_CHECKING:
    from cody_core.schema.response import Usage

State: TypeAlias = Literal[
    "starting", "ready", "thinking", "answering", "asking", "stopping", "offline"
]

_WORDS: Final[dict[State, str]] = {
    "starting": "starting…",
    "ready": "ready",
    "thinking": "thinking…",
    "answering": "answering",
    "asking": "waiting for you",
    "stopping": "stopping…",
    "offline": "not connected",
}
_KEYS: Final[dict[bool, str]] = {
    True: "Esc stop  ^Q quit",
    False: "Enter send  ^N new  ^Q quit",
}


class Status(Widget):
    """Shows how things stand on one line; drawn only when a word of it changes."""

    model: reactive[str] = reactive("")
    state: reactive[State] = reactive("starting")
    seconds: reactive[int] = reactive(0)
    usage: reactive[Usage | None] = reactive(None)

    def render(self) -> Content:
        """Put what there is room for on the line: the keys go first, then the tokens."""
        live = self.state in ("thinking", "answering", "asking", "stopping")
        state = _WORDS[self.state]
        if self.state in ("thinking", "answering") and self.seconds:
            state = f"{state} {self.seconds} s"
        left = [one_line(self.model, 40), state, _tokens(self.usage)]
        text = " · ".join(part for part in left if part)
        keys = _KEYS[live]
        space = self.content_size.width - len(text) - len(keys)
        line = f"{text}{' ' * space}{keys}" if space >= 3 else text
        return Content(line)


def _tokens(usage: Usage | None) -> str:
    if usage is None:
        return ""
    return f"{_count(usage.prompt_tokens)} in, {_count(usage.completion_tokens)} out"


def _count(tokens: int) -> str:
    return f"{tokens / 1000:.1f}k" if tokens >= 1000 else str(tokens)
