"""Blocks: what a transcript is made of, each a small object that can say its lines.

A block is told what to show and keeps the strips it made of it until that, the width or the palette
changes. Nothing here knows where on the screen it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from cody_tui.text import one_line, printable
from cody_tui.widgets.lines import TAB, Line, fold, to_strip, wrap
from cody_tui.widgets.palette import Palette

MAX_CONTENT: Final = 100
"""Cells of a line of text: longer ones are hard to read on a wide screen."""
MARGIN: Final = 2
OUTPUT_LINES: Final = 6
SCRIPT_LINES: Final = 20
PROMPT_LINES: Final = 30
PROMPT_CHARACTERS: Final = 6_000
"""A prompt may be a pasted file; its beginning says which."""
CALL: Final = "⚙ "

CallState: TypeAlias = Literal["running", "done", "failed", "ended"]
"""How a call stands; ``ended`` is one whose run ended before it had an output."""
_STATES: Final[dict[CallState, tuple[str, str]]] = {
    "running": (" …", "faint"),
    "done": (" ✓", "success"),
    "failed": (" ✗", "error"),
    "ended": ("", "faint"),
}


def content_width(width: int) -> int:
    """Return how many cells of a line text may take, margins left out."""
    return max(8, min(MAX_CONTENT, width - 2 * MARGIN))


class Block:
    """Base of all blocks: keeps its strips as long as they hold."""

    gap = True
    """Whether an empty line separates it from the block above."""

    def __init__(self) -> None:
        self._key: tuple[int, Palette] | None = None
        self._strips: Sequence[Strip] = ()

    @property
    def blocks(self) -> Sequence[Block]:
        """A block by itself is all there is."""
        return (self,)

    def strips(self, width: int, palette: Palette) -> Sequence[Strip]:
        """Return the block's lines as strips of that width."""
        key = self._key
        if key is None or key[0] != width or key[1] is not palette:
            self._strips = self._render(width, palette)
            self._key = (width, palette)
        return self._strips

    def _changed(self) -> None:
        self._key = None

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        ground = palette["text"]
        lines = self._lines(content_width(width), palette)
        return [to_strip(line, width, ground, margin=MARGIN) for line in lines]

    def _lines(self, width: int, palette: Palette) -> list[Line]:
        raise NotImplementedError


class PromptBlock(Block):
    """What the user asked, behind a bar; fainter while it waits for its turn."""

    def __init__(self, text: str, *, queued: bool = False) -> None:
        super().__init__()
        self._text = text
        self._queued = queued

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        style = palette["queued" if self._queued else "prompt"]
        bar = ("▌ ", palette.over("faint" if self._queued else "bar", "prompt"))
        ground = palette["prompt"]
        shown = printable(self._text[:PROMPT_CHARACTERS].strip("\r\n")).expandtabs(TAB)
        lines = wrap([(shown, style)], content_width(width))
        cut = len(self._text) > PROMPT_CHARACTERS or len(lines) > PROMPT_LINES
        if cut:
            note = f"… {len(self._text):,} characters"
            lines = [*lines[:PROMPT_LINES], [(note, palette.over("muted", "prompt"))]]
        if self._queued:
            lines[-1] = [*lines[-1], ("  queued", palette.over("faint", "prompt"))]
        return [to_strip([bar, *line], width, ground, margin=0) for line in lines]


class MessageBlock(Block):
    """What the model wrote: Markdown, rendered as it comes."""

    def __init__(self) -> None:
        from cody_tui.widgets.stream import MarkdownStream  # slow to import, not always needed

        super().__init__()
        self._stream = MarkdownStream()

    def update(self, text: str, *, live: bool) -> None:
        """Show the text so far."""
        self._stream.update(text, finished=not live)

    def strips(self, width: int, palette: Palette) -> Sequence[Strip]:
        """Return the message's lines; the stream keeps its own."""
        return self._stream.strips(width, content_width(width), palette)


