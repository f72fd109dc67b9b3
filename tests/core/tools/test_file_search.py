from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from cody_core.errors import ToolError
from cody_core.tools import Intent, ToolContext
from cody_core.tools.file_search import FileSearch, FileSearchArguments, Likeness, Listing
from hypothesis import given
from hypothesis import strategies as st


async def ignore(text: str) -> None:
    """Nobody watches."""


def context(workspace: Path) -> ToolContext:
    return ToolContext("run", "call", ignore, workspace=workspace)


async def search(workspace: Path, query: str, limit: int = 20) -> list[str]:
    arguments = FileSearchArguments(query=query, limit=limit)
    result = await FileSearch().call(arguments, context(workspace))
    result.output.encode()
    return result.output.splitlines()


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("app", "src/app.py", "a/p/p.py"),
        ("app", "src/app.py", "src/wrapper.py"),
        ("app", "src/app.py", "app/index.js"),
        ("tr", "tools/registry.py", "tools/start.py"),
        ("treg", "tests/test_registry.py", "trees/big.py"),
        ("cs", "ChatScreen.tsx", "docs.tsx"),
        ("tools/reg", "core/tools/registry.py", "core/tools/grep.py"),
    ],
)
def test_the_likelier_path_wins(query: str, better: str, worse: str) -> None:
    likeness = Likeness(query)
    first, second = likeness.score(better), likeness.score(worse)
    assert first is not None
    assert second is None or first > second


@given(st.text(min_size=1, max_size=12), st.text(max_size=40))
def test_a_path_is_like_what_it_holds_in_order_and_nothing_else(query: str, path: str) -> None:
    wanted = "".join(query.lower().split())
    rest = iter(path.lower())
    holds = all(character in rest for character in wanted)
    likeness = Likeness(query)
    if likeness:
        assert (likeness.score(path) is not None) == holds


async def test_files_are_found_best_first_and_ignored_ones_are_not(tmp_path: Path) -> None:
    make(tmp_path, "src/app.py", "src/wrapper.py", "out/app.py", ".git/app", ".github/app.yml")
    (tmp_path / ".gitignore").write_text("out/\n")
    assert await search(tmp_path, "APP py") == ["src/app.py", "src/wrapper.py"]
    assert await search(tmp_path, "github") == [".github/app.yml"]
    assert await search(tmp_path, "app", 1) == ["src/app.py", "… 2 more, less alike"]


async def test_nothing_like_it_is_said(tmp_path: Path) -> None:
    make(tmp_path, "a")
    assert await search(tmp_path, "zz") == ["No path among 1 files is like 'zz'."]
    with pytest.raises(ToolError, match="nothing but spaces"):
        await search(tmp_path, "  ")


async def test_hostile_names_stay_on_their_line(tmp_path: Path) -> None:
    make(tmp_path, "qa\nb", os.fsdecode(b"qcaf\xe9"), "q\x1b]0;title\x07")
    (tmp_path / "qloop").symlink_to(".", target_is_directory=True)
    assert sorted(await search(tmp_path, "q")) == [
        "'q\\x1b]0;title\\x07'",
        "'qa\\nb'",
        "'qcaf\\udce9'",
        "qloop",
    ]


async def test_the_intent_names_the_workspace(tmp_path: Path) -> None:
    intent = await FileSearch().intend(FileSearchArguments(query="a\nb"), context(tmp_path))
    assert intent == Intent("find files like 'a\\nb'", paths=(tmp_path,))


def test_fifty_thousand_paths_are_scored_in_well_under_a_second() -> None:
    paths = [f"packages/part{n % 97}/src/components/Widget{n}.tsx" for n in range(50_000)]
    likeness = Likeness("pkgwidget9")
    started = time.perf_counter()
    assert sum(likeness.score(path) is not None for path in paths) > 10_000
    assert time.perf_counter() - started < 2, "about 0.4 s where nothing else runs"


async def test_a_listing_names_files_somebody_can_type_and_believes_itself_for_a_while(
    tmp_path: Path,
) -> None:
    make(tmp_path, "src/app.py", "app.md", ".hidden/app", "out/app.py", "a\nb", "a/b/c/app.txt")
    (tmp_path / ".gitignore").write_text("out/\n")
    (tmp_path / "link").symlink_to("src", target_is_directory=True)
    listing = Listing(tmp_path, seconds=60)
    assert await listing.find("", 2) == ["app.md", "src/app.py"]
    assert await listing.find("APP", 9) == ["app.md", "src/app.py", "a/b/c/app.txt"]
    make(tmp_path, "apple")
    assert "apple" not in await listing.find("app", 9)
    assert "apple" in await Listing(tmp_path).find("app", 9)
    with pytest.raises(ToolError, match="cannot be read"):
        await Listing(tmp_path / "gone").find("", 2)
