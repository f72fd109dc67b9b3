from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cody_core.errors import ToolError
from cody_core.tools import Intent, ToolContext
from cody_core.tools.list_dir import ListDir, ListDirArguments


async def ignore(text: str) -> None:
    """Nobody watches."""


async def listed(workspace: Path, **arguments: Any) -> str:
    context = ToolContext("run", "call", ignore, workspace=workspace)
    result = await ListDir().call(ListDirArguments.model_validate(arguments), context)
    result.output.encode()
    return result.output


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be somebody who may not read everything, as the superuser may."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x" * 1234)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a directory with nothing in it."""
    path = tmp_path / "root"
    path.mkdir()
    return path


async def test_a_tree_has_sizes_and_leaves_out_what_git_ignores(root: Path) -> None:
    make(root, "a.py", "src/b.py", "src/deep/c.py", "out/d", ".git/HEAD", ".env")
    (root / ".gitignore").write_text("out\n")
    assert await listed(root) == (
        "./\n  .env  1.2 kB\n  .gitignore  4 B\n  a.py  1.2 kB\n"
        "  src/\n    b.py  1.2 kB\n    deep/\n"
    )
    assert await listed(root, path="src", depth=1) == "src/\n  b.py  1.2 kB\n  deep/\n"


async def test_what_is_over_the_limit_is_counted(root: Path) -> None:
    make(root, *(f"many/{n:03}" for n in range(125)), "z")
    output = await listed(root, limit=7)
    assert output.splitlines() == [
        "./",
        "  many/",
        *(f"    {n:03}  1.2 kB" for n in range(5)),
        "    … 120 more",
        "  z  1.2 kB",
    ]
    assert (await listed(root, limit=1)).splitlines() == [
        "./",
        "  many/",
        "    … 125 more",
        "  … 1 more",
    ]


async def test_links_are_shown_and_not_followed(root: Path) -> None:
    make(root, "w/a", "outside/secret")
    (root / "w/away").symlink_to("../outside", target_is_directory=True)
    (root / "w/loop").symlink_to(".", target_is_directory=True)
    os.mkfifo(root / "w/pipe")
    assert await listed(root / "w", depth=5) == (
        "./\n  a  1.2 kB\n  away -> ../outside\n  loop -> .\n  pipe  (not a file)\n"
    )


async def test_hostile_names_stay_on_their_line(root: Path) -> None:
    make(root, "a\nb", "\x1b[31mred", os.fsdecode(b"caf\xe9"))
    os.symlink("x\ny", root / "link")
    assert (await listed(root)).splitlines() == [
        "./",
        "  '\\x1b[31mred'  1.2 kB",
        "  'a\\nb'  1.2 kB",
        "  'caf\\udce9'  1.2 kB",
        "  link -> 'x\\ny'",
    ]


async def test_an_empty_directory_is_said_to_be_empty(root: Path) -> None:
    assert await listed(root) == "./  (empty)\n"


async def test_what_cannot_be_listed_says_why(root: Path) -> None:
    make(root, "a")
    with pytest.raises(ToolError, match="a is not a directory; read_file"):
        await listed(root, path="a")
    with pytest.raises(ToolError, match="no directory none"):
        await listed(root, path="none")


async def test_a_directory_that_may_not_be_read_is_named() -> None:
    folder = Path(tempfile.mkdtemp())
    os.chmod(folder, 0o755)
    (folder / "closed").mkdir(mode=0)
    try:
        with unprivileged():
            assert await listed(folder) == ("./\n  closed/  (cannot be read: Permission denied)\n")
            with pytest.raises(ToolError, match="closed cannot be listed: Permission denied"):
                await listed(folder, path="closed")
    finally:
        shutil.rmtree(folder)


async def test_the_intent_names_where_a_path_really_leads(root: Path) -> None:
    workspace = root / "w"
    workspace.mkdir()
    (workspace / "up").symlink_to("..", target_is_directory=True)
    context = ToolContext("run", "call", ignore, workspace=workspace)
    for path in ("..", "up", "up/w/.."):
        intent = await ListDir().intend(ListDirArguments(path=path), context)
        assert intent == Intent(f"list {root}", paths=(root,))
