"""Code, highlighted in the theme's colours.

Pygments tells the tokens apart; what they look like is the palette's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pygments.lexer import Lexer
from pygments.lexers import get_all_lexers, get_lexer_by_name
from pygments.token import Token, _TokenType
from rich.style import Style

from cody_tui.text import printable
from cody_tui.widgets.hits import marked
from cody_tui.widgets.lines import TAB, Line, Run, fold, width_of
from cody_tui.widgets.palette import Palette

COPY: Final = "copy"
MAX_HIGHLIGHTED: Final = 100_000
"""Characters of one block that are worth the time; what is longer is shown plain."""

_STYLES: Final[dict[_TokenType, str]] = {
    Token.Keyword: "keyword",
    Token.Keyword.Type: "type",
    Token.Operator.Word: "keyword",
    Token.Literal.String: "string",
    Token.Literal.Number: "number",
    Token.Keyword.Constant: "number",
    Token.Comment: "comment",
    Token.Name.Function: "function",
    Token.Name.Decorator: "function",
    Token.Name.Attribute: "function",
    Token.Name.Class: "type",
    Token.Name.Builtin: "type",
    Token.Name.Exception: "type",
    Token.Name.Tag: "keyword",
    Token.Generic.Inserted: "inserted",
    Token.Generic.Deleted: "deleted",
    Token.Generic.Heading: "type",
    Token.Generic.Subheading: "comment",
    Token.Generic.Prompt: "comment",
    Token: "fence",
}


_lexers: Final[dict[str, Lexer | None]] = {}
"""The lexers that were looked up, by the names of their languages; ``None`` while one is made."""


def lexer_for(language: str) -> Lexer | None:
    """Return the lexer of a language, or ``None`` where there is none; looked up once."""
    lexer = _lexers.get(language)
    if lexer is None and language in _languages():
        lexer = _lexers[language] = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    return lexer


def lexer_soon(language: str) -> Lexer | None:
    """Return a lexer if it is there, and otherwise have it made meanwhile.

    The first of a language takes as long as several frames, to import and to compile.
    """
    if language not in _lexers and language in _languages():
        _lexers[language] = None
        threading.Thread(target=lexer_for, args=(language,), daemon=True).start()
    return _lexers.get(language)


@lru_cache(maxsize=1)
def _languages() -> frozenset[str]:
    """Return every name Pygments knows by itself.

    For one it does not know it would look for plugins in all that is installed. Names that are
    still being written are such names.
    """
    return frozenset(name for _, names, _, _ in get_all_lexers(plugins=False) for name in names)


@lru_cache(maxsize=512)
def _style_name(token: _TokenType) -> str:
    kind: _TokenType | None = token
    while kind is not None and kind not in _STYLES:
        kind = kind.parent
    return _STYLES[kind or Token]


def language_of(info: str) -> str:
    """Return the language a fence names, without what else its info string says."""
    return info.split(maxsplit=1)[0].strip("{}.").lower() if info.strip() else ""


def highlight(
    code: str, language: str, palette: Palette, *, find: Callable[[str], Lexer | None] = lexer_for
) -> list[Line]:
    """Return one line of styled runs per line of code; a last newline begins no line.

    ``find`` returns the lexer of a language; without one, code is shown plain.
    """
    code = code.expandtabs(TAB).removesuffix("\n")
    lexer = find(language) if len(code) <= MAX_HIGHLIGHTED else None
    if lexer is None:
        plain = palette["fence"]
        return [[(line, plain)] for line in code.split("\n")]
    lines: list[Line] = [[]]
    for token, text in lexer.get_tokens(code):
        style = palette.over(_style_name(token), "fence")
        first, *others = text.split("\n")
        if first:
            lines[-1].append((first, style))
        for other in others:
            lines.append([(other, style)] if other else [])
    return lines[: code.count("\n") + 1]


def framed(lines: list[Line], width: int, palette: Palette) -> list[Line]:
    """Give lines of code their background over the whole width, and a cell of air at the sides."""
    ground = palette["fence"]
    parts = (part for line in lines for part in fold(line or [("", ground)], width - 2))
    return [_padded(part, width, palette) for part in parts]


def _padded(line: Line, width: int, palette: Palette) -> Line:
    ground = palette["fence"]
    return [(" ", ground), *line, (" " * max(0, width - 1 - width_of(line)), ground)]


def label(language: str, width: int, palette: Palette) -> list[Line]:
    """Return the line above a block of code: its language, and the offer to copy it."""
    ground, room = palette["label"], max(0, width - 2 - len(COPY))
    name = printable(language[:room])
    space = " " * max(0, room - width_of([(name, ground)]))
    return [[(" ", ground), (name, ground), (space, ground), _offer(ground), (" ", ground)]]


def _offer(ground: Style) -> Run:
    return COPY, marked(ground, "copy")
