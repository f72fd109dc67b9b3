"""Reasoning: one dim line that counts the seconds, opening to what was thought."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from textual.strip import Strip

from cody_tui.messages import Span
from cody_tui.widgets.blocks import MARGIN, FoldBlock, content_width, made
from cody_tui.widgets.hits import marked
from cody_tui.widgets.lines import Line
from cody_tui.widgets.palette import Palette
from cody_tui.widgets.rows import JoinedRows
from cody_tui.widgets.stream import MarkdownStream

_INDENT: Final = 2


class ReasoningBlock(FoldBlock):
    """What the model thought before it said or did something."""

    noun = "reasoning"

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._span: Span | None = None
        self._is_live = False
        self._stream: MarkdownStream | None = None

    def update(self, text: str, span: Span | None, *, live: bool) -> None:
        """Show the text so far, when it was thought and whether it still is."""
        shows_more = self._is_open or not self._text.strip()
        if (text != self._text and shows_more) or (span, live) != (self._span, self._is_live):
            self._changed()
        self._text, self._span, self._is_live = text, span, live

    @property
    def source(self) -> str:
        """The text."""
        return self._text

    @property
    def foldable(self) -> bool:
        """Whether there is any text: some providers show none."""
        return bool(self._text.strip())

    def tick(self) -> bool:
        """Count the seconds."""
        is_counting = self._is_live and self._span is not None
        if is_counting:
            self._changed()
        return is_counting

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        fold = (self._fold_sign(palette), marked(palette["faint"], "fold"))
        line: Line = [(self._headline(palette), palette["faint"]), fold]
        head = made([line], width, palette)
        return JoinedRows([head, self._thoughts(width, palette)]) if self._is_open else head

    def _headline(self, palette: Palette) -> str:
        span = self._span
        if self._is_live:
            # Not read out: a number that changes would be, again and again.
            seconds = 0 if span is None or not palette.signs.draws else _seconds(span)
            return f"Thinking… {seconds} s" if seconds else "Thinking…"
        seconds = 0 if span is None else _seconds(span)
        return f"Thought for {seconds} s" if seconds else "Thought"

    def _thoughts(self, width: int, palette: Palette) -> Sequence[Strip]:
        if self._stream is None:
            self._stream = MarkdownStream(margin=MARGIN + _INDENT)
        self._stream.update(self._text.lstrip("\n"), finished=not self._is_live)
        content = max(8, content_width(width) - _INDENT)
        return self._stream.strips(width, content, palette.quiet)


def _seconds(span: Span) -> int:
    end = time.time() * 1000 if span.end is None else span.end
    return max(0, round((end - span.start) / 1000))
