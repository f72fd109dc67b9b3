"""Markdown that grows: what is finished is rendered once, only the rest again.

A block is finished when no further text can change it. CommonMark is read line by line and a block
once closed is never opened again, so with whole lines every block but the last is finished. A last
line that is still being written can belong to the block before it after all, or split that in two
(a table's delimiter row does), so then the last two blocks stay open unless something parts them.
Link definitions alone reach backwards: if there are any, the text is rendered once more when it is
complete.

A fence that is being written is not parsed again: its new lines are highlighted as they end, with
a window of the lines before, and the whole of it once it is closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from markdown_it.tree import SyntaxTreeNode
from textual.strip import Strip

from cody_tui.text import printable
from cody_tui.widgets.code import framed, highlight, label, language_of, lexer_soon
from cody_tui.widgets.lines import Line, to_strip
from cody_tui.widgets.markdown import Renderer, parse
from cody_tui.widgets.palette import Palette

_OPENING: Final = re.compile(r"( {0,3})(`{3,}|~{3,})([^\n]*)\n")
_MARKER: Final = re.compile(r"[ \t]*(?:[0-9]{1,9}[.)]?|[-+*])[ \t\r]*")
"""What may become the marker of a list's next item."""
WINDOW: Final = 60
"""Lines of an open fence that are highlighted together."""


class MarkdownStream:
    """One Markdown text and its lines, in any width and palette."""

    def __init__(self, *, margin: int = 2) -> None:
        self._margin = margin
        self._text = ""
        self._finished = False
        self._dirty = True
        self._renderer: Renderer | None = None
        self._line_width = 0
        self._has_definitions = False
        self._reset()

    def _reset(self) -> None:
        self._done = 0
        self._done_strips: list[Strip] = []
        self._strips: list[Strip] = []
        self._fence: _OpenFence | None = None
        self._dirty = True

    def update(self, text: str, *, finished: bool) -> None:
        """Set the text so far; text that does not continue the one before starts anew."""
        if text == self._text and finished == self._finished:
            return
        if self._finished or not text.startswith(self._text):
            self._reset()
        self._text, self._finished, self._dirty = text, finished, True

    def strips(self, width: int, content: int, palette: Palette) -> Sequence[Strip]:
        """Return the lines as strips of ``width`` cells with text in ``content`` of them."""
        renderer = self._renderer
        if renderer is None or (self._line_width, renderer.width) != (width, max(8, content)):
            self._renderer = renderer = Renderer(content, palette)
            self._line_width = width
            self._reset()
        elif renderer.palette is not palette:
            self._renderer = renderer = Renderer(content, palette)
            self._reset()
        if self._dirty:
            self._advance(renderer)
            self._dirty = False
        return self._strips

    def _advance(self, renderer: Renderer) -> None:
        if self._fence is not None and not self._finished:
            open_strips = self._fence.extend(self._text, self._made)
            if open_strips is not None:
                self._strips = self._joined(open_strips)
                return
        self._fence = None
        rest = self._parse_rest(renderer)
        if self._finished and self._done and self._has_definitions:
            self._reset()
            rest = self._parse_rest(renderer)
        self._strips = self._joined(rest)

    def _parse_rest(self, renderer: Renderer) -> list[Strip]:
        """Render what is not finished, and keep the part of it that now is."""
        raw = self._text[self._done :]
        env: dict[str, Any] = {}
        nodes = parse(printable(raw), env)
        self._has_definitions = self._has_definitions or bool(env.get("references"))
        count = 0 if self._finished else len(nodes) - _open_blocks(raw, nodes)
        if count > 0:
            for node in nodes[:count]:
                if self._done_strips:
                    self._done_strips.extend(self._made([[]]))
                self._done_strips.extend(self._made(renderer.blocks([node])))
            start, _ = nodes[count].map or (0, 0)
            self._done += _offset_of_line(raw, start)
            nodes = nodes[count:]
        if len(nodes) == 1 and nodes[0].type == "fence" and not self._finished:
            self._fence = fence = _OpenFence.at(self._text, self._done, renderer)
            if fence is not None and (shown := fence.extend(self._text, self._made)) is not None:
                return shown
        return self._made(renderer.blocks(nodes))

    def _made(self, lines: list[Line]) -> list[Strip]:
        renderer = self._renderer
        assert renderer is not None, "lines are made for a renderer"
        ground = renderer.palette["text"]
        return [to_strip(line, self._line_width, ground, margin=self._margin) for line in lines]

    def _joined(self, strips: list[Strip]) -> list[Strip]:
        if not self._done_strips or not strips:
            return [*self._done_strips, *strips]
        return [*self._done_strips, *self._made([[]]), *strips]


