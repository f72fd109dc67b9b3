"""Inline Markdown: the tokens of a paragraph as runs of styled text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from markdown_it.token import Token
from rich.style import Style

from cody_tui.widgets.lines import Run
from cody_tui.widgets.palette import Palette

_MARKS: Final = {
    "strong_open": Style(bold=True),
    "em_open": Style(italic=True),
    "s_open": Style(strike=True),
}
_LINK_SCHEMES: Final = frozenset({"http", "https", "mailto"})


def inline_runs(tokens: Iterable[Token], palette: Palette, ground: Style) -> list[Run]:
    """Return the runs of one inline sequence on top of the style of the block it is in."""
    runs: list[Run] = []
    styles = [ground]
    links: list[tuple[str, int]] = []
    for token in tokens:
        kind = token.type
        if kind == "text":
            runs.append((token.content, styles[-1]))
        elif kind == "code_inline":
            runs.append((token.content, _code(palette, styles[-1])))
        elif kind in ("softbreak", "hardbreak"):
            runs.append((" " if kind == "softbreak" else "\n", styles[-1]))
        elif kind in _MARKS:
            styles.append(styles[-1] + _MARKS[kind])
        elif kind == "link_open":
            href = str(token.attrs.get("href", ""))
            links.append((href, len(runs)))
            styles.append(styles[-1] + _link(href, palette))
        elif kind == "image":
            text = palette.signs.image + token.content
            runs.append((text, styles[-1] + palette.over("link", "text")))
        elif token.nesting == -1:
            styles.pop()
            if kind == "link_close":
                runs.extend(_address(*links.pop(), runs, palette))
        else:
            runs.append((token.content, styles[-1]))
    return runs


def _code(palette: Palette, ground: Style) -> Style:
    return ground + palette["code"]


def _link(href: str, palette: Palette) -> Style:
    style = palette["link"]
    parts = urlsplit(href)
    # The address goes to the terminal as part of an escape sequence of ours.
    if parts.scheme in _LINK_SCHEMES and href.isascii() and href.isprintable():
        style += Style(link=href)
    return style


def _address(href: str, start: int, runs: list[Run], palette: Palette) -> list[Run]:
    """Show where a link leads when its text does not: the text may say anything."""
    shown = "".join(text for text, _ in runs[start:]).strip()
    if not href or href.removeprefix("mailto:").rstrip("/") in (shown, shown.rstrip("/")):
        return []
    return [(f" ({href})", palette["faint"])]
