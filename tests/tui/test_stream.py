"""Markdown that comes in pieces looks like Markdown that was there all along."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.style import Style
from textual.strip import Strip

from cody_tui.widgets.growing import WINDOW
from cody_tui.widgets.hits import is_marked, plain_text
from cody_tui.widgets.markdown import code_blocks
from cody_tui.widgets.palette import NAMES, Palette
from cody_tui.widgets.stream import MarkdownStream

PALETTE = Palette({name: Style(color=f"color({n})") for n, name in enumerate(NAMES, 1)})
WIDTH = 44

PIECES = (
    "a", "word word", "\n", "\n\n", "- ", "1. ", "> ", "```", "```py\n", "~~~", "def f(): pass\n",
    '"""', "| a | b |\n", "|---|--:|\n", "# ", "===", "---", "    ", "\t", "*", "**", "`", "[x]",
    "[x]: /u\n", "(http://u)", "\r\n", "\\", "  \n", "<b>", "&amp;", "&#13;", "日本", "👩\u200d👧",
)  # fmt: skip

UNFENCED = tuple(p for p in PIECES if p[:2] not in ("``", "~~", "[x"))
"""Without fences, whose code is shown before it is complete, and links that reach backwards."""

DOCUMENT = """\
# Title

Some *text* with `code`, a [link](http://example.org) and a [reference].

- one
  - two

    with a paragraph
1. first

> a quote
> - with a list

```python
def f(x):
    return "a string"
```

| name | number |
|------|-------:|
| one  | 1      |

[reference]: http://example.com
"""


def strips_of(stream: MarkdownStream, width: int = WIDTH) -> Sequence[Strip]:
    return stream.strips(width, width - 4, PALETTE)


def whole(text: str, width: int = WIDTH) -> Sequence[Strip]:
    stream = MarkdownStream()
    stream.update(text, finished=True)
    return strips_of(stream, width)


def in_pieces(text: str, sizes: Sequence[int]) -> Sequence[Strip]:
    stream = MarkdownStream()
    position = 0
    for size in sizes:
        position += size
        stream.update(text[:position], finished=False)
        strips_of(stream)
    stream.update(text, finished=True)
    return strips_of(stream)


def texts(strips: Sequence[Strip]) -> list[str]:
    return [strip.text.strip() for strip in strips]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30), st.lists(st.integers(1, 40), max_size=30))
def test_text_in_random_pieces_renders_like_the_whole(pieces: list[str], sizes: list[int]) -> None:
    text = "".join(pieces)
    assert in_pieces(text, sizes) == whole(text)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_document_in_equal_pieces_renders_like_the_whole(size: int) -> None:
    sizes = [size] * (len(DOCUMENT) // size)
    assert in_pieces(DOCUMENT, sizes) == whole(DOCUMENT)


def test_all_strips_are_as_wide_as_asked_for() -> None:
    for width in (12, 44, 120):
        assert {strip.cell_length for strip in whole(DOCUMENT, width)} == {width}


def test_finished_blocks_are_not_rendered_again() -> None:
    stream = MarkdownStream()
    stream.update("# One\n\ntwo\n\nthree", finished=False)
    first = strips_of(stream)[0]
    stream.update("# One\n\ntwo\n\nthree four", finished=False)
    assert strips_of(stream)[0] is first


def test_a_long_open_fence_shows_every_line_and_is_exact_once_closed() -> None:
    lines = [f"x{n} = '{n}'" for n in range(5 * WINDOW)]
    text = "```python\n" + "\n".join(lines) + "\n```\n"
    stream = MarkdownStream()
    for end in range(0, len(text) - 4, 97):
        stream.update(text[:end], finished=False)
        strips_of(stream)
    stream.update(text[:-4], finished=False)
    label, *shown = texts(strips_of(stream))
    assert label.split() == ["python", "copy"]
    assert shown == lines
    stream.update(text, finished=False)
    assert strips_of(stream) == whole(text)


def test_a_narrower_screen_wraps_the_same_text_again() -> None:
    stream = MarkdownStream()
    stream.update("word " * 20, finished=False)
    assert len(strips_of(stream, 20)) > len(strips_of(stream, 60))
    assert strips_of(stream, 60) == whole("word " * 20, 60)


def test_markup_of_the_toolkit_is_plain_text() -> None:
    text = "[bold red]not markup[/] [@click=app.quit]x[/]"
    assert texts(whole(text, 80)) == [text]


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J\x9b1m", "`\x1b]0;t\x07`", "```\n\x1b[H\n```", "```\x1b\nx\n```", "&#13;&#12;&#155;",
     "| \x1b |\n|---|\n| \x08 |", "[a](http://x/\x1b)", "# \x1b"],
)  # fmt: skip
def test_no_control_character_reaches_a_strip(text: str) -> None:
    for strip in whole(text):
        assert all(segment.text.isprintable() for segment in strip)
        links = [segment.style.link for segment in strip if segment.style]
        assert all(link is None or link.isprintable() for link in links)


