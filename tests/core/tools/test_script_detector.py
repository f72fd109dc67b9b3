from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from cody_core.tools.script_detector import Part, Script, ScriptDetector, Text
from hypothesis import example, given
from hypothesis import strategies as st


def detect(pieces: Iterable[str]) -> list[Part]:
    """Return the parts of a text, pieces of text between two scripts joined."""
    detector = ScriptDetector()
    parts: list[Part] = []
    found = [part for piece in pieces for part in detector.feed(piece)]
    for part in [*found, *detector.close()]:
        if isinstance(part, Text) and parts and isinstance(parts[-1], Text):
            parts[-1] = Text(parts[-1].raw + part.raw)
        else:
            parts.append(part)
    return parts


def codes(text: str) -> list[str]:
    return [part.code for part in detect([text]) if isinstance(part, Script)]


def test_text_before_and_after_a_script_is_kept_to_the_character() -> None:
    text = "Let me look.\n\n<script>\nawait tools.a()\n</script> \nDone.\n"
    assert detect([text]) == [
        Text("Let me look.\n\n"),
        Script("<script>\nawait tools.a()\n</script>"),
        Text(" \nDone.\n"),
    ]


def test_several_scripts_come_in_order() -> None:
    assert codes("<script>1</script><script>2</script> and <script>3</script>") == ["1", "2", "3"]


@pytest.mark.parametrize("tag", ["<script>", '<script lang="ts">', "<SCRIPT type=x >", "<script/>"])
def test_the_tag_may_have_attributes_and_any_case(tag: str) -> None:
    assert codes(f"{tag}go()</Script >") == ["go()"]


@pytest.mark.parametrize(
    "text",
    [
        "<scripts>1</scripts>",
        "<script\n>1</script>",
        "< script>1</script>",
        "<scrip<scrip>",
        "a < b and c > d, says </script>",
        "<script " + "x" * 300 + ">1</script>",
        "<script `>` 1</script>",
    ],
)
def test_what_only_looks_like_a_tag_is_text(text: str) -> None:
    assert detect([text]) == [Text(text)]


def test_a_tag_that_begins_in_one_that_fails_is_found() -> None:
    assert codes("<scr<script>1</script>") == ["1"]


@pytest.mark.parametrize(
    "text",
    [
        "```html\n<script>1</script>\n```\n",
        "~~~\n<script>1</script>\n~~~",
        "````\n```\n<script>1</script>\n````\n",
        "```\n~~~\n<script>1</script>\n",
        "```\n``` x\n<script>1</script>\n",
        "```\n``` ```\n<script>1</script>\n",
        "> ```\n> <script>1</script>\n> ```\n",
        "1. do\n   ```\n   <script>1</script>\n   ```\n",
        "- ```js\n  <script>1</script>\n  ```",
        "Write `<script>1</script>` there",
        "Write ``a ` <script>1</script>`` there",
        "```<script>1</script>```",
        "A stray ` shields its line <script>1</script>",
        "``` `<script>1</script>` ```",
    ],
)
def test_nothing_in_a_fence_or_in_inline_code_is_a_script(text: str) -> None:
    assert detect([text]) == [Text(text)]


@pytest.mark.parametrize(
    "before",
    [
        "```\ncode\n```\n",
        "```\ncode\n```  \n",
        "~~~~\n~~~\n~~~~~\n",
        "> ```\n> x\n> ```\n",
        "`code` ",
        "``a`b`` ",
        "a stray ` and the next line\n",
        "~~gone~~ ",
        "a ``` b ``` c ",
        "```a```\n",
    ],
)
def test_a_script_after_code_is_one(before: str) -> None:
    assert detect([before + "<script>1</script>"]) == [Text(before), Script("<script>1</script>")]


def test_backticks_in_a_script_do_not_hide_the_next_one() -> None:
    text = "<script>let a = `\n```\n`</script> <script>2</script>"
    assert codes(text) == ["let a = `\n```\n`", "2"]


def test_the_first_closing_tag_ends_a_script_as_in_html() -> None:
    assert detect(['<script>say("</script>")</script>']) == [
        Script('<script>say("</script>'),
        Text('")</script>'),
    ]


def test_a_script_that_is_not_closed_is_reported_at_the_end() -> None:
    assert detect(["Now: <script>\nawait x(</scr"]) == [
        Text("Now: "),
        Script("<script>\nawait x(</scr", closed=False),
    ]


def test_a_tag_that_is_not_finished_at_the_end_is_text() -> None:
    assert detect(["a <script lang="]) == [Text("a <script lang=")]


def test_line_one_of_a_script_is_its_first_line_with_code() -> None:
    assert codes("<script>  \n  one()\n\n</script><script>a\nb</script>") == ["  one()", "a\nb"]


def test_text_is_not_held_back_longer_than_a_tag_could_begin() -> None:
    detector = ScriptDetector()
    assert detector.feed("so `far` <b") == [Text("so `far` <b")]
    assert detector.feed("> <scr") == [Text("> ")]
    assert detector.feed("eam") == [Text("<scream")]


MARKUP = st.sampled_from(
    (
        *("<", "script", "<script>", "</script>", "<script ", ">", "</SCRIPT >", "/"),
        *("`", "``", "```", "~~~", "~", "\n", "\r\n", "\t", " ", "> ", "- ", "1. ", "x", "é"),
    )
)
TEXTS = st.lists(MARKUP, max_size=40).map("".join)


@given(TEXTS, st.data())
@example("```\n``` ```\n<script>1</script>", None)
def test_any_cutting_gives_the_same_parts(text: str, data: st.DataObject | None) -> None:
    if data is None:
        pieces = list(text)
    else:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
        edges = [0, *cuts, len(text)]
        pieces = [text[a:b] for a, b in pairwise(edges)]
    assert detect(pieces) == detect([text]) == detect(text)


@given(TEXTS)
def test_the_parts_joined_are_the_text(text: str) -> None:
    assert "".join(part.raw for part in detect(text)) == text
