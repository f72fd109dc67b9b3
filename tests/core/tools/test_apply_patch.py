from __future__ import annotations

import asyncio
import stat
import tempfile
from pathlib import Path

import pytest
from cody_core.errors import ToolError
from cody_core.tools import ToolResult
from cody_core.tools.apply_patch import ApplyPatch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.editing import fill, intend, make, snapshot

TOOL = ApplyPatch()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def wrap(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


async def refused(work: Path, patch: str) -> str:
    """Apply a patch that must be refused, to be called as to be shown, and change nothing."""
    before = snapshot(work)
    result = await make(TOOL, work, input=patch)
    assert not result.success
    with pytest.raises(ToolError) as caught:
        await intend(TOOL, work, input=patch)
    assert caught.value.message == result.output
    assert snapshot(work) == before
    return result.output


MANY = wrap(
    "*** Add File: new/b.txt",
    "+one",
    "+two",
    "*** Delete File: old.txt",
    "*** Update File: src/a.py",
    "-x = 1",
    "+x = 2",
    "*** Update File: run.sh",
    "*** Move to: bin/run",
    "@@",
    " #!/bin/sh",
    "+exit",
)


async def test_a_patch_adds_deletes_updates_and_moves(work: Path) -> None:
    fill(work, {"old.txt": b"gone\n", "src/a.py": b"x = 1\n", "run.sh": b"#!/bin/sh\n"})
    (work / "run.sh").chmod(0o755)
    shown = await intend(TOOL, work, input=MANY)
    assert shown.summary == (
        "add new/b.txt (+2 −0), delete old.txt (+0 −1), edit src/a.py (+1 −1), "  # noqa: RUF001
        "move run.sh to bin/run (+1 −0)"  # noqa: RUF001
    )
    assert shown.preview == (
        "--- /dev/null\n+++ b/new/b.txt\n@@ -0,0 +1,2 @@\n+one\n+two\n"
        "--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"
        "--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
        "rename from run.sh\nrename to bin/run\n"
        "--- a/run.sh\n+++ b/bin/run\n@@ -1 +1,2 @@\n #!/bin/sh\n+exit\n"
    )
    names = ("new/b.txt", "old.txt", "src/a.py", "run.sh", "bin/run")
    assert shown.paths == tuple(work / name for name in names)
    result = await make(TOOL, work, shown, input=MANY)
    assert result == ToolResult(
        "added new/b.txt (+2 −0)\ndeleted old.txt (+0 −1)\n"  # noqa: RUF001
        "edited src/a.py (+1 −1)\nmoved run.sh to bin/run (+1 −0)"  # noqa: RUF001
    )
    assert snapshot(work) == {
        "bin": None,
        "bin/run": b"#!/bin/sh\nexit\n",
        "new": None,
        "new/b.txt": b"one\ntwo\n",
        "src": None,
        "src/a.py": b"x = 2\n",
    }
    assert stat.S_IMODE((work / "bin/run").stat().st_mode) == 0o755


async def test_the_patch_may_be_called_patch(work: Path) -> None:
    result = await make(TOOL, work, patch=wrap("*** Add File: a", "+x"))
    assert result.success
    assert list(TOOL.arguments.model_json_schema()["properties"]) == ["input"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\r\nb\r\n", b"a\r\nc\r\n"),
        (b"a\r\nb", b"a\r\nc"),
        (b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfa\nc\n"),
        (b"\xe4\nb\n", None),
    ],
)
async def test_line_ends_and_encoding_stay(work: Path, before: bytes, after: bytes | None) -> None:
    fill(work, {"f": before})
    assert (await make(TOOL, work, input=wrap("*** Update File: f", "-b", "+c"))).success
    assert (work / "f").read_bytes() == (after or b"\xe4\nc\n")


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        (wrap("*** Add File: a", "+x"), "Line 2 of the patch adds 'a', which exists."),
        (wrap("*** Delete File: no"), "Line 2 of the patch is about 'no', which does not exist."),
        (wrap("*** Update File: no", "-a", "+b"), "about 'no', which does not exist."),
        (wrap("*** Update File: a", "*** Move to: b"), "'a' cannot be moved to 'b', which exists."),
        (
            wrap("*** Update File: a", " 1"),
            "The update of 'a' at line 2 of the patch changes nothi",
        ),
        (wrap("*** Update File: bin", "-1", "+2"), "'bin' is a binary file"),
        (wrap("*** Delete File: dir"), "is a directory."),
        (wrap("*** Add File: a/b", "+x"), "'a/b' cannot be read: Not a directory"),
        (wrap("*** Delete File: a", "*** Update File: ./a", "-1", "+2"), "Line 3 of the patch is"),
        (wrap("*** Update File: a", "*** Move to: n", "*** Add File: n", "+x"), "as line 2 is"),
        (wrap("*** Delete File: large"), "has 5.0 MB, too many to be edited this way (at most 4"),
        (wrap("*** Add File: \0", "+x"), "is not a path"),
        (wrap("*** Add File: n", "+\0"), "has a null character"),
        (wrap(), "The patch is empty"),
        ("", "must begin with"),
    ],
)
async def test_what_cannot_be_done_is_refused(work: Path, patch: str, problem: str) -> None:
    fill(work, {"a": b"1\n", "b": b"2\n", "bin": b"1\n\0", "dir/x": b"", "large": b"x" * 5_000_000})
    assert problem in await refused(work, patch)