def test_a_link_says_where_it_leads_unless_its_text_does() -> None:
    assert texts(whole("[bank](http://evil.example) <http://a.example>", 80)) == [
        "bank (http://evil.example) http://a.example"
    ]


def test_links_are_links_for_the_terminal_too() -> None:
    (strip,) = whole("[here](https://example.com/a) [there](ftp://x)", 80)
    assert [segment.style.link for segment in strip if segment.text in ("here", "there")
            and segment.style] == ["https://example.com/a", None]  # fmt: skip
    assert "\x1b]8;" in strip.render(Console(color_system="truecolor", force_terminal=True))


def test_tasks_have_boxes_and_lists_nest() -> None:
    text = "- [ ] open\n- [x] done\n  - [X] **deep**\n  - [y] text\n1. [x] number\n"
    assert [strip.text.rstrip() for strip in whole(text, 40)] == [
        "  ☐ open", "  ☑ done", "    ☑ deep", "    ◦ [y] text", "", "  1. [x] number",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "שלום עולם, abc 123",
        "مرحبا بالعالم",
        "नमस्ते दुनिया",
        "日本語とﾊﾝｶｸ",
        "👩\u200d👧 🇯🇵 e\u0301 🌿",
    ],
)
def test_writing_of_any_kind_stays_as_it_is(text: str) -> None:
    assert texts(whole(text, 80)) == [text]
    assert "".join(texts(whole(f"- {text}", 12))).removeprefix("•").replace(" ", "") == (
        text.replace(" ", "")
    )
    table = texts(whole(f"| a |\n|---|\n| {text} |", 80))
    assert table[2] == text


def test_every_block_of_code_offers_to_be_copied() -> None:
    text = "```\na\n```\n\n    b\n\n> ```py\n> c\n> ```\n"
    offers = [strip for strip in whole(text, 40) if is_marked(strip, "copy")]
    assert len(offers) == len(code_blocks(text)) == 3
    assert [plain_text(strip).split() for strip in offers] == [[], [], ["▎", "py"]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*UNFENCED, "2. ", "2", "-", "text"]), max_size=18))
def test_text_that_comes_by_the_character_looks_all_the_while_as_if_it_came_at_once(
    pieces: list[str],
) -> None:
    text = "".join(pieces)
    growing = MarkdownStream()
    for end in range(len(text) + 1):
        growing.update(text[:end], finished=False)
        strips_of(growing)
    at_once = MarkdownStream()
    at_once.update(text, finished=False)
    assert strips_of(growing) == strips_of(at_once)


ROWS = (
    "- a\n", "- [x] done\n", "* b\n", "1. c\n", "2. d\n", "9. e\n", "3) f\n", "  - deep\n",
    "    more\n", "\n", "text\n", "-\n", "- - -\n", "***\n", "# h\n", "> q\n", "```\n", "-", "1",
    "1.", "10. g", "| a | b |\n", "|---|--:|\n", "| 1 | a longer cell |\n", "| 日本 |\n", "| x",
    "\r\n", "   - in\n",
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(ROWS), max_size=16))
def test_lists_and_tables_look_at_every_line_as_if_they_came_at_once(rows: list[str]) -> None:
    text, growing = "", MarkdownStream()
    for row in rows:
        for character in row:
            text += character
            growing.update(text, finished=False)
            shown = strips_of(growing)
        at_once = MarkdownStream()
        at_once.update(text, finished=False)
        if not text.endswith("`"):
            assert shown == strips_of(at_once)
    growing.update(text, finished=True)
    assert strips_of(growing) == whole(text)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("", "- item **{n}**\n"),
        ("", "{n}. item\n\n"),
        ("| n | m |\n|---|---|\n", "| {n} | `x` |\n"),
    ],
)
def test_what_is_complete_of_a_list_or_table_is_not_rendered_again(head: str, row: str) -> None:
    stream, text = MarkdownStream(), head + "".join(row.format(n=n) for n in range(10, 20))
    stream.update(text, finished=False)
    first = strips_of(stream)[2]
    for n in range(20, 30):
        text += row.format(n=n)
        stream.update(text, finished=False)
        assert strips_of(stream)[2] is first
    assert strips_of(stream) == whole(text)
