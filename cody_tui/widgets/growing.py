"""Fences, lists and tables that grow: what is above the part being written is kept as it is.

Each is one block, of which the last line, item or row alone can still change. Parsed whole for
every piece that comes, one of some hundred lines would take all the time there is.

All are known to begin the unfinished part of a text. Each says that it cannot go on, and the text
is then rendered without it, where the block ends, turns out to be another one, or something changes
that shows in what was kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, Final, Protocol, TypeAlias

from markdown_it.tree import SyntaxTreeNode
from textual.strip import Strip

from cody_tui.text import printable
from cody_tui.widgets.code import framed, highlight, label, language_of, lexer_soon
from cody_tui.widgets.lines import Line
from cody_tui.widgets.markdown import Renderer, aligns, list_shape, parse, rows_of
from cody_tui.widgets.table import Layout, Row, natural, shared

Made: TypeAlias = "Callable[[list[Line]], list[Strip]]"
"""Makes strips of lines."""

WINDOW: Final = 60
"""Lines of an open fence that are highlighted together."""
MARKER: Final = re.compile(r"[ \t]*(?:[0-9]{1,9}[.)]?|[-+*])[ \t\r]*")
"""What may become the marker of a list's next item."""
_FENCE: Final = re.compile(r"( {0,3})(`{3,}|~{3,})([^\n]*)\n")


class Growing(Protocol):
    """A block that is still being written."""

    is_exact: bool
    """Whether it looks as it will when it is complete."""

    def extend(self, text: str, env: dict[str, Any]) -> list[Strip] | None:
        """Take what has come and return all strips of the block, or ``None`` if it cannot go on.

        Args:
            text: The whole text.
            env: Where the parser leaves link definitions.
        """
        ...


class GrowingFence:
    """Code: new lines are highlighted as they end, with a window of the lines before."""

    is_exact = False

    def __init__(self, opening: re.Match[str], renderer: Renderer, made: Made) -> None:
        indent, marker, info = opening.groups()
        self._indent = len(indent)
        self._closing = re.compile(rf" {{0,3}}{marker[0]}{{{len(marker)},}}[ \t\r]*")
        self._language = language_of(info)
        self._renderer, self._made = renderer, made
        self._read = opening.end()
        self._window: list[str] = []
        self._kept = made(label(self._language, renderer.width, renderer.palette))

    @classmethod
    def at(cls, text: str, start: int, renderer: Renderer, made: Made) -> GrowingFence | None:
        """Return the fence that opens there, if its first line is complete."""
        opening = _FENCE.match(text, start)
        return None if opening is None else cls(opening, renderer, made)

    def extend(self, text: str, env: dict[str, Any]) -> list[Strip] | None:
        """Take what has come; see ``Growing``."""
        end = text.rfind("\n") + 1
        fresh = text[self._read : end].split("\n")[:-1] if end > self._read else []
        partial = text[max(end, self._read) :]
        if any(self._closing.fullmatch(line) for line in (*fresh, partial)):
            return None
        self._read = max(end, self._read)
        self._window.extend(self._code(line) for line in fresh)
        palette, width = self._renderer.palette, self._renderer.width
        code = "\n".join([*self._window, self._code(partial)])
        lines = highlight(code, self._language, palette, find=lexer_soon)
        if (cut := len(self._window) - WINDOW) > WINDOW:
            self._kept.extend(self._made(framed(lines[:cut], width, palette)))
            del self._window[:cut]
            lines = lines[cut:]
        return [*self._kept, *self._made(framed(lines, width, palette))]

    def _code(self, line: str) -> str:
        """Return a line of the fence's content: indented as deep as the fence, or less."""
        spaces = len(line) - len(line.lstrip(" "))
        return printable(line[min(spaces, self._indent) :].removesuffix("\r"))


