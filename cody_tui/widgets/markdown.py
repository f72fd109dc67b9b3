"""Markdown blocks as lines: one markdown-it tree in, styled lines of a given width out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from rich.style import Style

from cody_tui.text import printable
from cody_tui.widgets.code import framed, highlight, label, language_of
from cody_tui.widgets.inline import inline_runs
from cody_tui.widgets.lines import Line, Run, prefixed, wrap
from cody_tui.widgets.palette import Palette
from cody_tui.widgets.table import Row, table_lines

PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
"""Raw HTML is text like any other."""
MAX_DEPTH: Final = 12
"""Lists and quotes nested deeper are no longer indented: there is an end to the width."""

_BOXES: Final = {"[ ] ": False, "[x] ": True, "[X] ": True}


class ListShape(NamedTuple):
    """What all items of a list have in common."""

    is_ordered: bool
    start: int
    size: int
    """Cells of a marker and the space behind it: as many for each, however long its number is."""
    is_loose: bool
    """Whether a blank line stands between items."""

    def sized(self, count: int) -> ListShape:
        """Return the shape for so many items."""
        size = len(str(self.start + count - 1)) + 2 if self.is_ordered else 2
        return self._replace(size=size)


class Renderer:
    """Renders blocks for one width and palette."""

    def __init__(self, width: int, palette: Palette) -> None:
        self.width = max(8, width)
        self.palette = palette

    def is_like(self, other: Renderer) -> bool:
        """Tell whether another one renders the same."""
        return self.width == other.width and self.palette is other.palette

    def blocks(
        self,
        nodes: Sequence[SyntaxTreeNode],
        *,
        width: int | None = None,
        ground: Style | None = None,
        tight: bool = False,
        depth: int = 0,
    ) -> list[Line]:
        """Render blocks one below the other, an empty line between them unless ``tight``."""
        width = self.width if width is None else max(8, width)
        ground = self.palette["text"] if ground is None else ground
        lines: list[Line] = []
        for node in nodes:
            if lines and not tight:
                lines.append([])
            lines.extend(self._block(node, width, ground, depth))
        return lines

    def _block(self, node: SyntaxTreeNode, width: int, ground: Style, depth: int) -> list[Line]:
        match node.type:
            case "heading":
                return self._heading(node, width)
            case "fence" | "code_block":
                language = language_of(node.info) if node.type == "fence" else ""
                return self.code(node.content, language, width)
            case "blockquote":
                return self._quote(node, width, depth)
            case "bullet_list" | "ordered_list":
                return self._list(node, width, ground, depth)
            case "table":
                return self._table(node, width)
            case "hr":
                return [[("─" * width if self.palette.signs.draws else "", self.palette["rule"])]]
            case _:
                return wrap(self._inline(node, ground), width)

    def code(self, code: str, language: str, width: int | None = None) -> list[Line]:
        """Render a block of code with the name of its language above."""
        width = self.width if width is None else width
        lines = framed(highlight(code, language, self.palette), width, self.palette)
        return [*label(language, width, self.palette), *lines]

    def _inline(self, node: SyntaxTreeNode, ground: Style) -> list[Run]:
        runs: list[Run] = []
        for child in node.children:
            if child.token is not None and child.type == "inline":
                runs.extend(inline_runs(child.token.children or (), self.palette, ground))
        return runs

    def _heading(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        first = node.tag in ("h1", "h2")
        style = self.palette["heading"] if first else self.palette["strong"]
        if node.tag == "h1":
            style += Style(underline=True)
        return wrap(self._inline(node, style), width)

    def _quote(self, node: SyntaxTreeNode, width: int, depth: int) -> list[Line]:
        inner = width - 2 if depth < MAX_DEPTH else width
        lines = self.blocks(
            node.children, width=inner, ground=self.palette["quote"], depth=depth + 1
        )
        if depth >= MAX_DEPTH:
            return lines
        signs = self.palette.signs
        bar = (signs.quote, self.palette["rule"])
        return prefixed(lines or [[]], bar, bar if signs.draws else ("  ", bar[1]))

    def _list(self, node: SyntaxTreeNode, width: int, ground: Style, depth: int) -> list[Line]:
        return self.items(node.children, list_shape(node), width=width, ground=ground, depth=depth)

    def items(
        self,
        items: Sequence[SyntaxTreeNode],
        shape: ListShape,
        *,
        first: int = 0,
        width: int | None = None,
        ground: Style | None = None,
        depth: int = 0,
    ) -> list[Line]:
        """Render items of a list, of which there are ``first`` before them."""
        width = self.width if width is None else width
        ground = self.palette["text"] if ground is None else ground
        signs, size = self.palette.signs, shape.size
        bullet = signs.bullets[depth % len(signs.bullets)]
        nested = depth < MAX_DEPTH
        lines: list[Line] = []
        for index, item in enumerate(items, first):
            if shape.is_ordered:
                marker = f"{shape.start + index}.".rjust(size - 1) + " "
            else:
                is_checked = _take_box(item)
                marker = bullet if is_checked is None else signs.box(is_checked)
            inner = width - size if nested else width
            body = self.blocks(
                item.children, width=inner, ground=ground, tight=not shape.is_loose, depth=depth + 1
            )
            if lines and shape.is_loose:
                lines.append([])
            head, rest = (marker, self.palette["muted"]), (" " * size, ground)
            lines.extend(prefixed(body or [[]], head, rest) if nested else body)
        return lines

    def _table(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        head, *rows = rows_of(node)
        body = [self.cells(row) for row in rows]
        return table_lines(self.cells(head), body, aligns(head), width, self.palette)

    def cells(self, row: SyntaxTreeNode) -> Row:
        """Return the cells of a table's row."""
        return [self._inline(cell, self._cell_style(cell)) for cell in row.children]

    def _cell_style(self, cell: SyntaxTreeNode) -> Style:
        return self.palette["strong" if cell.type == "th" else "text"]


