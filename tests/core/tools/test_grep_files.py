"""Both ways to search are held to the same contract; ripgrep's runs where it is installed."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from cody_core.errors import ToolError
from cody_core.tasks import task_group
from cody_core.tools import Intent, ToolContext
from cody_core.tools.grep_files import GrepFiles, GrepFilesArguments
from cody_core.tools.grep_output import expand

PROGRAMS = [None, *filter(None, [shutil.which("rg")])]


@pytest.fixture(params=PROGRAMS, ids=lambda program: "ripgrep" if program else "python")
def tool(request: pytest.FixtureRequest) -> GrepFiles:
    return GrepFiles(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a workspace with nothing in it."""
    path = tmp_path / "root"
    path.mkdir()
    return path


async def ignore(text: str) -> None:
    """Nobody watches."""


async def grep(tool: GrepFiles, workspace: Path, pattern: str, **more: Any) -> list[str]:
    arguments = GrepFilesArguments.model_validate({"pattern": pattern, **more})
    context = ToolContext("run", "call", ignore, workspace=workspace)
    result = await tool.call(arguments, context)
    result.output.encode()
    return result.output.removesuffix("\n").split("\n")


def make(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


async def test_matches_come_sorted_with_path_and_line(tool: GrepFiles, root: Path) -> None:
    make(root, {"b.txt": "foo\n", "a/z": "x\nfoo bar", "a.txt": "1\n2 foo\r\n", "c": "no"})
    assert await grep(tool, root, "foo") == ["a/z:2: foo bar", "a.txt:2: 2 foo", "b.txt:1: foo"]
    assert await grep(tool, root, "foo$") == ["a.txt:2: 2 foo", "b.txt:1: foo"]
    assert await grep(tool, root, "FOO", ignore_case=True, path="a") == ["a/z:2: foo bar"]
    assert await grep(tool, root, "FOO") == ["No line matches."]


async def test_what_git_ignores_and_hidden_files_are_left_out(tool: GrepFiles, root: Path) -> None:
    make(
        root,
        {
            ".gitignore": "*.log\n/src/gen\nout/\n",
            ".git/info/exclude": "private\n",
            "src/.gitignore": "!keep.log\n",
            "src/keep.log": "foo",
            "src/x.log": "foo",
            "src/gen/a": "foo",
            "src/deep/gen/a": "foo",
            "out/a": "foo",
            "out/keep.py": "foo",
            "private": "foo",
            ".env": "foo",
            ".hidden/a": "foo",
            ".ignore": "visible\n",
            "visible": "foo",
        },
    )
    below_src = ["src/deep/gen/a:1: foo", "src/keep.log:1: foo"]
    assert await grep(tool, root, "foo") == [*below_src, "visible:1: foo"]
    assert await grep(tool, root, "foo", path="src") == below_src
    assert await grep(tool, root, "foo", include="*.log") == ["src/keep.log:1: foo"]
    assert await grep(tool, root, "foo", include="*.py") == ["No line matches."]
    assert await grep(tool, root, "foo", path="src/x.log") == ["src/x.log:1: foo"]
    assert await grep(tool, root, "foo", path=".hidden") == [".hidden/a:1: foo"]


@pytest.mark.parametrize(
    ("include", "names"),
    [
        ("*.py", ["src/a.py", "src/sub/b.py"]),
        ("*.{ts,tsx}", ["src/c.ts", "src/d.tsx"]),
        ("*.ts,*.tsx", ["src/c.ts", "src/d.tsx"]),
        ("src/*.py", ["src/a.py"]),
        ("./src/**/*.py", ["src/a.py", "src/sub/b.py"]),
        ("src/sub/", ["src/sub/b.py"]),
        ("!*.{py,ts}", ["src/d.tsx"]),
        ("--files", []),
    ],
)
async def test_include_chooses_files(
    tool: GrepFiles, root: Path, include: str, names: list[str]
) -> None:
    make(root, dict.fromkeys(["src/a.py", "src/sub/b.py", "src/c.ts", "src/d.tsx"], "x"))
    expected = [f"{name}:1: x" for name in names] or ["No line matches."]
    assert await grep(tool, root, "x", include=include) == expected
    assert await grep(tool, root, "x", include=include, path="src") == expected


async def test_lines_around_a_match_are_shown_in_groups(tool: GrepFiles, root: Path) -> None:
    make(root, {"a": "1\n2\nfoo\n4\nfoo\n6\n7\n8\n9\nfoo\n", "b": "foo\n"})
    assert await grep(tool, root, "foo", context=1) == [
        *("a-2- 2", "a:3: foo", "a-4- 4", "a:5: foo", "a-6- 6", "--"),
        *("a-9- 9", "a:10: foo", "--", "b:1: foo"),
    ]


async def test_matches_are_capped_and_more_are_told_of(tool: GrepFiles, root: Path) -> None:
    make(root, {"a": "foo\n" * 5, "b": "foo\n" * 100_000})
    more = "[there are more matches: narrow the pattern, path or include]"
    assert await grep(tool, root, "foo", limit=2) == ["a:1: foo", "a:2: foo", more]
    assert await grep(tool, root, "foo", limit=5, path="a") == [f"a:{n}: foo" for n in range(1, 6)]


async def test_binary_files_are_left_out(tool: GrepFiles, root: Path) -> None:
    make(
        root,
        {
            "early": b"foo\n\0",
            "late": b"foo\n" + b"1\n" * 100_000 + b"\0\nfoo\n",
            "utf16": "\ufefffoo ä\n".encode("utf-16-le"),
            "utf8": b"\xef\xbb\xbffoo\n",
            "latin": b"foo \xe4\n",
        },
    )
    assert await grep(tool, root, "foo") == [
        "latin:1: foo \ufffd",
        "utf16:1: foo ä",
        "utf8:1: foo",
    ]
    assert await grep(tool, root, "^foo", path="utf8") == ["utf8:1: foo"]
    with pytest.raises(ToolError, match="early is not text"):
        await grep(tool, root, "foo", path="early")


async def test_a_long_line_is_shown_where_it_matches(tool: GrepFiles, root: Path) -> None:
    make(root, {"a": "é" * 5000 + "needle" + "é" * 5000 + "\n", "b": "needle\n"})
    first, second = await grep(tool, root, "needle")
    assert first.startswith("a:1: … éé")
    assert first.endswith("éé …")
    assert "needle" in first
    assert len(first.encode()) < 450
    assert second == "b:1: needle"


async def test_a_line_of_100_mb_is_searched(tool: GrepFiles, root: Path) -> None:
    with (root / "a").open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"needle\nneedle\n")
    first, second = await grep(tool, root, "needle")
    assert (first[-15:], second) == ("xxxxxxxxxneedle", "a:2: needle")