class TextBlock(Block):
    """A line or two of our own: an error, a notice, what the model is up to."""

    def __init__(self, *, gap: bool = True) -> None:
        super().__init__()
        self.gap = gap
        self._shown: tuple[str, str] = ("", "text")

    def update(self, text: str, style: str) -> None:
        """Show a text in a style of the palette."""
        if (text, style) != self._shown:
            self._shown = (text, style)
            self._changed()

    def _lines(self, width: int, palette: Palette) -> list[Line]:
        text, style = self._shown
        return wrap([(printable(text), palette[style])], width)


class CallBlock(Block):
    """A call and what came of it: one line, then the first lines of the output.

    The call of a script is set in, to stand beneath it.
    """

    def __init__(self, *, inset: bool = False) -> None:
        super().__init__()
        self._inset = "  " if inset else ""
        self._shown: tuple[str, str, CallState] = ("", "", "running")

    def update(self, call: str, output: str, state: CallState) -> None:
        """Show a call, what has come of it and how it stands."""
        if (call, output, state) != self._shown:
            self._shown = (call, output, state)
            self._changed()

    def _lines(self, width: int, palette: Palette) -> list[Line]:
        call, output, state = self._shown
        lines = [_head(self._inset + CALL + call, state, width, palette)]
        if output.strip():
            lines.extend(_first_lines(output, width, palette["faint"], indent=self._inset + "  "))
        return lines


class ScriptBlock(Block):
    """A script: its code. What it logs and returns is another block, behind its calls."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, CallState] = ("", "running")

    def update(self, code: str, state: CallState) -> None:
        """Show a script as far as it is written, and how it stands."""
        if (code, state) != self._shown:
            self._shown = (code, state)
            self._changed()

    def _lines(self, width: int, palette: Palette) -> list[Line]:
        code, state = self._shown
        lines = [_head(f"{CALL}script", state, width, palette)]
        if code.strip():
            style = palette["muted"]
            lines += _first_lines(code, width, style, indent="  │ ", most=SCRIPT_LINES)
        return lines


class OutcomeBlock(Block):
    """What a script logged, and its result or its error."""

    gap = False

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, str, bool] = ("", "", True)

    def update(self, logs: str, outcome: str, *, success: bool) -> None:
        """Show the logs so far, and what came of the script once that is known."""
        if (logs, outcome, success) != self._shown:
            self._shown = (logs, outcome, success)
            self._changed()

    def _lines(self, width: int, palette: Palette) -> list[Line]:
        logs, outcome, success = self._shown
        lines: list[Line] = []
        if logs.strip():
            lines += _first_lines(logs, width, palette["faint"], indent="  ")
        if outcome.strip():
            style = palette["muted" if success else "error"]
            first, *rest = _first_lines(outcome, width, style, indent="    ")
            lines += [[("  → " if success else "  ✗ ", style), *first[1:]], *rest]
        return lines


def _head(text: str, state: CallState, width: int, palette: Palette) -> Line:
    mark, style = _STATES[state]
    return [(_cropped(text, width - cell_len(mark)), palette["muted"]), (mark, palette[style])]


def _first_lines(
    text: str, width: int, style: Style, *, indent: str, most: int = OUTPUT_LINES
) -> list[Line]:
    text = text.rstrip("\r\n")
    count = text.count("\n") + 1
    lines: list[Line] = []
    for line in text.split("\n", most)[:most]:
        shown = printable(line[: width * 4].removesuffix("\r")).expandtabs(TAB)
        lines.append([(indent, style), (_cropped(shown, width - len(indent)), style)])
    if count > most:
        more = count - most
        lines.append([(f"{indent}… {more:,} more line{'s' if more > 1 else ''}", style)])
    return lines


def _cropped(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    first = fold([(text, Style.null())], max(2, width - 1))[0]
    return "".join(part for part, _ in first) + "…"


def call_text(name: str, arguments: str) -> str:
    """Return a call on one line, as ``name(key=value, …)`` where its arguments are an object."""
    try:
        values = json.loads(arguments) if len(arguments) < 20_000 else None
    except ValueError:
        values = None
    if isinstance(values, dict):
        parts = [f"{key}={_value(value)}" for key, value in values.items()]
        arguments = ", ".join(parts)
    return f"{one_line(name, 64)}({one_line(arguments, 400)})"


def _value(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(one_line(value, 80), ensure_ascii=False)
    return one_line(json.dumps(value, ensure_ascii=False), 80)
