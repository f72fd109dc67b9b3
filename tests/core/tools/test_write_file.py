from __future__ import annotations

from pathlib import Path

import pytest
from cody_core.tools import ToolResult
from cody_core.tools.write_file import WriteFile
from support.editing import fill, intend, make, snapshot

TOOL = WriteFile()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


async def test_a_new_file_is_written_with_its_directories(work: Path) -> None:
    shown = await intend(TOOL, work, path="x/y/f", content="a\n")
    assert shown.summary == "add x/y/f (+1 −0)"  # noqa: RUF001 - a minus sign
    assert shown.basis == {work / "x/y/f": None}
    assert snapshot(work) == {}
    result = await make(TOOL, work, shown, path="x/y/f", content="a\n")
    assert result == ToolResult("added x/y/f (+1 −0)")  # noqa: RUF001 - a minus sign
    assert snapshot(work) == {"x": None, "x/y": None, "x/y/f": b"a\n"}


@pytest.mark.parametrize(
    ("before", "content", "after"),
    [
        (b"a\n", "b", b"b"),
        (b"a\r\nb\r\n", "c\nd\n", b"c\r\nd\r\n"),
        (b"a\n", "c\r\n", b"c\r\n"),
        (b"\xef\xbb\xbfa\n", "b\n", b"\xef\xbb\xbfb\n"),
        (b"\xe4\n", "\xe4\n", b"\xc3\xa4\n"),
        (b"a", "", b""),
    ],
)
async def test_a_file_is_replaced_in_its_own_way(
    work: Path, before: bytes, content: str, after: bytes
) -> None:
    fill(work, {"f": before})
    assert (await make(TOOL, work, path="f", content=content)).success
    assert (work / "f").read_bytes() == after


@pytest.mark.parametrize(
    "name", ["line\nbreak", "\x1b[31mred", "a b", " ", "\u202ecod", "-rf", "é"]
)
async def test_any_name_is_written_and_told_in_one_line(work: Path, name: str) -> None:
    path = f"./{name}" if name.strip() else f"dir/{name}"
    shown = await intend(TOOL, work, path=path, content="a\n")
    assert shown.summary.isprintable()
    assert "\n+++ b/" in f"\n{shown.preview}" or '+++ "b/' in (shown.preview or "")
    assert (shown.preview or "").count("\n") == 4
    assert (await make(TOOL, work, shown, path=path, content="a\n")).success
    assert (work / path).read_bytes() == b"a\n"


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("f", "a\n", "'f' has this very content already."),
        ("bin", "a", "'bin' is a binary file"),
        ("f", "\0", "has a null character"),
        pytest.param("new", "x" * 5_000_000, "'new' would have 5.0 MB; at most 4", id="large"),
        (".", "x", "is a directory"),
        ("f/g", "x", "'f/g' cannot be read: Not a directory"),
        ("", "x", "'' is not a path"),
        ("n" * 300, "x", "File name too long"),
    ],
)
async def test_what_cannot_be_written_is_refused(
    work: Path, path: str, content: str, problem: str
) -> None:
    fill(work, {"f": b"a\n", "bin": b"\0"})
    before = snapshot(work)
    result = await make(TOOL, work, path=path, content=content)
    assert problem in result.output
    assert not result.success
    assert snapshot(work) == before


async def test_a_file_that_appeared_since_is_not_overwritten(work: Path) -> None:
    shown = await intend(TOOL, work, path="f", content="a\n")
    fill(work, {"f": b"mine\n"})
    result = await make(TOOL, work, shown, path="f", content="a\n")
    assert "has changed since it was shown" in result.output
    assert (work / "f").read_bytes() == b"mine\n"
