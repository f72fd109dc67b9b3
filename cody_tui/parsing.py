"""Markdown from elsewhere, parsed so that nothing in its tokens is an order to the terminal.

That its source was made printable is not enough: a parser decodes. ``%1b`` in an address and
``&#8232;`` in a text become the characters they stand for after anybody has looked.
"""

from __future__ import annotations

from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from cody_tui.text import printable


def parser() -> MarkdownIt:
    """Return a parser of CommonMark with tables; what looks like HTML is text like any other."""
    rules = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    rules.core.ruler.push("printable", _make_printable)
    return rules


def _make_printable(state: StateCore) -> None:
    _clean(state.tokens)


def _clean(tokens: Iterable[Token]) -> None:
    for token in tokens:
        token.content, token.info = printable(token.content), printable(token.info)
        for name, value in token.attrs.items():
            if isinstance(value, str):
                token.attrs[name] = printable(value)
        _clean(token.children or ())
