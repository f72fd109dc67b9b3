"""A script: its code, and behind the calls it makes what it logged and returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.strip import Strip

from cody_tui.messages import Span
from cody_tui.widgets.blocks import (
    Block,
    FoldBlock,
    bar_of,
    content_width,
    first_lines,
    made,
    text_look,
)
from cody_tui.widgets.call import CallState, head_line, took
from cody_tui.widgets.hits import Hit
from cody_tui.widgets.palette import Palette
from cody_tui.widgets.rows import JoinedRows, TextRows

SCRIPT_LINES: Final = 20
"""Lines of code that are shown unless somebody wants all of them, or none."""
OUTPUT_LINES: Final = 6
MOST_OF_LINE: Final = 70
"""Characters of a line that surely fit."""


class ScriptBlock(FoldBlock):
    """The code. A short script is shown until it is closed, a long one by its first lines."""

    noun = "script"

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, CallState, Span | None] = ("", "running", None)
        self._is_turned = False

    def update(self, code: str, state: CallState, span: Span | None) -> None:
        """Show a script as far as it is written, how it stands and when it ran."""
        if (code, state, span) != self._shown:
            self._shown = (code, state, span)
            self._is_open = self._is_turned != self._is_short
            self._changed()

    @property
    def source(self) -> str:
        """The code."""
        return self._shown[0]

    @property
    def foldable(self) -> bool:
        """Whether there is any code yet."""
        return bool(self._shown[0].strip())

    @property
    def _is_short(self) -> bool:
        return self._shown[0].strip("\n").count("\n") < SCRIPT_LINES

    def toggle(self) -> None:
        """Open it, or close it again."""
        self._is_turned = not self._is_turned
        super().toggle()

    def tick(self) -> bool:
        """Let time pass while it runs."""
        _, state, span = self._shown
        is_counting = state == "running" and span is not None
        if is_counting:
            self._changed()
        return is_counting

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        code, state, span = self._shown
        head = head_line(state, "script", took(span), self._fold_sign(palette), palette)
        parts: list[Sequence[Strip]] = [made([head], width, palette)]
        if self._is_open:
            look = text_look(width, palette, "muted", indent="  ", bar=bar_of(palette))
            parts.append(TextRows(look, code.strip("\n")))
        elif not self._is_short:
            content, style = content_width(width), palette["muted"]
            lines = first_lines(
                code, content, style, indent=f"  {bar_of(palette)}", most=SCRIPT_LINES
            )
            parts.append(made(lines, width, palette))
        return JoinedRows(parts)


class OutcomeBlock(Block):
    """What a script logged, and its result or its error: the first lines, or all of them."""

    gap = False
    noun = "result"

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, str, bool] = ("", "", True)

    def update(self, logs: str, outcome: str, *, success: bool) -> None:
        """Show the logs so far, and what came of the script once that is known."""
        if (logs, outcome, success) != self._shown:
            self._shown = (logs, outcome, success)
            self._changed()

    @property
    def source(self) -> str:
        """The logs and what came of the script."""
        return "\n".join(part.strip("\n") for part in self._shown[:2] if part.strip())

    @property
    def foldable(self) -> bool:
        """Whether its first lines may not be all of it."""
        lines = [text.rstrip("\n").split("\n", OUTPUT_LINES) for text in self._shown[:2]]
        return any(
            len(part) > OUTPUT_LINES or any(len(line) > MOST_OF_LINE for line in part)
            for part in lines
        )

    def hit(self, row: int, x: int) -> Hit | None:
        """Return what is hit; there is no first line that says what it is, so any row folds."""
        return Hit("fold") if self.foldable else None

    def _render(self, width: int, palette: Palette) -> Sequence[Strip]:
        logs, outcome, success = self._shown
        parts: list[Sequence[Strip]] = []
        if logs.strip():
            parts.append(self._part(logs, "faint", "  ", width, palette))
        if outcome.strip():
            style = "muted" if success else "error"
            sign = f"  {palette.signs.result if success else palette.signs.failed}"
            parts.append(self._part(outcome, style, sign, width, palette))
        return JoinedRows(parts)

    def _part(
        self, text: str, style: str, sign: str, width: int, palette: Palette
    ) -> Sequence[Strip]:
        """Return one of the texts, a sign before its first line."""
        indent, look = " " * len(sign), palette[style]
        if self._is_open:
            rows = text_look(width, palette, style, indent=indent)
            return TextRows(rows._replace(first=((sign, look),)), text)
        first, *rest = first_lines(
            text, content_width(width), look, indent=indent, most=OUTPUT_LINES
        )
        return made([[(sign, look), *first[1:]], *rest], width, palette)
