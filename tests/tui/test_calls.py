"""What is told of a call, and rows that are made only when they are looked at."""

from __future__ import annotations

import json
import time

import pytest
from cody_core.providers.demo_scripts import long_text
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from cody_tui.messages import Span
from cody_tui.widgets.arguments import details_of, note_of, subject_of, values_of
from cody_tui.widgets.call import CallBlock, Made, duration, took
from cody_tui.widgets.diff import edit_text
from cody_tui.widgets.palette import NAMES, Palette
from cody_tui.widgets.rows import JoinedRows, Look, TextRows
from cody_tui.widgets.script import OutcomeBlock, ScriptBlock

PALETTE = Palette({name: Style(color=f"color({n})") for n, name in enumerate(NAMES, 1)})
PATCH = (
    "*** Begin Patch\n*** Update File: src/a.py\n@@ def f\n context\n-old\n+new\n+newer\n"
    "*** Delete File: b.py\n*** End Patch\n"
)
PLAN = {
    "explanation": "It is longer than I thought.",
    "plan": [
        {"step": "look", "status": "completed"},
        {"step": "mend it", "status": "in_progress"},
        {"step": "test", "status": "pending"},
    ],
}


def told(name: str, arguments: object) -> str:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return subject_of(name, text, values_of(text))


@pytest.mark.parametrize(
    ("name", "arguments", "subject"),
    [
        ("shell", {"command": "ls -l\npwd", "timeout_s": 5}, "ls -l pwd"),
        ("read_file", {"path": "a.py"}, "a.py"),
        ("read_file", {"file_path": "a.py", "offset": 40}, "a.py:40"),
        ("list_dir", {"path": "src", "depth": 1}, "src"),
        ("grep_files", {"pattern": "TO+DO", "path": "src"}, "TO+DO  in src"),
        ("str_replace", {"path": "a.py", "old_str": "x", "new_str": "y"}, "a.py"),
        ("write_file", {"path": "a.py", "content": "x"}, "a.py"),
        ("apply_patch", {"input": PATCH}, "src/a.py, b.py"),
        ("update_plan", PLAN, "1/3 steps · mend it"),
        ("get_time", {"zone": "UTC", "short": True}, 'zone="UTC", short=true'),
        ("get_time", {}, ""),
        ("shell", ["not", "an", "object"], ""),
        ("get_time", "in Kyoto", "in Kyoto"),
        ("shell", '{"command": "echo \\"hi', 'echo "hi'),
        ("write_file", '{"path": "a.py", "content": "lots and', "a.py"),
        ("apply_patch", '{"input": "*** Begin Patch\\n*** Update File: a.py\\n@', "a.py"),
        ("shell", '{"com', ""),
    ],
)
def test_a_call_is_told_by_the_argument_that_matters(
    name: str, arguments: object, subject: str
) -> None:
    assert told(name, arguments) == subject


def test_an_edit_is_told_as_a_diff_with_its_size() -> None:
    patch = {"input": PATCH}
    assert edit_text("apply_patch", patch) == PATCH.strip().removeprefix(
        "*** Begin Patch\n"
    ).removesuffix("\n*** End Patch")
    assert note_of("apply_patch", patch) == "+2 \N{MINUS SIGN}1"
    replaced = {"old_str": "a\nb\nc", "new_str": "a\nB\nc"}
    assert edit_text("str_replace", replaced) == " a\n-b\n+B\n c"
    assert edit_text("write_file", {"content": "x\n\ny\n"}) == "+x\n+\n+y"
    assert edit_text("write_file", {"content": 7}) is None
    assert edit_text("shell", {"command": "ls"}) is None


def test_the_steps_of_a_plan_have_signs() -> None:
    text = json.dumps(PLAN)
    assert details_of("update_plan", text, values_of(text)).split("\n") == [
        "It is longer than I thought.", "☑ look", "● mend it", "☐ test",
    ]  # fmt: skip


def test_details_say_what_the_line_has_not_said() -> None:
    def details(name: str, **values: object) -> str:
        return details_of(name, json.dumps(values), values)

    assert details("read_file", path="a.py") == ""
    assert details("shell", command="ls") == ""
    assert details("shell", command="ls\npwd", workdir="/") == "$ ls\npwd\nworkdir: /"
    assert details("other", a="one\ntwo", b=[1]) == "a: \n  one\n  two\nb: [\n  1\n]"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.25, "0.2 s"), (9.4, "9.4 s"), (45.2, "45 s"), (125, "2 min 5 s")]
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_time_that_is_next_to_nothing_or_unknown_is_left_out() -> None:
    assert took(None) == ""
    assert took(Span(1_000, 1_050)) == ""
    assert took(Span(1_000, 2_200)) == "1.2 s"
    assert took(Span(1_000, 2_200), since=2_000) == "0.2 s"


def rows_of(text: str, width: int = 20, asked: list[str] | None = None) -> TextRows:
    def style(line: str) -> Style:
        if asked is not None:
            asked.append(line)
        return Style.null()

    return TextRows(Look(width + 4, width, (), Style.null(), style), text)


def test_a_megabyte_of_output_costs_the_rows_that_are_seen() -> None:
    asked: list[str] = []
    rows = rows_of("0123456789 0123456789 0123\n" * 40_000, asked=asked)
    assert len(rows) == 80_000
    assert not asked
    seen = rows[60_000:60_040]
    assert len(seen) == len(asked) == 40
    assert [strip.text.strip() for strip in seen[:2]] == ["0123456789 012345678", "9 0123"]
    assert rows[60_001] is seen[1]


