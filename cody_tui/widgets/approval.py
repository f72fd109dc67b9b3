"""The panel that asks: what a run wants to do, all of it, and the keys that answer.

It comes while somebody may be writing, and a letter that was meant for the prompt must not be
consent. So it leaves the focus where something is written; where it has it, keys count only after
a moment without any in which it could be seen, and what comes before that is handed to the prompt,
with all that follows. It shows one question at a time, and goes when that is not among the open
ones any more, whoever answered it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from cody_tui import keys
from cody_tui.keys import listed
from cody_tui.signs import Signs, in_words, signs
from cody_tui.text import one_line, unmistakable
from cody_tui.widgets import diff
from cody_tui.widgets.one_line import OneLine

if TYPE_CHECKING:
    from cody_core.schema.events import ApprovalRequested, Decision

GUARD: Final = 0.3
"""Seconds without a key that must have passed before a key is an answer."""
MOST_SHOWN: Final = 100_000
"""Characters of a preview that are shown; nobody reads more, and wrapping them takes time."""
SUMMARY_LENGTH: Final = 400
SHORT: Final = 50
"""Characters of a summary that fit beside everything else on its line."""

_ANSWERS: Final = (
    ("approval.approve", "approve"),
    ("approval.session", "session"),
    ("approval.always", "always"),
    ("approval.deny", "deny"),
    ("approval.reason", "deny with a reason"),
    ("chat.abort", "stop"),
)
"""What the keys do, by the ids of their actions."""
_STYLES: Final = {
    "inserted": "$success",
    "deleted": "$error",
    "comment": "$foreground 65%",
    "strong": "bold",
    "muted": "",
}
"""The styles of a diff's lines, by their names."""


class _Preview(VerticalScroll, can_focus=False, inherit_bindings=False):
    """Scrolls by the panel's keys and the wheel; the focus stays with the panel."""


