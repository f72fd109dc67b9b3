"""Markdown on a terminal that scrolls: what is finished stands, the last block is redrawn.

A block is finished when another begins behind it, so nothing above the redrawn lines ever changes.
"""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.segment import Segment, Segments

from cody_tui.parsing import parser

FRAMES_PER_SECOND = 15
_PARSER = parser()


class LiveMarkdown:
    """A ``TextSink`` that renders one message after another."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live: Live | None = None
        self._tail = ""
        self._changed = False
        self._printed_any = False

    def write(self, text: str) -> None:
        """Take more source of the message."""
        self._tail += text
        self._changed = True

    def flush(self) -> None:
        """Print what is finished, and redraw the rest."""
        if not self._changed:
            return
        self._changed = False
        finished, self._tail = split_finished(self._tail)
        if finished:
            self._stop()
            self._print(finished)
        if self._tail.strip():
            self._draw()

    def end(self) -> None:
        """Print the rest for good."""
        self._stop()
        if self._tail.strip():
            self._print(self._tail)
        self._tail = ""
        self._changed = False

    def _print(self, source: str) -> None:
        if self._printed_any:
            self._console.print()
        for line in _lines(self._console, self._console.options, source):
            self._console.print(Segments([*line, Segment.line()]), end="")
        self._printed_any = True

    def _draw(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=True,
                refresh_per_second=FRAMES_PER_SECOND,
                transient=True,
            )
            self._live.start()
        self._live.update(_Tail(self._tail, gap=self._printed_any))

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class _Tail:
    """The last lines of a block that may be higher than the screen."""

    def __init__(self, source: str, *, gap: bool) -> None:
        self._source = source
        self._gap = gap

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = _lines(console, options, self._source)
        if self._gap:
            lines.insert(0, [])
        for line in lines[-max(1, console.height - 2) :]:
            yield Segments([*line, Segment.line()])


def split_finished(source: str) -> tuple[str, str]:
    """Split Markdown before its last block, which may still grow: what is finished, and that."""
    starts = [
        token.map[0]
        for token in _PARSER.parse(source)
        if token.level == 0 and token.nesting >= 0 and token.map
    ]
    if len(starts) < 2:
        return "", source
    lines = source.splitlines(keepends=True)
    return "".join(lines[: starts[-1]]), "".join(lines[starts[-1] :])


class _Heading(Heading):
    """A heading that stands where the text does: Rich would centre it, or draw a box."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Markdown(Markdown):
    def __init__(self, source: str) -> None:
        super().__init__(source, code_theme="ansi_dark", hyperlinks=False)
        self.parsed = _PARSER.parse(source)

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
    }


def _lines(console: Console, options: ConsoleOptions, source: str) -> list[list[Segment]]:
    """Render Markdown without the empty lines that Rich puts around some blocks."""
    markdown = _Markdown(source.strip("\n"))
    lines = console.render_lines(markdown, options, pad=False)
    while lines and not _text(lines[0]):
        del lines[0]
    while lines and not _text(lines[-1]):
        del lines[-1]
    return lines


def _text(line: list[Segment]) -> str:
    return "".join(segment.text for segment in line).strip()
