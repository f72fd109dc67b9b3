from __future__ import annotations

from collections.abc import Iterable

import pytest
from markdown_it.token import Token

from cody_tui.parsing import parser


def texts(tokens: Iterable[Token]) -> str:
    parts: list[str] = []
    for token in tokens:
        parts += [token.content, token.info, *map(str, token.attrs.values())]
        parts.append(texts(token.children or ()))
    return "".join(parts)


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("<http://x/%1b]2;owned%1b%5c>", "␛]2;owned␛\\"),
        ("<mailto:a@b.c?%1b%5b2J>", "␛[2J"),
        ("<http://x/%c2%9b2J>", "<9B>2J"),
        ("a&#8232;b", "a␤b"),
        ("![&#8232;](x 'b&#8232;c')", "b␤c"),
        ("```a\x1bb\n```", "a␛b"),
    ],
)
def test_what_the_parser_decodes_is_made_visible(source: str, seen: str) -> None:
    found = texts(parser().parse(source))
    assert seen in found
    assert not {"\x1b", "\x9b", "\u2028"} & set(found)
