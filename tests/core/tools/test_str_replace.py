from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cody_core.tools import ToolResult
from cody_core.tools.str_replace import StrReplace
from support.editing import fill, intend, make, snapshot

TOOL = StrReplace()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


async def replace(work: Path, old: str, new: str, *, replace_all: bool = False) -> ToolResult:
    return await make(TOOL, work, path="f", old_str=old, new_str=new, replace_all=replace_all)


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\nb\nc\n", "b\nc", "B", b"a\nB\n"),
        (b"a\nb", "b", "", b"a\n"),
        (b"a\r\nb\r\nc", "a\nb", "a\nB", b"a\r\nB\r\nc"),
        (b"a\r\nb\r\nc", "a\r\nb", "x\r\ny\n", b"x\r\ny\r\n\r\nc"),
        (b"a\r\nb\nc\n", "a\nb", "x\ny", None),
        (b"\xe4 b", "b", "\xf6", b"\xe4 \xf6"),
        ("\N{SNOWMAN} b".encode(), "b", "c", "\N{SNOWMAN} c".encode()),
    ],
)
async def test_a_text_that_occurs_once_is_replaced(
    work: Path, before: bytes, old: str, new: str, after: bytes | None
) -> None:
    fill(work, {"f": before})
    assert (await replace(work, old, new)).success
    assert (work / "f").read_bytes() == (after or b"x\r\ny\nc\n")


async def test_what_is_done_is_shown_before_and_told_after(work: Path) -> None:
    fill(work, {"f": b"a\nb\n"})
    shown = await intend(TOOL, work, path="f", old_str="b", new_str="B\nC")
    assert shown.summary == "edit f (+2 −1)"  # noqa: RUF001 - a minus sign
    assert shown.preview == "--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n a\n-b\n+B\n+C\n"
    result = await make(TOOL, work, shown, path="f", old_str="b", new_str="B\nC")
    assert result == ToolResult("edited f (+2 −1)")  # noqa: RUF001 - a minus sign


async def test_all_occurrences_are_replaced_if_asked(work: Path) -> None:
    fill(work, {"f": b"a a\na\n"})
    assert (await replace(work, "a", "b", replace_all=True)).success
    assert (work / "f").read_bytes() == b"b b\nb\n"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("a", "b", "old_str occurs 2 times in 'f', at lines 1, 3."),
        ("xx", "b", "old_str occurs 2 times in 'f', at lines 4, 4."),
        ("", "b", "old_str is empty"),
        ("a", "a", "old_str and new_str are the same"),
        (
            "second lime",
            "b",
            "The nearest is at line 2; compare it character by character:\n2: sec",
        ),
        ("zzzzzzz", "b", "old_str does not occur in 'f', nor anything like it."),
    ],
)
async def test_a_text_that_is_not_there_exactly_once_is_refused(
    work: Path, old: str, new: str, problem: str
) -> None:
    fill(work, {"f": b"a\nsecond line\na\nxxx\n"})
    before = snapshot(work)
    result = await replace(work, old, new)
    assert problem in result.output
    assert not result.success
    assert snapshot(work) == before


async def test_what_cannot_be_edited_is_refused(work: Path) -> None:
    assert (
        "'f' does not exist. To create it use write_file." in (await replace(work, "a", "b")).output
    )
    fill(work, {"f": b"a\0"})
    assert "'f' is a binary file" in (await replace(work, "a", "b")).output
    fill(work, {"f": b"a" + b"x" * 5_000_000})
    assert "has 5.0 MB" in (await replace(work, "a", "b")).output
    fill(work, {"f": b"a" * 3_000})
    grown = await replace(work, "a", "b" * 2_000, replace_all=True)
    assert "'f' would have 6.0 MB" in grown.output
    assert (work / "f").read_bytes() == b"a" * 3_000


async def test_what_changed_since_it_was_shown_is_not_touched(work: Path) -> None:
    fill(work, {"f": b"a\n"})
    shown = await intend(TOOL, work, path="f", old_str="a", new_str="b")
    fill(work, {"f": b"a\nmore\n"})
    result = await make(TOOL, work, shown, path="f", old_str="a", new_str="b")
    assert "has changed since it was shown; read it again" in result.output
    assert (work / "f").read_bytes() == b"a\nmore\n"


async def test_calls_at_the_same_time_do_not_undo_each_other(work: Path) -> None:
    fill(work, {"f": b"".join(b"<%d>\n" % n for n in range(20))})
    calls = [replace(work, f"<{n}>", f"[{n}]") for n in range(20)]
    assert all(result.success for result in await asyncio.gather(*calls))
    assert (work / "f").read_bytes() == b"".join(b"[%d]\n" % n for n in range(20))
