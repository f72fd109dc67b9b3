"""The last line of the screen: what the next prompt is sent with, how it goes, which keys matter.

Everything on it has a rank; what matters least goes first where there is no room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

from cody_tui import keys
from cody_tui.signs import signs
from cody_tui.standing import Share, count
from cody_tui.text import one_line
from cody_tui.widgets.still import Still

if TYPE_CHECKING:
    from cody_core.schema.response import Usage

State: TypeAlias = Literal[
    "starting", "ready", "sending", "thinking", "answering", "asking", "stopping", "offline"
]

_WORDS: Final[dict[State, str]] = {
    "starting": "starting…",
    "ready": "ready",
    "sending": "sending…",
    "thinking": "thinking…",
    "answering": "answering",
    "asking": "waiting for you",
    "stopping": "stopping…",
    "offline": "not connected",
}
_SEND: Final = ("prompt.send", "send")
_COMMANDS: Final = ("app.palette", "commands")
_HELP: Final = ("help.show", "help")
_STOP: Final = ("chat.abort", "stop")
_QUIT: Final = ("app.quit", "quit")
_SIDEBAR: Final = (
    ("sidebar.open", "open"),
    ("sidebar.rename", "rename"),
    ("sidebar.delete", "delete"),
    ("sidebar.leave", "back"),
)
_RECALL: Final = (("line.submit", "take"), ("recall.leave", "back"))
FIRST: Final = (("prompt.send", "enter"), ("app.palette", "ctrl+p"), ("help.show", "f1"))
"""What the first frame names."""
_LIVE: Final = ("sending", "thinking", "answering")
_GAP: Final = 3
_MODEL_LENGTH: Final = 32
_TROUBLE_LENGTH: Final = 56
_ELSEWHERE_LENGTH: Final = 24


class _Part(NamedTuple):
    """Something on the line; the lowest rank goes first."""

    text: str
    rank: int
    style: str = ""
    is_key: bool = False


class Status(Still, Widget):
    """Shows how things stand on one line; drawn only when a word of it changes."""

    model: reactive[str] = reactive("")
    state: reactive[State] = reactive("starting")
    seconds: reactive[int] = reactive(0)
    usage: reactive[Usage | None] = reactive(None)
    policy: reactive[str] = reactive("ask")
    agent: reactive[str] = reactive("")
    share: reactive[Share | None] = reactive(None)
    unsaved: reactive[int] = reactive(0)
    """How many answers wait to be stored."""
    trouble: reactive[str] = reactive("")
    """What does not answer, so that there may be nothing to see for a while."""
    queued: reactive[int] = reactive(0)
    """How many prompts wait; it is told here where the prompt has no border to say it on."""
    elsewhere: reactive[str] = reactive("")
    """What waits for the user in another thread."""
    bound: reactive[tuple[tuple[str, str], ...]] = reactive(FIRST)
    """The keys of the actions that can be done now, by their ids."""

    def name_keys(self) -> None:
        """Name the keys that count from now on; before, it is the usual ones."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)
        self.screen.refresh_bindings()

    def _bindings_changed(self, screen: Screen[Any]) -> None:
        self.bound = tuple(keys.active(screen).items())

    def render(self) -> Content:
        """Put what there is room for on the line, the keys at its right end."""
        parts = [*self._facts(), *self._keys()]
        room = self.content_size.width
        while len(parts) > 1 and self._width(parts) > room:
            parts.remove(min(parts, key=lambda part: part.rank))
        facts = [part for part in parts if not part.is_key]
        hints = [part.text for part in parts if part.is_key]
        separator = Content(signs(self.app).separator)
        left = separator.join(Content.styled(part.text, part.style) for part in facts)
        right = "  ".join(hints)
        space = max(0, room - left.cell_length - Content(right).cell_length)
        return Content.assemble(left, " " * space, right)

    def _width(self, parts: Sequence[_Part]) -> int:
        facts = [Content(part.text).cell_length for part in parts if not part.is_key]
        hints = [Content(part.text).cell_length for part in parts if part.is_key]
        between = len(signs(self.app).separator) * max(0, len(facts) - 1)
        keys_width = sum(hints) + 2 * (len(hints) - 1) + _GAP if hints else 0
        return sum(facts) + between + keys_width

    def _facts(self) -> list[_Part]:
        sign = signs(self.app).warning if self.policy == "full-auto" else ""
        state = _WORDS[self.state]
        if self.state in _LIVE and self.seconds and signs(self.app).draws:
            state = f"{state} {self.seconds} s"
        facts = [
            _Part(one_line(self.model, _MODEL_LENGTH), 70),
            _Part(state, 90, "$warning" if self.state == "asking" else ""),
            _Part(f"{sign}{self.policy}", 100, "bold $warning" if sign else ""),
            _Part(one_line(f"@{self.agent}", 20) if self.agent else "", 40),
            _Part(one_line(self.trouble, _TROUBLE_LENGTH), 95, "$warning"),
            _Part(self._elsewhere(), 92, "$warning"),
            _Part(self._queued(), 60),
            _Part(_tokens(self.usage), 20),
            _Part(self.share.text if self.share is not None else "", 45),
            _Part("saving is pending" if self.unsaved else "", 75, "$warning"),
        ]
        return [fact for fact in facts if fact.text]

    def _queued(self) -> str:
        if not self.queued or signs(self.app).draws:
            return ""
        key = keys.key_for(self.app, "prompt.older", "up")
        return f"{self.queued} waiting, {key} edits"

    def _elsewhere(self) -> str:
        """Return what waits elsewhere, and the key that goes there."""
        if not self.elsewhere:
            return ""
        key = dict(self.bound).get("thread.waiting", "")
        spoken = not signs(self.app).draws
        hint = f" ({keys.short(key, spoken=spoken)})" if key else ""
        return f"{one_line(self.elsewhere, _ELSEWHERE_LENGTH)} waits{hint}"

    def _keys(self) -> list[_Part]:
        bound = dict(self.bound)
        hints = [hint for hint in self._wanted(bound) if hint[0] in bound]
        spoken = not signs(self.app).draws
        # The first key outlives most facts, the others go early.
        ranks = (80, 50, 35, 30)
        return [
            _Part(f"{keys.short(bound[action], spoken=spoken)} {word}", rank, is_key=True)
            for (action, word), rank in zip(hints, ranks, strict=False)
        ]

    def _wanted(self, bound: Mapping[str, str]) -> Sequence[tuple[str, str]]:
        for place in (_SIDEBAR, _RECALL):
            if place[-1][0] in bound:  # it has the focus
                return place
        match self.state:
            case "asking":  # the panel that asks names its own
                return (_COMMANDS, _HELP)
            case "sending" | "thinking" | "answering":
                return (_STOP, _COMMANDS, _HELP)
            case "stopping":
                return (_QUIT,)
            case "offline":
                return (_QUIT, _COMMANDS, _HELP)
            case "starting" | "ready":
                return (_SEND, _COMMANDS, _HELP)


def _tokens(usage: Usage | None) -> str:
    if usage is None:
        return ""
    return f"{count(usage.prompt_tokens)} in, {count(usage.completion_tokens)} out"