class GrowingList:
    """A list, by its items."""

    is_exact = True

    def __init__(self, node: SyntaxTreeNode, start: int, renderer: Renderer, made: Made) -> None:
        self._kind = (node.type, node.markup)
        self._shape = list_shape(node)
        self._renderer, self._made = renderer, made
        self._read = start
        self._count = 0
        self._kept: list[Strip] = []

    def extend(self, text: str, env: dict[str, Any]) -> list[Strip] | None:
        """Take what has come; see ``Growing``."""
        raw = text[self._read :]
        node, *others = parse(printable(raw), env)
        last = raw[raw.rfind("\n") + 1 :]
        if (node.type, node.markup) != self._kind or (others and not MARKER.fullmatch(last)):
            return None
        items = node.children
        is_loose = self._shape.is_loose or list_shape(node).is_loose
        shape = self._shape._replace(is_loose=is_loose).sized(self._count + len(items))
        if self._count and shape != self._shape:
            return None
        self._shape = shape
        done = 0 if others else len(items) - open_parts(raw, items)
        if done > 0:
            self._kept += self._made(self._lines(items[:done]))
            self._count += done
            self._read += offset_of_line(raw, first_line(items[done]))
        below = self._lines(items[max(0, done) :])
        if others:
            below += [[], *self._renderer.blocks(others)]
        return [*self._kept, *self._made(below)]

    def _lines(self, items: Sequence[SyntaxTreeNode]) -> list[Line]:
        """Render items below those that are kept."""
        lines = self._renderer.items(items, self._shape, first=self._count)
        return [[], *lines] if self._count and self._shape.is_loose else lines


class GrowingTable:
    """A table, by its rows."""

    is_exact = True

    def __init__(self, head: str, read: int, renderer: Renderer, made: Made) -> None:
        """Begin with nothing.

        Args:
            head: The first two lines, which say what is a cell, and a newline behind each.
            read: Where the rows begin in the whole text.
            renderer: Renders cells.
            made: Makes strips of lines.
        """
        self._head = head
        self._read = read
        self._renderer, self._made = renderer, made
        self._rows: list[Row] = []
        self._natural: list[int] = []
        self._kept: list[Strip] = []
        self._columns: list[int] = []

    @classmethod
    def at(cls, text: str, start: int, renderer: Renderer, made: Made) -> GrowingTable | None:
        """Return the table that begins there, if it is known what its columns are."""
        rows = start + offset_of_line(text[start:], 2)
        return None if rows == start else cls(text[start:rows], rows, renderer, made)

    def extend(self, text: str, env: dict[str, Any]) -> list[Strip] | None:
        """Take what has come; see ``Growing``."""
        raw = self._head + text[self._read :]
        nodes = parse(printable(raw), env)
        if len(nodes) != 1 or nodes[0].type != "table":
            return None
        head, *rows = rows_of(nodes[0])
        is_open = bool(rows) and not raw.endswith("\n")
        done = rows[: len(rows) - is_open]
        cells = [self._renderer.cells(row) for row in rows]
        fresh, last = cells[: len(done)], cells[len(done) :]
        self._rows += fresh
        titles = self._renderer.cells(head)
        self._natural = _most(self._natural, natural([titles, *fresh]))
        layout = Layout(
            titles,
            aligns(head),
            shared(_most(self._natural, natural(last)), self._renderer.width),
            self._renderer.width,
            self._renderer.palette,
        )
        if layout.columns != self._columns:
            self._columns, self._kept, fresh = [*layout.columns], [], self._rows
        self._kept += self._made([line for row in fresh for line in layout.row_lines(row)])
        if done:
            self._read += offset_of_line(raw, first_line(done[-1]) + 1) - len(self._head)
        above = layout.head_lines(has_body=bool(self._rows or last))
        below = [line for row in last for line in layout.row_lines(row)]
        return [*self._made(above), *self._kept, *self._made(below)]


def open_parts(raw: str, parts: Sequence[SyntaxTreeNode]) -> int:
    """Return how many of the last parts of a text further text can change: one or two.

    A last line that is not complete may turn out to belong to the part above it.
    """
    last = raw[offset_of_line(raw, first_line(parts[-1])) :]
    is_begun = not raw.endswith("\n") and "\n" not in last
    return min(len(parts), 2 if is_begun else 1)


def first_line(node: SyntaxTreeNode) -> int:
    """Return the number of the line that a block begins on, from 0."""
    return (node.map or (0, 0))[0]


def offset_of_line(text: str, line: int) -> int:
    """Return where a line begins. CR LF is one line's end here and in the parsed text."""
    offset = 0
    for _ in range(line):
        offset = text.find("\n", offset) + 1
    return offset


def _most(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [max(pair) for pair in zip_longest(one, other, fillvalue=0)]
