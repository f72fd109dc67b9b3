from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from cody_core.errors import ToolError
from cody_core.tools.edits import MAX_PREVIEW, Change, intent, to_the_end
from cody_core.tools.edits_commit import ONE_AT_A_TIME, Step, commit
from cody_core.tools.edits_diff import diff
from cody_core.tools.edits_text import Text
from cody_core.tools.write_file import Arguments, WriteFile
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.editing import context, fill, snapshot


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The directory that a test has to itself."""
    return tmp_path / "work"


PIECES = st.sampled_from(
    [b"\n", b"\r\n", b"\r", b"a", b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"--- a"]
)
DATA = st.lists(PIECES, max_size=20).map(b"".join)
PLAIN = st.lists(
    st.sampled_from(["\n", "a", "é", "\u2028", "--- a", "+b", " ", "\\"]), max_size=20
).map(lambda pieces: "".join(pieces).encode())


@given(DATA)
@example(b"\r\r\n")
@example(b"\xef\xbb\xbf\xef\xbb\xbfa\r\n")
def test_what_is_read_as_text_is_written_byte_by_byte(data: bytes) -> None:
    text = Text.decode(data, "f")
    assert text.with_text(text.text).encode("f") == data


def test_a_text_is_changed_in_the_encoding_and_line_ends_it_has() -> None:
    text = Text.decode(b"\xef\xbb\xbfa\r\nb\r\n", "f")
    assert text.text == "a\nb\n"
    assert text.with_text("ä\nb\r\n").encode("f") == b"\xef\xbb\xbf\xc3\xa4\r\nb\r\n"
    assert Text.decode(b"\xe4\n", "f").with_text("äö\n").encode("f") == b"\xe4\xf6\n"
    with pytest.raises(ToolError, match="'f' cannot hold the character"):
        Text.decode(b"\xe4\n", "f").with_text("\u2013").encode("f")


@pytest.mark.parametrize("name", ["plain.txt", "dir/a b.txt", "line\nbreak", 'q"uote', "tab\té"])
@settings(max_examples=12, deadline=None)
@given(before=st.none() | PLAIN, after=st.none() | PLAIN)
def test_git_applies_the_diff_and_gets_the_same_bytes(
    name: str, before: bytes | None, after: bytes | None
) -> None:
    assume(before != after and (before or after))
    patch = diff(before, after, name, name).text.encode()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        if before is not None:
            fill(root, {name: before})
        apply = ["git", "apply", "--unidiff-zero", "--whitespace=nowarn", "-"]
        subprocess.run(apply, input=patch, cwd=root, check=True)
        found = (root / name).read_bytes() if (root / name).exists() else None
    assert found == after


def test_a_diff_says_what_comes_goes_and_has_no_newline() -> None:
    found = diff(b"a\nb\nc", b"a\nB\nc\n", "x", "x")
    assert found.text == (
        "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-b\n-c\n\\ No newline at end of file\n+B\n+c\n"
    )
    assert (found.added, found.removed) == (2, 2)


def test_a_diff_of_what_no_text_can_show_names_it() -> None:
    assert diff(b"a", None, "x", "x").text.startswith("--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n")
    assert diff(b"\0", None, "x", "x").text == "Binary files a/x and /dev/null differ\n"
    assert diff(b"a", b"a", "x", "y").text == "rename from x\nrename to y\n"
    assert diff(b"a\r\n", b"a\n", "x", "x").text.endswith("-a\r\n+a\n")
    assert diff(None, b"", "x\n+++ b/y", "x\n+++ b/y").text == (
        '--- /dev/null\n+++ "b/x\\n+++ b/y"\n'
    )


def test_a_large_difference_is_shown_in_reasonable_time() -> None:
    before = b"".join(b"%d\n" % (n % 97) for n in range(30_000))
    after = before[:6] + b"".join(b"%d\n" % (n % 89) for n in range(30_000)) + before[-6:]
    found = diff(before, after, "x", "x")
    assert found.added - found.removed == after.count(b"\n") - before.count(b"\n")


def test_a_long_preview_is_capped_and_says_so(work: Path) -> None:
    data = b"line\n" * 20_000
    shown = intent([Change(work / "a", None, data, "a")])
    assert shown.summary == "add a (+20000 −0)"  # noqa: RUF001 - a minus sign
    assert shown.preview is not None
    assert len(shown.preview) < MAX_PREVIEW + 100
    kept, _, note = shown.preview.partition("\n… the preview ends here, ")
    left = 20_003 - kept.count("\n")
    assert note == f"{left} more lines are not shown\n"


def test_many_files_are_not_all_named(work: Path) -> None:
    changes = [Change(work / str(n), None, b"", f"{n}\n") for n in range(9)]
    shown = intent(changes)
    assert shown.summary.endswith(', add "5\\n" (+0 −0), and 3 more files')  # noqa: RUF001
    assert "\n" not in shown.summary
    assert len(shown.paths) == 9


def test_steps_are_done_and_nothing_else_is_left(work: Path) -> None:
    fill(work, {"a": b"1", "b": b"2"})
    commit(
        [
            Step(work / "a", b"1", b"one"),
            Step(work / "b", b"2", None),
            Step(work / "x/y/c", None, b"3"),
        ]
    )
    assert snapshot(work) == {"a": b"one", "x": None, "x/y": None, "x/y/c": b"3"}


def test_permissions_stay_and_new_files_get_the_usual_ones(work: Path) -> None:
    fill(work, {"a": b"1", "b": b"2"})
    (work / "a").chmod(0o751)
    (work / "b").chmod(0o711)
    mask = os.umask(0o027)
    try:
        commit(
            [
                Step(work / "a", b"1", b"one"),
                Step(work / "c", None, b"2", like=work / "b"),
                Step(work / "new", None, b"2"),
            ]
        )
    finally:
        os.umask(mask)
    modes = [stat.S_IMODE((work / name).stat().st_mode) for name in ("a", "c", "new")]
    assert modes == [0o751, 0o711, 0o640]


def failing(root: Path) -> list[Step]:
    """Steps of which the last but one finds a directory where its file should be."""
    return [
        Step(root / "edited", b"1", b"one"),
        Step(root / "deleted", b"2", None),
        Step(root / "made/new", None, b"3"),
        Step(root / "a", None, b"4"),
        Step(root / "a/b", None, b"5"),
    ]


def test_when_a_step_fails_those_before_it_are_taken_back(work: Path) -> None:
    fill(work, {"edited": b"1", "deleted": b"2"})
    (work / "edited").chmod(0o755)
    with pytest.raises(ToolError, match="'a' is a directory"):
        commit(failing(work))
    assert snapshot(work) == {"edited": b"1", "deleted": b"2"}
    assert stat.S_IMODE((work / "edited").stat().st_mode) == 0o755


def test_what_cannot_be_taken_back_is_said_and_kept(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(work, {"edited": b"1", "other": b"2"})
    rename, calls = os.rename, 0

    def full(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(28, "No space left on device")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", full)
    steps = [Step(work / "edited", b"1", b"one"), Step(work / "other", b"2", b"two")]
    with pytest.raises(ToolError, match=r"could not be taken back: .*its old content is in '(.*)'"):
        commit(steps)
    left = {name: data for name, data in snapshot(work).items() if name.endswith(".tmp")}
    assert list(left.values()) == [b"1"]
    assert (work / "other").read_bytes() == b"2"


def test_a_file_that_is_not_what_it_was_is_left_alone(work: Path) -> None:
    fill(work, {"a": b"1", "b": b"2"})
    with pytest.raises(ToolError, match="has changed meanwhile"):
        commit([Step(work / "a", b"1", b"one"), Step(work / "b", b"other", b"two")])
    with pytest.raises(ToolError, match="has changed meanwhile"):
        commit([Step(work / "a", None, b"one")])
    assert snapshot(work) == {"a": b"1", "b": b"2"}


def test_a_link_put_in_the_way_is_not_followed(work: Path) -> None:
    fill(work, {"outside/a": b"1", "file": b"1"})
    (work / "dir").symlink_to(work / "outside")
    (work / "link").symlink_to(work / "file")
    before = snapshot(work)
    for path, data in ((work / "dir/a", b"1"), (work / "link", b"1")):
        with pytest.raises(ToolError, match="cannot be written"):
            commit([Step(path, data, b"2")])
    with pytest.raises(ToolError, match="cannot be written"):
        commit([Step(work / "dir/new", None, b"2")])
    assert snapshot(work) == before


def test_what_is_no_file_does_not_block(work: Path) -> None:
    os.mkfifo(work / "pipe")
    with pytest.raises(ToolError, match="not a regular file"):
        commit([Step(work / "pipe", b"", b"2")])


async def test_a_cancelled_call_returns_when_its_change_is_made(work: Path) -> None:
    arguments = Arguments(path="a", content="text")
    async with asyncio.TaskGroup() as tasks:
        with ONE_AT_A_TIME:
            call = tasks.create_task(WriteFile().call(arguments, context(work)))
            for _ in range(3):
                await asyncio.sleep(0)
                call.cancel()
            await asyncio.sleep(0)
            waits = not call.done()
            untouched = not snapshot(work)
        await asyncio.wait([call])
    assert (waits, untouched, call.cancelled()) == (True, True, True)
    assert snapshot(work) == {"a": b"text"}


async def test_work_that_fails_fails_as_itself() -> None:
    def work() -> None:
        raise ToolError("no")

    with pytest.raises(ToolError, match="no"):
        await to_the_end(work)
