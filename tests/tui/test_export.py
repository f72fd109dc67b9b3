"""Exports: what each format keeps, and that no file is ever lost to one."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.response import ErrorInfo
from cody_core.schema.threads import Thread, ThreadDetail
from markdown_it import MarkdownIt
from support.shapes import RUN, THREAD, response

from cody_tui.export import as_html, as_json, as_markdown, ending_of, file_name, save, write

CODE = "````md\n```py\nprint('<b>')\n```\n````"


def a_thread(*items: Item, title: str = "Bees & <wasps>", **fields: object) -> ThreadDetail:
    thread = Thread(id=THREAD, title=title, tags=("nature",), created_at=0, updated_at=1)
    prompt = Message(id="p", content="What is\n\n```\na bee?", origin="user")
    shape: dict[str, object] = {"input_items": (prompt,), "output_items": items, **fields}
    run = response(RUN, **shape)
    return ThreadDetail(thread=thread, runs=(run,))


def say(text: str) -> Message:
    return Message(id="m", content=text)


def fences(markdown: str) -> list[str]:
    tokens = MarkdownIt("commonmark").parse(markdown)
    return [token.content for token in tokens if token.type == "fence" and token.level == 0]


class Tags(HTMLParser):
    """Collects the tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_markdown_has_prompts_answers_and_code_as_it_was() -> None:
    text = as_markdown(a_thread(say(f"A bee.\n\n{CODE}\n\nThat's it.")))
    assert text.startswith(
        "# Bees & <wasps>\n\n*1970-01-01 00:00 UTC · tour · #nature*\n\n## You\n"
    )
    assert "\n> What is\n>\n> ```\n> a bee?\n\n## tour\n\nA bee.\n" in text
    assert fences(text) == ["```py\nprint('<b>')\n```\n"]
    assert text.endswith("That's it.\n")


def test_calls_are_folded_and_their_output_cannot_leave_its_fence() -> None:
    output = "</details>\n````\nfree\n`````"
    text = as_markdown(
        a_thread(
            FunctionCall(id="c", call_id="c1", name="ls<x>", arguments='{"a": 1}'),
            FunctionCallOutput(id="o", call_id="c1", output=output, success=False),
            ScriptExecution(id="s", code="run()"),
            ScriptExecutionOutput(id="t", script_id="s", result="1", success=True, logs="hm\n"),
            say("Done."),
        )
    )
    assert fences(text) == ['{"a": 1}\n', output + "\n", "run()\n", "1\n\nConsole:\nhm\n"]
    summaries = ["Call: ls&lt;x&gt;", "Output: failed", "Script", "Result"]
    assert [f"<summary>{name}</summary>" in text for name in summaries] == [True] * 4


def test_an_answer_that_was_cut_inside_a_fence_does_not_swallow_what_follows() -> None:
    cut = Cancelled(id="m", partial=say("Look:\n\n~~~py\nx = 1\n```"))
    text = as_markdown(a_thread(cut, status="aborted"))
    assert fences(text) == ["x = 1\n```\n"]
    assert text.endswith("~~~\n\n**Stopped.**\n")


def test_an_error_is_said_once() -> None:
    error = ErrorItem(id="e", code="c", message="it broke", partial=say("So f"))
    text = as_markdown(
        a_thread(error, status="error", error=ErrorInfo(code="c", message="it broke"))
    )
    assert text.count("it broke") == 1
    assert "So f" in text


def test_json_is_the_canonical_thread() -> None:
    detail = a_thread(Reasoning(id="r", content="hm"), say("\x1b[31m"))
    assert ThreadDetail.model_validate_json(as_json(detail)) == detail
    assert json.loads(as_json(detail))["thread"]["id"] == THREAD


def test_html_is_escaped_and_needs_nothing_else() -> None:
    evil = "<script>x()</script> [l](javascript:x) ![i](http://e.example/p.png) \x1b[31m **bold**"
    call = FunctionCall(id="c", call_id="c1", name="<i>", arguments="</pre><script>")
    page = as_html(a_thread(say(evil), call, title="</title><script>"))
    tags = Tags(page)
    assert not {"script", "img", "link", "i"} & set(tags.tags)
    assert {"strong", "details", "style"} <= set(tags.tags)
    assert [value for name, value in tags.attributes if name in ("src", "onerror", "href")] == [
        "http://e.example/p.png"
    ]
    assert "javascript:x" in tags.text
    assert "\x1b" not in page
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Fix: the /etc/passwd parser!", "fix-the-etc-passwd-parser.md"),
        ("天气 и Café", "天气-и-café.md"),
        ("../..", "thread.md"),
        ("x" * 300, "x" * 60 + ".md"),
    ],
)
def test_a_file_is_named_after_its_thread(title: str, name: str) -> None:
    assert file_name(a_thread(title=title), "md") == name


def test_a_file_that_exists_is_never_replaced(tmp_path: Path) -> None:
    detail = a_thread(title="bees")
    assert save(detail, tmp_path, "json").name == "bees.json"
    assert save(detail, tmp_path, "json").name == "bees-2.json"
    (tmp_path / "mine.md").write_text("mine")
    assert save(detail, tmp_path / "mine.md", "md").name == "mine-2.md"
    assert (tmp_path / "mine.md").read_text() == "mine"
    assert len(list(tmp_path.glob("*.*"))) == 4


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write("text", tmp_path / "nowhere" / "file.md")
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_a_home_that_does_not_exist_is_an_error_like_any_other() -> None:
    with pytest.raises(OSError, match="nobody is known by the name behind ~"):
        save(a_thread(), Path("~nosuchuser/bees.md"), "md")


def test_a_format_is_told_from_the_name_of_a_file() -> None:
    assert [ending_of(name) for name in ("a.HTML", "a/b.json", "md", "a.txt", ".md")] == [
        "html", "json", None, None, None,
    ]  # fmt: skip