CHANGES = {
    "a": ["*** Update File: a", "-1", "+one"],
    "b": ["*** Update File: b", "*** Move to: moved/b", "-2", "+two"],
    "c": ["*** Delete File: c"],
    "d": ["*** Add File: d/e/f", "+x"],
}


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(sorted(CHANGES)), at=st.integers(0, 4))
async def test_a_hunk_that_does_not_match_changes_no_file(order: list[str], at: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        fill(work, {"a": b"1\n", "b": b"2\n", "c": b"3\n", "z": b"26 lines\n"})
        parts = [CHANGES[name] for name in order]
        parts.insert(at, ["*** Update File: z", "-27 lines", "+28"])
        output = await refused(work, wrap(*[line for part in parts for line in part]))
        assert "z: the hunk at line" in output
        assert "1: 26 lines" in output


async def test_paths_are_shown_where_they_lead(work: Path) -> None:
    outside = work.parent / "outside"
    fill(outside, {"secret": b"1\n"})
    (work / "link").symlink_to(outside / "secret")
    (work / "dir").symlink_to(outside)
    patch = wrap(
        *("*** Update File: link", "-1", "+2"),
        *("*** Add File: dir/new", "+x"),
        *("*** Add File: ../outside/other", "+x"),
    )
    shown = await intend(TOOL, work, input=patch)
    assert shown.paths == tuple(outside / name for name in ("secret", "new", "other"))
    assert f"--- a/{outside}/secret\n" in (shown.preview or "")
    assert (await make(TOOL, work, shown, input=patch)).success
    assert snapshot(outside) == {"new": b"x\n", "other": b"x\n", "secret": b"2\n"}
    assert (work / "link").is_symlink()


@pytest.mark.parametrize("patch", [CHANGES["a"], CHANGES["c"], CHANGES["d"]])
async def test_what_changed_since_it_was_shown_is_not_touched(work: Path, patch: list[str]) -> None:
    fill(work, {"a": b"1\n", "c": b"3\n"})
    shown = await intend(TOOL, work, input=wrap(*CHANGES["a"], *CHANGES["c"], *CHANGES["d"]))
    name = patch[0].partition(": ")[2]
    fill(work, {name: b"1\n4\n"})
    before = snapshot(work)
    result = await make(TOOL, work, shown, input=wrap(*CHANGES["a"], *CHANGES["c"]))
    if name != "d/e/f":
        assert f"'{work / name}' has changed since it was shown; read it again" in result.output
        assert snapshot(work) == before
    result = await make(TOOL, work, shown, input=wrap(*patch))
    assert not result.success
    assert (work / name).read_bytes() == b"1\n4\n"


async def test_another_file_than_the_one_shown_is_not_touched(work: Path) -> None:
    fill(work, {"one/a": b"1\n", "two/a": b"1\n"})
    (work / "dir").symlink_to(work / "one")
    patch = wrap("*** Update File: dir/a", "-1", "+2")
    shown = await intend(TOOL, work, input=patch)
    (work / "dir").unlink()
    (work / "dir").symlink_to(work / "two")
    before = snapshot(work)
    assert "has changed since it was shown" in (await make(TOOL, work, shown, input=patch)).output
    assert snapshot(work) == before


async def test_calls_at_the_same_time_do_not_undo_each_other(work: Path) -> None:
    lines = [f"line {n}" for n in range(20)]
    fill(work, {"a": "\n".join([*lines, ""]).encode()})
    patches = [wrap("*** Update File: a", f"-{line}", f"+{line}!") for line in lines]
    results = await asyncio.gather(*[make(TOOL, work, input=patch) for patch in patches])
    assert all(result.success for result in results)
    assert (work / "a").read_bytes() == "".join(f"{line}!\n" for line in lines).encode()
