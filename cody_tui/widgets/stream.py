"""Markdown that grows: what is finished is rendered once, only the rest again.

A block is finished when no further text can change it. CommonMark is read line by line and a block
once closed is never opened again, so with whole lines every block but the last is finished. A last
line that is still being written can belong to the block before it after all, or split that in two
(a table's delimiter row does), so then the last two blocks stay open unless something parts them.
Link definitions alone reach backwards: if there are any, the text is rendered once more when it is
complete.

Of the block that is open only what is being written is rendered again, where it is a fence, a list
or a table; a fence is highlighted as a whole once it is closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from markdown_it.tree import SyntaxTreeNode
from textual.strip import Strip

from cody_tui.text import printable
from cody_tui.widgets.growing import (
    MARKER,
    Growing,
    GrowingFence,
    GrowingList,
    GrowingTable,
    Made,
    first_line,
    offset_of_line,
)
from cody_tui.widgets.lines import to_strips
from cody_tui.widgets.markdown import Renderer, parse
from cody_tui.widgets.palette import Palette


class _Page(NamedTuple):
    """What a text is rendered for."""

    width: int
    renderer: Renderer
    made: Made


class MarkdownStream:
    """One Markdown text and its lines, in any width and palette."""

    def __init__(self, *, margin: int = 2) -> None:
        self._margin = margin
        self._text = ""
        self._finished = False
        self._dirty = True
        self._page: _Page | None = None
        self._has_definitions = False
        self._reset()

    def _reset(self) -> None:
        self._done = 0
        self._done_strips: list[Strip] = []
        self._strips: list[Strip] = []
        self._open: Growing | None = None
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
        page, renderer = self._page, Renderer(content, palette)
        if page is None or page.width != width or not page.renderer.is_like(renderer):
            made = partial(to_strips, width=width, ground=palette["text"], margin=self._margin)
            self._page = page = _Page(width, renderer, made)
            self._reset()
        if self._dirty:
            self._strips = self._advanced(page)
            self._dirty = False
        return self._strips

    def _advanced(self, page: _Page) -> list[Strip]:
        rest = self._grown()
        if rest is None:
            rest = self._parse_rest(page)
            if self._finished and self._has_definitions:
                self._reset()
                rest = self._parse_rest(page)
        if self._finished:
            self._open = None
        between = page.made([[]]) if self._done_strips and rest else []
        return [*self._done_strips, *between, *rest]

    def _grown(self) -> list[Strip] | None:
        """Return the strips of the block that is open, if it knows how to go on."""
        if self._open is None or (self._finished and not self._open.is_exact):
            return None
        env: dict[str, Any] = {}
        shown = self._open.extend(self._text, env)
        self._has_definitions = self._has_definitions or bool(env.get("references"))
        return None if self._finished and self._has_definitions else shown

    def _parse_rest(self, page: _Page) -> list[Strip]:
        """Render what is not finished, and keep the part of it that now is."""
        self._open = None
        raw = self._text[self._done :]
        env: dict[str, Any] = {}
        nodes = parse(printable(raw), env)
        self._has_definitions = self._has_definitions or bool(env.get("references"))
        count = 0 if self._finished else len(nodes) - _open_blocks(raw, nodes)
        if count > 0:
            for node in nodes[:count]:
                if self._done_strips:
                    self._done_strips.extend(page.made([[]]))
                self._done_strips.extend(page.made(page.renderer.blocks([node])))
            self._done += offset_of_line(raw, first_line(nodes[count]))
            nodes = nodes[count:]
        if len(nodes) == 1 and not self._finished:
            self._open = self._growing(nodes[0], page)
            if (shown := self._grown()) is not None:
                return shown
        return page.made(page.renderer.blocks(nodes))

    def _growing(self, node: SyntaxTreeNode, page: _Page) -> Growing | None:
        """Return what knows how to go on with a block, if there is such."""
        match node.type:
            case "fence":
                return GrowingFence.at(self._text, self._done, page.renderer, page.made)
            case "bullet_list" | "ordered_list":
                return GrowingList(node, self._done, page.renderer, page.made)
            case "table":
                return GrowingTable.at(self._text, self._done, page.renderer, page.made)
            case _:
                return None


def _open_blocks(raw: str, nodes: Sequence[SyntaxTreeNode]) -> int:
    """Return how many of the last blocks further text can change.

    A fence whose first line is complete stays one, so that what is above it is finished.
    """
    if raw.endswith("\n") or not nodes:
        return 1
    offset = offset_of_line(raw, first_line(nodes[-1]))
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
    return is_apart and not (node.type.endswith("_list") and MARKER.fullmatch(last))