async def test_output_is_capped_in_bytes(tool: GrepFiles, root: Path) -> None:
    make(root, {"a": ("foo" + "x" * 300 + "\n") * 1000})
    lines = await grep(tool, root, "foo", limit=1000)
    assert 49_000 < len("\n".join(lines)) < 50_200
    assert lines[-1].startswith("[there are more matches")


async def test_hostile_names_stay_on_their_line(tool: GrepFiles, root: Path) -> None:
    names = ["a\nb:7: forged", "--help", "-e", "\x1b[31mred", "x:9:9:y", os.fsdecode(b"caf\xe9")]
    fake = 'late: WARNING: stopped searching binary file after match (found "\\0" byte'
    make(root, dict.fromkeys([*names, f"{fake} around offset 1)\nz"], "foo\n"))
    found = await grep(tool, root, "foo")
    assert "'a\\nb:7: forged':1: foo" in found
    assert {"--help:1: foo", "-e:1: foo", "x:9:9:y:1: foo"} <= set(found)
    assert {"'\\x1b[31mred':1: foo", "'caf\\udce9':1: foo"} <= set(found)
    assert len(found) <= 7
    assert await grep(tool, root, "foo", path="--help") == ["--help:1: foo"]


@pytest.mark.parametrize("pattern", ["--pre=sh", "-f/etc/passwd", "--", "-e", "$(id)", "'; id"])
async def test_a_pattern_is_never_an_option_or_a_command(
    tool: GrepFiles, root: Path, pattern: str
) -> None:
    make(root, {"a": f"x {pattern} y\nother\n"})
    literal = pattern.replace("$(id)", r"\$\(id\)")
    assert await grep(tool, root, literal) == [f"a:1: x {pattern} y"]


