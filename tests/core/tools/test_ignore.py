from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cody_core.tools.ignore import Folder, Rule, Rules, walk


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def found(root: Path, *, hidden: bool = True) -> list[str]:
    return [os.path.relpath(entry.path, root) for entry in walk(root, lambda: False, hidden=hidden)]


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("*.log", "deep/down/x.log", True),
        ("*.log", "x.log.txt", None),
        ("/x", "x", True),
        ("/x", "a/x", None),
        ("a/x", "a/x", True),
        ("a/x", "b/a/x", None),
        ("**/a/x", "b/a/x", True),
        ("a/**/x", "a/x", True),
        ("a/**/x", "a/b/c/x", True),
        ("a/**", "a", None),
        ("a/**", "a/b/c", True),
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/b/b/c", None),
        ("build/", "build", None),
        ("?[!a]", "xa", None),
        ("?[!a]", "xb", True),
        ("[a-c]z", "bz", True),
        ("[[:digit:]]z", "7z", True),
        ("[]a]z", "]z", True),
        ("[z", "[z", None),
        ("\\#x", "#x", True),
        ("#x", "#x", None),
        ("\\!x", "!x", True),
        ("!x", "x", False),
        ("x\\ ", "x ", True),
        ("x  ", "x", True),
        ("a*b*c", "aXbYc", True),
        ("a**c", "abc", True),
        ("*", "line\nend", True),
        ("(x|y)+", "(x|y)+", True),
        ("x\\", "x", None),
        ("", "x", None),
        ("/", "x", None),
    ],
)
def test_a_pattern_matches_as_git_says(pattern: str, path: str, ignored: bool | None) -> None:
    rules = Rules("/base", [pattern])
    assert rules.verdict(f"/base/{path}", os.path.basename(path), False) is ignored


def test_a_pattern_that_ends_in_a_slash_matches_folders() -> None:
    assert Rules("/base", ["build/"]).verdict("/base/a/build", "build", True) is True


def test_the_last_line_that_matches_decides() -> None:
    rules = Rules("/base", ["*.py", "!keep.py", "keep.*", "!keep.py"])
    assert rules.verdict("/base/keep.py", "keep.py", False) is False
    assert rules.verdict("/base/other.py", "other.py", False) is True


@pytest.mark.parametrize("pattern", ["a" + "*a" * 40 + "b", "**/a/" * 20 + "b", "x/" + "*a" * 40])
def test_a_hostile_pattern_takes_no_time(pattern: str) -> None:
    rules = Rules("/base", [pattern])
    path = "x/" + "a/" * 60 + "a" * 250
    started = time.perf_counter()
    for _ in range(10):
        rules.verdict(f"/base/{path}", "a" * 250, False)
    assert time.perf_counter() - started < 1


def test_a_comment_is_no_rule() -> None:
    assert Rule.parse("# x") is None


def test_a_nested_file_overrules_the_one_above_and_speaks_of_its_own_folder(tmp_path: Path) -> None:
    make(tmp_path, "x.log", "sub/x.log", "sub/deep/y", "y")
    (tmp_path / ".gitignore").write_text("*.log\n.gitignore\n")
    (tmp_path / "sub/.gitignore").write_text("!x.log\n/deep/y\n")
    assert found(tmp_path) == ["sub/x.log", "y"]


def test_nothing_comes_back_from_an_ignored_folder(tmp_path: Path) -> None:
    make(tmp_path, "out/keep", "a")
    (tmp_path / ".gitignore").write_text("\ufeffout/\r\n!out/keep\r\n", encoding="utf-8")
    assert found(tmp_path, hidden=False) == ["a"]


def test_rules_from_above_hold_up_to_the_root_of_the_repository(tmp_path: Path) -> None:
    make(tmp_path, "repo/.git/HEAD", "repo/src/gen/a", "repo/src/b", "repo/src/c")
    (tmp_path / ".gitignore").write_text("b\n")
    (tmp_path / "repo/.gitignore").write_text("/src/gen\n")
    (tmp_path / "repo/.git/info").mkdir()
    (tmp_path / "repo/.git/info/exclude").write_text("c\n")
    assert found(tmp_path / "repo/src") == ["b"]


def test_a_worktree_obeys_the_excludes_of_its_repository(tmp_path: Path) -> None:
    make(tmp_path, "main/.git/worktrees/w/commondir", "w/a", "w/b")
    (tmp_path / "main/.git/worktrees/w/commondir").write_text("../..\n")
    (tmp_path / "main/.git/info").mkdir()
    (tmp_path / "main/.git/info/exclude").write_text("a\n")
    (tmp_path / "w/.git").write_text(f"gitdir: {tmp_path}/main/.git/worktrees/w\n")
    assert found(tmp_path / "w") == ["b"]


def test_a_repository_within_begins_anew(tmp_path: Path) -> None:
    make(tmp_path, "inner/.git/HEAD", "inner/a", "a", "b")
    (tmp_path / ".gitignore").write_text("a\n")
    assert found(tmp_path, hidden=False) == ["b", "inner/a"]


def test_hidden_names_are_left_out_unless_a_rule_brings_them_back(tmp_path: Path) -> None:
    make(tmp_path, ".env", ".github/ci", "a")
    (tmp_path / ".gitignore").write_text("!.github\n")
    assert found(tmp_path, hidden=False) == [".github/ci", "a"]


def test_links_are_entries_and_never_ways(tmp_path: Path) -> None:
    make(tmp_path, "in/a", "out/secret")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in/away").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "in/self").symlink_to("self")
    assert found(tmp_path / "in") == ["a", "away", "loop", "self"]


def test_a_pipe_as_rules_does_not_block(tmp_path: Path) -> None:
    make(tmp_path, "a")
    os.mkfifo(tmp_path / ".gitignore")
    assert found(tmp_path, hidden=False) == ["a"]


def test_names_that_are_no_text_are_walked(tmp_path: Path) -> None:
    make(tmp_path, os.fsdecode(b"caf\xe9"), "a\nb")
    (tmp_path / ".gitignore").write_bytes(b"caf\xe9\n.gitignore\n")
    assert found(tmp_path) == ["a\nb"]


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with 1,200 folders one in another, taken down before anyone recurses."""
    path = tmp_path
    for _ in range(1200):
        path /= "d"
        path.mkdir()
    (path / "leaf").write_text("")
    yield tmp_path
    (path / "leaf").unlink()
    while path != tmp_path:
        path.rmdir()
        path = path.parent


def test_a_deep_tree_is_walked_to_its_end(deep: Path) -> None:
    assert [os.path.basename(name) for name in found(deep)] == ["leaf"]


def test_a_walk_stops_when_told(tmp_path: Path) -> None:
    make(tmp_path, "a", "b/c", "d")
    assert [entry.name for entry in walk(tmp_path, lambda: True)] == ["a"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Folder.at(tmp_path / "none").entries()
