"""Blocks: what a transcript is made of, each a small object that can say its rows.

A block is told what to show and keeps the strips it made of it until that, the width or the palette
changes. Nothing here knows where on the screen it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from cody_tui.signs import PLAIN, Signs
from cody_tui.text import printable
from cody_tui.widgets.hits import Hit, hit_in, is_marked, marked
from cody_tui.widgets.lines import TAB, Line, fold, prefixed, to_strip, wrap
from cody_tui.widgets.mentions import without_attachments
from cody_tui.widgets.palette import Palette
from cody_tui.widgets.rows import JoinedRows, Look, TextRows

MAX_CONTENT: Final = 100
"""Cells of a line of text: longer ones are hard to read on a wide screen."""
MARGIN: Final = 2
PROMPT_LINES: Final = 30
PROMPT_CHARACTERS: Final = 6_000
"""A prompt may be a pasted file; its beginning says which."""
RETRY: Final = "↻ Retry"


def content_width(width: int) -> int:
    """Return how many cells of a line text may take, margins left out."""
    return max(8, min(MAX_CONTENT, width - 2 * MARGIN))


class Block(ABC):
    """Base of all blocks: keeps its strips as long as they hold."""

    gap = True
    """Whether an empty line separates it from the block above."""
    noun = ""
    """What it is called when it is copied; the item cursor passes by what has no name."""

    def __init__(self) -> None:
        self._key: tuple[int, Palette] | None = None
        self._strips: Sequence[Strip] = ()
        self._is_open = False

    @property
    def blocks(self) -> Sequence[Block]:
        """A block by itself is all there is."""
        return (self,)

    @property
    def source(self) -> str:
        """What copying it takes: the text it was made of."""
        return ""

    @property
    def foldable(self) -> bool:
        """Whether there is more of it to open, or to close again."""
        return False

    @property
    def is_rendered(self) -> bool:
        """Whether somebody has looked at it."""
        return bool(self._strips)

    def toggle(self) -> None:
        """Open it, or close it again."""
        self._is_open = not self._is_open
        self._changed()

    def hit(self, row: int, x: int) -> Hit | None:
        """Return what a click on one of its rows hits."""
        return hit_in(self._strips[row], x) if row < len(self._strips) else None

    def tick(self) -> bool:
        """Let time pass; tell whether that shows."""
        return False

    def strips(self, width: int, palette: Palette) -> Sequence[Strip]:
        """Return the block's lines as strips of that width."""
        key = self._key
        if key is None or key[0] != width or key[1] is not palette:
            self._strips = self._render(width, palette)
            self._key = (width, palette)
        return self._strips

    def _changed(self) -> None:
        self._key = None

    @abstractmethod
    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        """Return the block's lines, made anew."""


class FoldBlock(Block):
    """A block whose first line opens and closes what is beneath it."""

    def hit(self, row: int, x: int) -> Hit | None:
        """Return what is hit; all of the first line folds."""
        return Hit("fold") if row == 0 and self.foldable else super().hit(row, x)

    def _fold_sign(self, palette: Palette) -> str:
        if not self.foldable:
            return ""
        signs = palette.signs
        return f" {(signs.opened if self._is_open else signs.closed).rstrip(' :')}"


class PromptBlock(Block):
    """What the user asked, behind a bar; fainter while it waits for its turn."""

    def __init__(self, text: str, *, queued: bool = False) -> None:
        super().__init__()
        self._text = text
        self._queued = queued
        self._is_cut = len(text) > PROMPT_CHARACTERS
        self.noun = "" if queued else "prompt"

    @property
    def source(self) -> str:
        """The prompt as it was written."""
        return self._text

    @property
    def foldable(self) -> bool:
        """Whether its beginning is not all of it."""
        return self._is_cut and not self._queued

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        style = palette["queued" if self._queued else "prompt"]
        bar = (palette.signs.prompt, palette.over("faint" if self._queued else "bar", "prompt"))
        rest = bar if palette.signs.draws else ("  ", bar[1])
        ground = palette["prompt"]
        if self._is_open:
            look = Look(
                width,
                content_width(width),
                (rest,),
                ground,
                lambda _: style,
                margin=0,
                first=(bar,),
            )
            note = self._note(f"{palette.signs.less}show less", palette)
            less = to_strip([rest, note], width, ground, margin=0)
            return JoinedRows([TextRows(look, self._text.strip("\r\n")), [less]])
        written = without_attachments(self._text)
        shown = printable(written[:PROMPT_CHARACTERS].strip("\r\n")).expandtabs(TAB)
        lines = wrap([(shown, style)], content_width(width))
        is_long = len(written) > PROMPT_CHARACTERS or len(lines) > PROMPT_LINES
        self._is_cut = is_long or written != self._text
        if self._is_cut:
            files = "with what is attached, " if written != self._text else ""
            note = self._note(f"… {files}{len(self._text):,} characters", palette)
            lines = [*lines[:PROMPT_LINES], [note]]
        if self._queued:
            lines[-1] = [*lines[-1], ("  queued", palette.over("faint", "prompt"))]
        lines = prefixed(lines, bar, rest)
        return [to_strip(line, width, ground, margin=0) for line in lines]

    def _note(self, text: str, palette: Palette) -> tuple[str, Style]:
        style = palette.over("muted", "prompt")
        return text, style if self._queued else marked(style, "fold")