def parse(source: str, env: dict[str, Any]) -> list[SyntaxTreeNode]:
    """Return the top-level blocks; ``env`` carries link definitions from parse to parse.

    They do not know their parents, so that a tree is gone as soon as nobody has it: a hundred of
    them that wait to be found as garbage hold up whoever is typing when they are.
    """
    root = SyntaxTreeNode(PARSER.parse(source, env))
    nodes = [root]
    for node in nodes:
        node.parent = None
        nodes.extend(node.children)
    return root.children


def list_shape(node: SyntaxTreeNode) -> ListShape:
    """Return the shape of a list, as far as it has come."""
    ordered = node.type == "ordered_list"
    loose = any(not _is_tight(item) for item in node.children)
    start = int(node.attrs.get("start", 1)) if ordered else 0
    return ListShape(ordered, start, 2, loose).sized(len(node.children))


def rows_of(table: SyntaxTreeNode) -> list[SyntaxTreeNode]:
    """Return the rows of a table, its head first."""
    return [row for part in table.children for row in part.children]


def aligns(head: SyntaxTreeNode) -> list[str]:
    """Return how the columns are aligned: ``left``, ``right``, ``center`` or not at all."""
    styles = (str(cell.attrs.get("style", "")) for cell in head.children)
    return [style.removeprefix("text-align:") for style in styles]


def code_blocks(source: str) -> list[str]:
    """Return the blocks of code in a text, in their order."""
    tokens = PARSER.parse(printable(source))
    return [token.content for token in tokens if token.type in ("fence", "code_block")]


def _take_box(item: SyntaxTreeNode) -> bool | None:
    """Take the ``[x]`` from the beginning of a task; return whether it is done, if it is a task."""
    paragraph = item.children[0] if item.children else None
    if paragraph is None or paragraph.type != "paragraph":
        return None
    inline = paragraph.children[0].token if paragraph.children else None
    first = inline.children[0] if inline is not None and inline.children else None
    if first is None or first.type != "text" or first.content[:4] not in _BOXES:
        return None
    is_done = _BOXES[first.content[:4]]
    first.content = first.content[4:]
    return is_done


def _is_tight(item: SyntaxTreeNode) -> bool:
    """Tell whether an item's paragraphs are hidden: that is how the parser marks a tight list."""
    paragraphs: Iterable[SyntaxTreeNode] = (
        child for child in item.children if child.type == "paragraph"
    )
    return all(child.hidden for child in paragraphs)
