from __future__ import annotations

import io

import pytest
from rich.console import Console

from cody_tui.live import LiveMarkdown


def rendered(source: str) -> str:
    out = io.StringIO()
    text = LiveMarkdown(Console(file=out, width=40))
    for character in source:
        text.write(character)
        text.flush()
    text.end()
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


@pytest.mark.parametrize("source", ["Use List<String> and <b>x</b>.", "<think>hm</think>"])
def test_what_looks_like_html_is_text(source: str) -> None:
    assert rendered(source) == source


def test_what_is_finished_is_printed_once_and_set_off() -> None:
    assert rendered("# Title\n\none\n\n- a\n- b\n") == "Title\n\none\n\n • a\n • b"