class MessageBlock(Block):
    """What the model wrote: Markdown, rendered as it comes."""

    noun = "answer"

    def __init__(self) -> None:
        from cody_tui.widgets.stream import MarkdownStream  # slow to import, not always needed

        super().__init__()
        self._text = ""
        self._stream = MarkdownStream()

    @property
    def source(self) -> str:
        """The Markdown."""
        return self._text

    def update(self, text: str, *, live: bool) -> None:
        """Show the text so far."""
        self._text = text
        self._stream.update(text, finished=not live)

    def strips(self, width: int, palette: Palette) -> Sequence[Strip]:
        """Return the message's lines; the stream keeps its own."""
        self._strips = self._render(width, palette)
        return self._strips

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        return self._stream.strips(width, content_width(width), palette)

    def hit(self, row: int, x: int) -> Hit | None:
        """Return what is hit; to copy a block of code is to know which of them it is."""
        hit = super().hit(row, x)
        if hit is None or hit.kind != "copy":
            return hit
        from cody_tui.widgets.markdown import code_blocks

        before = sum(is_marked(strip, "copy") for strip in self._strips[:row])
        codes = code_blocks(self._text)
        return Hit("copy", codes[before]) if before < len(codes) else None


class TextBlock(Block):
    """A line or two of our own: an error, a notice."""

    def __init__(self, noun: str = "note") -> None:
        super().__init__()
        self.noun = noun
        self._shown: tuple[str, str] = ("", "text")

    @property
    def source(self) -> str:
        """What it says."""
        return self._shown[0]

    def update(self, text: str, style: str) -> None:
        """Show a text in a style of the palette."""
        if (text, style) != self._shown:
            self._shown = (text, style)
            self._changed()

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        return made(self._lines(content_width(width), palette), width, palette)

    def _lines(self, width: int, palette: Palette) -> list[Line]:
        text, style = self._shown
        return wrap([(_said(printable(text), palette.signs), palette[style])], width)


class EndBlock(TextBlock):
    """How a run ended that did not end well, and the offer to try again."""

    def __init__(self, run_id: str) -> None:
        super().__init__("error")
        self._run_id = run_id
        self._is_last = True

    def supersede(self) -> None:
        """Offer nothing any more: the thread has gone on."""
        if self._is_last:
            self._is_last = False
            self._changed()

    def _lines(self, width: int, palette: Palette) -> list[Line]:
        lines = super()._lines(width, palette) if self._shown[0] else []
        if self._is_last:
            run = self._run_id
            also = ("  or /retry", marked(palette["faint"], "retry", run))
            offer = RETRY if palette.signs.draws else "Retry"
            lines.append([(offer, marked(palette["link"], "retry", run)), also])
        return lines


def _said(text: str, signs: Signs) -> str:
    """Return a text whose sign is a word where signs are."""
    if signs.draws:
        return text
    if text.startswith(PLAIN.failed):
        return signs.failed + text.removeprefix(PLAIN.failed)
    return text.removeprefix(PLAIN.stopped)


def made(lines: Sequence[Line], width: int, palette: Palette) -> list[Strip]:
    """Return lines as strips behind the margin."""
    ground = palette["text"]
    return [to_strip(line, width, ground, margin=MARGIN) for line in lines]


def text_look(width: int, palette: Palette, style: str, *, indent: str = "", bar: str = "") -> Look:
    """Return how a text of one style stands behind the margin, set in, perhaps behind a bar."""
    ground, look = palette["text"], palette[style]
    runs = ((indent, ground), (bar, palette["rule"])) if bar else ((indent, ground),)
    content = max(8, content_width(width) - len(indent) - len(bar))
    return Look(width, content, runs, ground, lambda _: look, margin=MARGIN)


def bar_of(palette: Palette) -> str:
    """Return the bar beside what belongs to the line above, where bars are drawn."""
    return "│ " if palette.signs.draws else "  "


def cropped(text: str, width: int) -> str:
    """Return as much of a text as fits, with an ellipsis if that is not all."""
    if cell_len(text) <= width:
        return text
    if width < 2:
        return "…"[: max(0, width)]
    first = fold([(text, Style.null())], max(2, width - 1))[0]
    return "".join(part for part, _ in first) + "…"


def first_lines(text: str, width: int, style: Style, *, indent: str, most: int) -> list[Line]:
    """Return the first lines of a text, cropped, and how many more there are."""
    text = text.rstrip("\r\n")
    lines = [_line(line, width, style, indent) for line in text.split("\n", most)[:most]]
    if (more := text.count("\n") + 1 - most) > 0:
        lines.append([(f"{indent}… {more:,} more line{'s' if more > 1 else ''}", style)])
    return lines


def last_lines(text: str, width: int, style: Style, *, indent: str, most: int) -> list[Line]:
    """Return the last lines of a text, cropped, below how many came before."""
    text = text.rstrip("\r\n")
    lines = [_line(line, width, style, indent) for line in text.rsplit("\n", most)[-most:]]
    if (more := text.count("\n") + 1 - most) > 0:
        lines.insert(0, [(f"{indent}… {more:,} line{'s' if more > 1 else ''} above", style)])
    return lines


def _line(line: str, width: int, style: Style, indent: str) -> Line:
    shown = printable(line[: width * 4].removesuffix("\r")).expandtabs(TAB)
    return [(indent, style), (cropped(shown, width - len(indent)), style)]