class _OpenFence:
    """A fenced block that is still being written, known to begin a text's unfinished part."""

    def __init__(self, opening: re.Match[str], renderer: Renderer) -> None:
        indent, marker, info = opening.groups()
        self._indent = len(indent)
        self._closing = re.compile(rf" {{0,3}}{marker[0]}{{{len(marker)},}}[ \t\r]*")
        self._language = language_of(info)
        self._renderer = renderer
        self._read = opening.end()
        self._window: list[str] = []
        self._kept: list[Strip] | None = None

    @classmethod
    def at(cls, text: str, start: int, renderer: Renderer) -> _OpenFence | None:
        """Return the fence that opens there, if its first line is complete."""
        opening = _OPENING.match(text, start)
        return None if opening is None else cls(opening, renderer)

    def extend(self, text: str, made: Callable[[list[Line]], list[Strip]]) -> list[Strip] | None:
        """Take what has come and return all strips, or ``None`` if the fence is closed."""
        end = text.rfind("\n") + 1
        fresh = text[self._read : end].split("\n")[:-1] if end > self._read else []
        partial = text[max(end, self._read) :]
        if any(self._closing.fullmatch(line) for line in (*fresh, partial)):
            return None
        self._read = max(end, self._read)
        self._window.extend(self._code(line) for line in fresh)
        palette, width = self._renderer.palette, self._renderer.width
        if self._kept is None:
            self._kept = made(label(self._language, width, palette))
        code = "\n".join([*self._window, self._code(partial)])
        lines = highlight(code, self._language, palette, find=lexer_soon)
        if (cut := len(self._window) - WINDOW) > WINDOW:
            self._kept.extend(made(framed(lines[:cut], width, palette)))
            del self._window[:cut]
            lines = lines[cut:]
        return [*self._kept, *made(framed(lines, width, palette))]

    def _code(self, line: str) -> str:
        """Return a line of the fence's content: indented as deep as the fence, or less."""
        spaces = len(line) - len(line.lstrip(" "))
        return printable(line[min(spaces, self._indent) :].removesuffix("\r"))


def _open_blocks(raw: str, nodes: Sequence[SyntaxTreeNode]) -> int:
    """Return how many of the last blocks further text can change.

    A fence whose first line is complete stays one, so that what is above it is finished.
    """
    if raw.endswith("\n") or not nodes:
        return 1
    offset = _offset_of_line(raw, (nodes[-1].map or (0, 0))[0])
    if nodes[-1].type == "fence" and "\n" in raw[offset:]:
        return 1
    return 1 if len(nodes) > 1 and _is_closed(nodes[-2], raw[:offset], raw[offset:]) else 2


def _is_closed(node: SyntaxTreeNode, above: str, last: str) -> bool:
    """Tell whether a block is finished though the first line of the one below is not complete.

    That line can join it only where it is a paragraph, or may become the marker of another item.
    """
    if node.type == "fence":
        return True
    blank = above[len(above.rstrip(" \t\r\n")) :]
    is_apart = blank.count("\n") > 1 and bool(last.strip())
    return is_apart and not (node.type.endswith("_list") and _MARKER.fullmatch(last))


def _offset_of_line(text: str, line: int) -> int:
    """Return where a line begins. CR LF is one line's end here and in the parsed text."""
    offset = 0
    for _ in range(line):
        offset = text.find("\n", offset) + 1
    return offset