class Approval(Vertical, can_focus=True):
    """Shows the oldest open question and posts the answer."""

    DEFAULT_CSS = """
    Approval {
        display: none;
        & .approval--line { height: 1; }
        & .approval--question { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        & .approval--covers { color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        & .approval--kind { width: auto; padding: 0 0 0 2; color: $text-muted; }
        & _Preview { height: auto; scrollbar-size-vertical: 1; }
        & OneLine { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        listed("y", "answer('approve')", "approval.approve", "Allow this call"),
        listed(
            "s", "answer('approve_for_session')", "approval.session",
            "Allow such calls until Cody ends",
        ),
        listed(
            "a", "answer('approve_always')", "approval.always", "Allow such calls for good"
        ),
        listed("n", "answer('deny')", "approval.deny", "Do not allow this call"),
        listed("d", "write_reason", "approval.reason", "Do not allow this call, and say why"),
        listed("escape", "back", "approval.back", "Go back without a reason"),
        listed("up", "scroll(-1)", "approval.up", "Scroll the preview up"),
        listed("down", "scroll(1)", "approval.down", "Scroll the preview down"),
        listed("b", "scroll_page(-1)", "approval.page_up", "Scroll the preview up by a page"),
        listed(
            "space", "scroll_page(1)", "approval.page_down", "Scroll the preview down by a page"
        ),
        listed("tab,shift+tab", "app.focus_next", "approval.leave", "Go back to the prompt"),
    ]  # fmt: skip

    class Typed(Message):
        """The user has typed or pasted something that was not meant for the panel."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Answered(Message):
        """The user has decided."""

        def __init__(self, approval_id: str, decision: Decision, reason: str | None) -> None:
            self.approval_id = approval_id
            self.decision = decision
            self.reason = reason
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self.guard = GUARD
        self._quiet_since = 0.0
        self._is_handing_on = False
        self._shown: ApprovalRequested | None = None
        self._is_answered = False
        self._rung: set[str] = set()
        self._question = Static(classes="approval--question")
        self._kind = Static(classes="approval--kind")
        self._text = Static()
        self._preview = _Preview(self._text)
        self._covers = Static(classes="approval--line approval--covers")
        self._keys = Static(classes="approval--line")
        self._reason = OneLine()

    def compose(self) -> ComposeResult:
        """Put the question above what it is about, and below what answers cover, and the keys."""
        yield Horizontal(self._question, self._kind, classes="approval--line")
        yield self._preview
        yield self._covers
        yield self._keys
        yield self._reason

    @property
    def is_guarded(self) -> bool:
        """Whether a key may still be meant for something else."""
        return self._is_handing_on or time.monotonic() - self._quiet_since < self.guard

    @property
    def is_writing(self) -> bool:
        """Whether a reason is being written."""
        return self._reason.display and self._shown is not None

    def show(self, questions: Sequence[ApprovalRequested], *, takes_focus: bool = True) -> None:
        """Show the oldest of the open questions, or go if there are none."""
        self._ring(questions)
        if not questions:
            self._shown, self.display = None, False
            return
        first = questions[0]
        total = len(questions)
        place = f"{signs(self.app).separator}1 of {total}" if total > 1 else ""
        self._kind.update(Content(f"{first.kind}{place}"))
        if self._shown is None or self._shown.approval_id != first.approval_id:
            self._show(first, takes_focus)

    def seen(self) -> None:
        """Take no key for an answer that was pressed before anybody can have looked."""
        self._quiet_since = time.monotonic()

    def fit(self, rows: int) -> None:
        """Keep the preview within a third of a screen of so many rows."""
        # In rows: a container whose height is automatic ignores a share of the screen in there.
        self._preview.styles.max_height = max(1, rows // 3)

    def _ring(self, questions: Sequence[ApprovalRequested]) -> None:
        for question in questions:
            if question.approval_id not in self._rung:
                self._rung.add(question.approval_id)
                self.app.bell()

    def _show(self, question: ApprovalRequested, takes_focus: bool) -> None:
        self._shown, self._is_answered = question, False
        self.seen()
        said, tool = signs(self.app), one_line(unmistakable(question.tool), 64)
        summary = in_words(one_line(unmistakable(question.summary), SUMMARY_LENGTH), said)
        self._question.update(Content.assemble((tool, "bold"), f" wants to: {summary}"))
        preview = question.preview or (question.summary if len(summary) > SHORT else "")
        self._text.update(_content(preview, said))
        self._preview.display = bool(preview)
        self._preview.scroll_home(animate=False)
        covers = in_words(one_line(unmistakable(question.covers or ""), SUMMARY_LENGTH), said)
        self._covers.update(Content(f"session and always allow: {covers}"))
        self._covers.display = bool(covers)
        self._ask_for_reason(False)
        self.display = True
        if takes_focus:
            self.focus()
        elif not self.has_focus:
            self.on_blur()

    def _ask_for_reason(self, asked: bool) -> None:
        send = keys.key_for(self.app, "line.submit", "enter")
        back = keys.key_for(self.app, "approval.back", "escape")
        self._reason.placeholder = f"Why not? {send} sends, {back} goes back"
        self._reason.value = ""
        self._reason.display, self._keys.display = asked, not asked

    def _post(self, decision: Decision, reason: str | None = None) -> None:
        if self._shown is not None and not self._is_answered:
            self._is_answered = True
            self.post_message(self.Answered(self._shown.approval_id, decision, reason))

    # What the user does

    def on_key(self, event: events.Key) -> None:
        """Hand on what comes too early, or is no answer; Esc is safe at any time."""
        typed = event.character if event.is_printable else None
        is_writing = typed and self.screen.active_bindings.keys().isdisjoint(event.aliases)
        if is_writing or (self.is_guarded and event.key != "escape"):
            self.seen()
            event.stop()
            event.prevent_default()
            if typed:
                self._hand_on(typed)

    def on_paste(self, event: events.Paste) -> None:
        """Hand on what is pasted, which is never an answer."""
        event.stop()
        self._hand_on(event.text)

    def _hand_on(self, text: str) -> None:
        # Whatever follows is more of it, also after a pause, until somebody comes here on purpose.
        self._is_handing_on = True
        self.post_message(self.Typed(text))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Esc to the screen, which stops the run, unless a reason is being written."""
        if action == "back":
            return self.is_writing
        return action not in ("answer", "write_reason") or not self.is_writing

    def action_answer(self, decision: Decision) -> None:
        """Answer the question that is shown."""
        # A key that another widget let pass arrives here without having been seen above.
        if not self.is_guarded:
            self._post(decision)

    def action_write_reason(self) -> None:
        """Let the user say why not."""
        if not self.is_guarded:
            self._ask_for_reason(True)
            self._reason.focus()

    def action_back(self) -> None:
        """Ask again without a reason."""
        self._ask_for_reason(False)
        self.focus()

    @on(Input.Submitted)
    def _send_reason(self, event: Input.Submitted) -> None:
        event.stop()
        self._post("deny", event.value.strip() or None)

    def action_scroll(self, rows: int) -> None:
        """Scroll the preview by rows."""
        self._preview.scroll_relative(y=rows, animate=False)

    def action_scroll_page(self, pages: int) -> None:
        """Scroll the preview by what is seen of it."""
        rows = max(1, self._preview.size.height - 1)
        self._preview.scroll_relative(y=pages * rows, animate=False)

    def on_focus(self) -> None:
        """Say which keys answer, now that they do."""
        self.seen()
        self._is_handing_on = False
        spoken, bound = not signs(self.app).draws, keys.active(self.screen)
        answers = (
            Content.assemble((keys.short(bound[action], spoken=spoken), "bold"), f" {word}")
            for action, word in _ANSWERS
            if action in bound
        )
        self._keys.update(Content("  ").join(answers))

    def on_blur(self) -> None:
        """Say how to get here, now that the keys go elsewhere."""
        spoken = not signs(self.app).draws
        key = keys.short(keys.changed(self.app).get("approval.go", "tab"), spoken=spoken)
        self._keys.update(Content(f"Click here, or {key} from the prompt, to answer"))


def _content(preview: str, signs: Signs) -> Content:
    """Return a preview as content, coloured by its signs where it is a unified diff."""
    text = unmistakable(preview[:MOST_SHOWN]).strip("\n")
    if (left := len(preview) - MOST_SHOWN) > 0:
        text += f"\n… {left} more characters are not shown"
    if not _is_diff(text):
        return Content(text)
    text = diff.read_out(text, signs)
    styled = (Content.styled(line, _STYLES[diff.style_of(line)]) for line in text.split("\n"))
    return Content("\n").join(styled)


def _is_diff(text: str) -> bool:
    lines = text.split("\n")
    return any(line.startswith("@@ ") for line in lines) and any(
        line.startswith("+++ ") for line in lines
    )
