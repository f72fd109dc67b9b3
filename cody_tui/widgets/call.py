"""A call of a tool: one line that says what is done and how it stands, the rest on demand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

from rich.cells import cell_len
from textual.strip import Strip

from cody_tui.messages import Span
from cody_tui.signs import PLAIN, Signs
from cody_tui.text import one_line
from cody_tui.widgets import diff
from cody_tui.widgets.arguments import details_of, note_of, subject_of, values_of
from cody_tui.widgets.blocks import (
    MARGIN,
    FoldBlock,
    bar_of,
    content_width,
    cropped,
    first_lines,
    last_lines,
    made,
    text_look,
)
from cody_tui.widgets.hits import marked
from cody_tui.widgets.lines import Line
from cody_tui.widgets.palette import Palette
from cody_tui.widgets.rows import JoinedRows, Look, TextRows

LIVE_LINES: Final = 5
FAILED_LINES: Final = 3
LEAST_SECONDS: Final = 0.1
"""What took less is not worth a number."""

CallState: TypeAlias = Literal["running", "asking", "done", "failed", "ended"]
"""How a call stands; ``ended`` is one whose run ended before it had an output."""
_STYLES: Final[dict[CallState, str]] = {
    "running": "faint",
    "asking": "strong",
    "done": "success",
    "failed": "error",
    "ended": "faint",
}


@dataclass(frozen=True, slots=True)
class Made:
    """A call and what has come of it."""

    name: str
    arguments: str
    state: CallState = "running"
    output: str = ""
    span: Span | None = None
    """When it was made, if that is known."""
    preview: str | None = None
    """What it would do, while somebody is asked."""


class _Arguments:
    """The arguments of a call, read when somebody looks."""

    def __init__(self, name: str, text: str, signs: Signs) -> None:
        self.name, self.text, self.signs = name, text, signs

    @cached_property
    def values(self) -> dict[str, object] | None:
        return values_of(self.text)

    @cached_property
    def subject(self) -> str:
        return subject_of(self.name, self.text, self.values, self.signs)

    @cached_property
    def note(self) -> str:
        return note_of(self.name, self.values, self.signs)

    @cached_property
    def diff(self) -> str | None:
        return None if self.values is None else diff.edit_text(self.name, self.values)

    @cached_property
    def details(self) -> str:
        return details_of(self.name, self.text, self.values, self.signs)


class CallBlock(FoldBlock):
    """A call; one that a script makes is set in, to stand beneath it."""

    noun = "output"

    def __init__(self, *, inset: bool = False) -> None:
        super().__init__()
        self._inset = "  " if inset else ""
        self._made = Made("", "")
        self._arguments = _Arguments("", "", PLAIN)
        self._preview: str | None = None
        self._answered = 0
        """When somebody answered whether it may be made: the time before is not its own."""
        self._output: tuple[int, Palette, TextRows] | None = None

    def update(self, call: Made) -> None:
        """Show a call as it stands now."""
        before = self._made
        if call == before:
            return
        if (call.name, call.arguments) != (before.name, before.arguments):
            self._arguments = _Arguments(call.name, call.arguments, self._arguments.signs)
        if before.state == "asking" != call.state:
            self._answered = round(time.time() * 1000)
        self._preview = call.preview or self._preview
        self._made = call
        self._changed()

    @property
    def source(self) -> str:
        """Its output, or its arguments while there is none."""
        return self._made.output or self._made.arguments

    @property
    def foldable(self) -> bool:
        """Whether there is anything to open."""
        return bool(self._made.arguments.strip(" {}") or self._made.output)

    def tick(self) -> bool:
        """Let time pass for a call that is being made."""
        is_counting = self._made.state == "running" and self._made.span is not None
        if is_counting:
            self._changed()
        return is_counting

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        if self._arguments.signs is not palette.signs:
            self._arguments = _Arguments(self._made.name, self._made.arguments, palette.signs)
        head = made([self._head(content_width(width), palette)], width, palette)
        if not self._is_open:
            return [*head, *made(self._glance(content_width(width), palette), width, palette)]
        return JoinedRows([head, *self._body(width, palette)])

    def _head(self, width: int, palette: Palette) -> Line:
        call, arguments = self._made, self._arguments
        sign = sign_of(call.state, palette)
        name = one_line(call.name, 64) or "…"
        is_counted = call.state != "running" or palette.signs.draws
        after = [part for part in (arguments.note, self._took() if is_counted else "") if part]
        tail = "".join(f"  {part}" for part in after)
        fold = self._fold_sign(palette)
        room = width - cell_len(f"{self._inset}{sign}{name}  {tail}{fold}")
        subject = cropped(arguments.subject, max(room, 8))
        return [
            (f"{self._inset}{sign}", palette[_STYLES[call.state]]),
            (f"{name}  " if subject else name, palette["muted"]),
            (subject, palette["text"]),
            (tail, palette["faint"]),
            (fold, marked(palette["faint"], "fold")),
        ]

    def _took(self) -> str:
        return "" if self._made.state == "asking" else took(self._made.span, self._answered)

    def _glance(self, width: int, palette: Palette) -> list[Line]:
        """Return what is seen of the output while the call is closed."""
        call, indent, style = self._made, self._inset + "  ", palette["faint"]
        if not call.output.strip():
            return []
        if call.state == "failed":
            return first_lines(call.output, width, style, indent=indent, most=FAILED_LINES)
        if call.state == "running":
            return last_lines(call.output, width, style, indent=indent, most=LIVE_LINES)
        return []

    def _body(self, width: int, palette: Palette) -> list[Sequence[Strip]]:
        indent = self._inset + "  "
        edit = diff.read_out(self._preview or self._arguments.diff or "", palette.signs)
        parts: list[Sequence[Strip]] = []
        if edit:
            parts.append(TextRows(_diff_look(width, palette, indent), edit))
        elif self._arguments.details:
            look = text_look(width, palette, "muted", indent=indent)
            parts.append(TextRows(look, self._arguments.details))
        if self._made.output and self._made.name != "update_plan":
            parts.append(self._output_rows(width, palette, indent))
        elif self._made.state == "done" and not self._made.output:
            nothing: Line = [(f"{indent}no output", palette["faint"])]
            parts.append(made([nothing], width, palette))
        return parts

    def _output_rows(self, width: int, palette: Palette, indent: str) -> TextRows:
        """Return the rows of the output: the ones of before, grown, if they still hold."""
        kept = self._output
        if kept is None or kept[0] != width or kept[1] is not palette:
            look = text_look(width, palette, "faint", indent=indent, bar=bar_of(palette))
            kept = self._output = (width, palette, TextRows(look))
        kept[2].update(self._made.output)
        return kept[2]


def duration(seconds: float) -> str:
    """Return a time as people say it: ``1.2 s``, ``45 s``, ``2 min 5 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def took(span: Span | None, since: int = 0) -> str:
    """Return how long something took, or has taken so far; nothing if that is next to nothing."""
    if span is None:
        return ""
    end = time.time() * 1000 if span.end is None else span.end
    seconds = (end - max(span.start, since)) / 1000
    least = LEAST_SECONDS if span.end is not None else 1.0
    return duration(seconds) if seconds >= least else ""


def sign_of(state: CallState, palette: Palette) -> str:
    """Return what says without colour how a call stands."""
    signs = palette.signs
    match state:
        case "running":
            return signs.running
        case "asking":
            return signs.waiting
        case "done":
            return signs.done
        case "failed":
            return signs.failed
        case "ended":
            return signs.stopped


def head_line(state: CallState, name: str, note: str, fold: str, palette: Palette) -> Line:
    """Return the first line of something that is run: its state, what it is, what it took."""
    return [
        (sign_of(state, palette), palette[_STYLES[state]]),
        (name, palette["muted"]),
        (f"  {note}" if note else "", palette["faint"]),
        (fold, marked(palette["faint"], "fold")),
    ]


def _diff_look(width: int, palette: Palette, indent: str) -> Look:
    content = max(8, content_width(width) - len(indent))
    runs = ((indent, palette["text"]),)
    return Look(
        width, content, runs, palette["text"], lambda line: palette[diff.style_of(line)], MARGIN
    )
