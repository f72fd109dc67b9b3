"""What a click can hit: marks in the styles of a strip, so that whoever draws also says it.

What is marked is an offer and no text: it is left out of what is copied.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from rich.style import Style
from textual.strip import Strip

Kind: TypeAlias = Literal["fold", "copy", "link", "retry"]
_MARK: Final = "hit"


class Hit(NamedTuple):
    """Something that was hit: to open or close, to copy, to follow or to try again."""

    kind: Kind
    value: str = ""
    """The text to copy, the address, or the run."""


def marked(style: Style, kind: Kind, value: str = "") -> Style:
    """Return the style of something that can be hit."""
    return style + Style(meta={_MARK: (kind, value)})


def hit_in(strip: Strip, x: int) -> Hit | None:
    """Return what a click on that cell of a strip hits: a mark or a link."""
    end = 0
    for segment in strip:
        end += segment.cell_length
        if x < end:
            style = segment.style
            if style is None:
                return None
            if style.link:
                return Hit("link", style.link)
            found = style.meta.get(_MARK)
            return None if found is None else Hit(*found)
    return None


def is_marked(strip: Strip, kind: Kind) -> bool:
    """Tell whether there is something of a kind to hit on a strip."""
    return any(
        segment.style.meta.get(_MARK, ("",))[0] == kind for segment in strip if segment.style
    )


def plain_text(strip: Strip) -> str:
    """Return the text of a strip up to the first mark."""
    parts: list[str] = []
    for segment in strip:
        if segment.style is not None and _MARK in segment.style.meta:
            break
        parts.append(segment.text)
    return "".join(parts)