async def test_links_are_not_followed(tool: GrepFiles, root: Path, tmp_path: Path) -> None:
    make(tmp_path, {"secret/a": "foo", "root/b": "foo"})
    (root / "away").symlink_to(tmp_path / "secret", target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "file").symlink_to(tmp_path / "secret/a")
    os.mkfifo(root / "pipe")
    assert await grep(tool, root, "foo") == ["b:1: foo"]


async def test_expressions_beyond_ripgrep_work(tool: GrepFiles, root: Path) -> None:
    make(root, {"a": "foobar\nfoobaz\ninterface{}\n"})
    assert await grep(tool, root, "foo(?!bar)") == ["a:2: foobaz"]
    assert await grep(tool, root, "interface{}") == ["a:3: interface{}"]
    assert await grep(tool, root, r"(o)\1ba[rz]$", limit=1, path="a") == [
        "a:1: foobar",
        "[there are more matches: narrow the pattern, path or include]",
    ]


@pytest.mark.parametrize(
    ("pattern", "position"), [("a(b", 1), ("[z-a]", 1), ("a\0b", 1), ("*x", 0)]
)
async def test_an_invalid_expression_is_refused_with_its_position(
    tool: GrepFiles, root: Path, pattern: str, position: int
) -> None:
    make(root, {"a": "x"})
    with pytest.raises(ToolError, match=f"position {position}"):
        await grep(tool, root, pattern)


async def test_what_cannot_be_searched_says_why(tool: GrepFiles, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(ToolError, match="no file or directory none"):
        await grep(tool, root, "x", path="none")
    with pytest.raises(ToolError, match="pipe is a pipe"):
        await grep(tool, root, "x", path="pipe")
    with pytest.raises(ToolError, match="is not a glob"):
        await grep(tool, root, "x", include="[")
    with pytest.raises(ToolError, match="more than 100 globs"):
        await grep(tool, root, "x", include="{a,b}" * 20)


async def test_an_expression_that_never_ends_is_ended(root: Path) -> None:
    make(root, {"a": "aab\n", "b": "a" * 60 + "!\n"})
    started = time.monotonic()
    found = await grep(GrepFiles(seconds=1), root, "(a+)+b$")
    assert time.monotonic() - started < 10
    assert found[0] == "a:1: aab"
    assert found[1].startswith("[stopped after 1 s")


def running(text: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in command:
            found.append(int(process.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
async def test_cancelling_kills_the_search(root: Path) -> None:
    make(root, {"a": "a" * 60 + "!\n"})
    pattern = f"(a+)+{os.getpid()}$"
    async with asyncio.timeout(20), task_group() as tasks:
        search = tasks.create_task(grep(GrepFiles(), root, pattern))
        while not running(pattern):
            await asyncio.sleep(0.01)
        search.cancel()
        await asyncio.wait([search])
    assert search.cancelled()
    assert running(pattern) == []


async def test_ripgrep_gets_none_of_our_environment(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "rg"
    program.write_text(
        f"#!/bin/sh\n/usr/bin/env > {tmp_path}/environment\n"
        f'printf "%s\\n" "$@" > {tmp_path}/arguments\nprintf "./a\\0001:1:said\\n"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    make(root, {"a": ""})
    monkeypatch.setenv("RIPGREP_CONFIG_PATH", "/somewhere")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert await grep(GrepFiles(str(program)), root, "--x") == ["a:1: said"]
    environment = (tmp_path / "environment").read_text()
    assert "sk-secret" not in environment
    assert "RIPGREP" not in environment
    assert (tmp_path / "arguments").read_text().endswith("--regexp=--x\n--\n./\n")


async def test_the_intent_names_where_a_path_really_leads(tool: GrepFiles, root: Path) -> None:
    (root / "up").symlink_to("..", target_is_directory=True)
    context = ToolContext("run", "call", ignore, workspace=root)
    arguments = GrepFilesArguments(pattern="a\nb", path="up", include="*.py")
    assert await tool.intend(arguments, context) == Intent(
        f"search {root.parent} ('*.py') for 'a\\nb'", paths=(root.parent,)
    )


def test_braces_stand_for_their_choices() -> None:
    assert sorted(expand("{*.{ts,tsx},a{b,c}d}")) == ["*.ts", "*.tsx", "abd", "acd"]
    assert expand("a}b") == ["a}b"]