@given(st.text("ab \t\n\r日é👩\u200d👧\x1b"), st.integers(4, 30))
def test_folded_rows_hold_the_whole_text(text: str, width: int) -> None:
    rows = rows_of(text, width)
    assert all(strip.cell_length == width + 4 for strip in rows)
    joined = "".join(strip.text[2:].rstrip() for strip in rows)
    whole = rows_of(text, 10_000)
    flat = "".join(strip.text[2:].rstrip() for strip in whole)
    assert joined.replace(" ", "") == flat.replace(" ", "")


@given(st.text("ab \t\n\r日\x1b", max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_text_that_grows_ends_as_the_text_that_was_there_at_once(
    text: str, cuts: list[int]
) -> None:
    growing = rows_of("", 8)
    for cut in sorted(cuts):
        growing.update(text[:cut])
        assert len(list(growing)) == len(growing)
    growing.update(text)
    assert list(growing) == list(rows_of(text, 8))


def test_joined_rows_are_the_rows_of_their_parts() -> None:
    parts = [rows_of("a\nb"), [], rows_of("c")]
    joined = JoinedRows(parts)
    assert [strip.text.strip() for strip in joined] == ["a", "b", "c"]
    assert joined[-1].text.strip() == "c"
    with pytest.raises(IndexError):
        joined[3]


def texts(block: CallBlock | ScriptBlock | OutcomeBlock) -> list[str]:
    return [strip.text[2:].rstrip() for strip in block.strips(60, PALETTE)]


def test_a_running_call_shows_the_end_of_its_output_and_a_done_one_none() -> None:
    output = "".join(f"line {n}\n" for n in range(20))
    block = CallBlock()
    block.update(Made("shell", '{"command": "make"}', output=output))
    assert texts(block) == [
        "● shell  make ▸", "  … 15 lines above", *(f"  line {n}" for n in range(15, 20)),
    ]  # fmt: skip
    block.update(Made("shell", '{"command": "make"}', "done", output, Span(0, 1_200)))
    assert texts(block) == ["✓ shell  make  1.2 s ▸"]
    block.toggle()
    assert texts(block) == ["✓ shell  make  1.2 s ▾", *(f"  │ line {n}" for n in range(20))]


def test_a_failed_call_says_why_in_its_first_lines() -> None:
    block = CallBlock(inset=True)
    block.update(Made("shell", '{"command": "make"}', "failed", "a\nb\nc\nd\n"))
    assert texts(block) == ["  ✗ shell  make ▸", "    a", "    b", "    c", "    … 1 more line"]


def test_a_long_argument_is_cropped_and_the_line_keeps_its_end() -> None:
    block = CallBlock()
    call = Made("shell", json.dumps({"command": "x" * 300}), "done", "", Span(0, 5_000))
    block.update(call)
    (line,) = texts(block)
    assert line.endswith("x…  5.0 s ▸")
    assert len(line) <= 56


def test_the_time_that_somebody_took_to_answer_is_not_the_call_s_own() -> None:
    block = CallBlock()
    asked_at = round(time.time() * 1000) - 60_000
    block.update(Made("shell", "{}", "asking", span=Span(asked_at), preview="rm -r x"))
    assert texts(block) == ["? shell"]
    block.update(Made("shell", "{}", "done", "", Span(asked_at, asked_at + 60_000)))
    assert texts(block) == ["✓ shell"]
    block.update(Made("shell", "{}", "done", "", Span(asked_at, asked_at + 120_000)))
    assert texts(block) in (["✓ shell  60 s"], ["✓ shell  1 min 0 s"])


def test_the_diff_that_was_asked_about_is_the_one_that_is_shown() -> None:
    block = CallBlock()
    arguments = json.dumps({"path": "a", "content": "new"})
    block.update(Made("write_file", arguments, "asking", preview="--- a/a\n+++ b/a\n-old\n+new"))
    block.update(Made("write_file", arguments, "done", "wrote a"))
    block.toggle()
    assert texts(block) == [
        "✓ write_file  a  +1 \N{MINUS SIGN}0 ▾", "  --- a/a", "  +++ b/a", "  -old", "  +new",
        "  │ wrote a",
    ]  # fmt: skip
    style = {segment.text.strip(): segment.style for strip in block.strips(60, PALETTE)
             for segment in strip}  # fmt: skip
    assert style["-old"] == PALETTE["deleted"]
    assert style["+new"] == PALETTE["inserted"]


def test_a_short_script_is_shown_and_can_be_closed_and_a_long_one_opened() -> None:
    block = ScriptBlock()
    block.update("one\ntwo", "done", None)
    assert texts(block) == ["✓ script ▾", "  │ one", "  │ two"]
    block.toggle()
    assert texts(block) == ["✓ script ▸"]
    block = ScriptBlock()
    block.update("\n".join(map(str, range(30))), "running", None)
    assert texts(block)[-1] == "  │ … 10 more lines"
    block.toggle()
    assert texts(block)[-1] == "  │ 29"


def test_an_outcome_opens_to_all_that_was_logged() -> None:
    block = OutcomeBlock()
    block.update("\n".join(map(str, range(9))), "[1]", success=True)
    assert texts(block)[-2:] == ["  … 3 more lines", "  → [1]"]
    assert block.foldable
    block.toggle()
    assert texts(block)[-2:] == ["  8", "  → [1]"]


def test_output_that_is_opened_while_it_grows_is_not_counted_again() -> None:
    block = CallBlock()
    text = long_text()
    block.update(Made("shell", '{"command": "x"}', output=text))
    block.toggle()
    first = block.strips(60, PALETTE)[3]
    block.update(Made("shell", '{"command": "x"}', output=f"{text}\nmore"))
    assert block.strips(60, PALETTE)[3] is first
    assert block.strips(60, PALETTE)[-1].text.strip() == "│ more"
