from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cody_core.errors import ToolError
from cody_core.tools import Intent, ToolContext
from cody_core.tools.read_file import MOST_BYTES, ReadFile, ReadFileArguments


async def ignore(text: str) -> None:
    """Nobody watches."""


def context(workspace: Path, intent: Intent | None = None) -> ToolContext:
    return ToolContext("run", "call", ignore, workspace=workspace, intent=intent)


async def read(workspace: Path, path: str, **more: Any) -> str:
    arguments = ReadFileArguments.model_validate({"path": path, **more})
    result = await ReadFile().call(arguments, context(workspace))
    result.output.encode()
    assert result.success
    return result.output


async def intend(workspace: Path, **arguments: Any) -> Intent:
    return await ReadFile().intend(ReadFileArguments.model_validate(arguments), context(workspace))


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


async def test_lines_have_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\n\nfour")
    assert await read(tmp_path, "a.txt") == "     1\tone\n     2\ttwo\n     3\t\n     4\tfour\n"


async def test_a_range_is_read_and_how_to_go_on_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("".join(f"{n}\n" for n in range(1, 11)))
    assert await read(tmp_path, "a", offset=3, limit=2) == (
        "     3\t3\n     4\t4\n[21 B in all; go on with offset=5]\n"
    )
    assert await read(tmp_path, "a", offset=10, limit=1) == "    10\t10\n"
    assert await read(tmp_path, "a", offset=0, limit=1) == await read(tmp_path, "a", limit=1)


async def test_an_offset_past_the_end_says_how_many_lines_there_are(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n3")
    for offset in (4, 5, 900):
        with pytest.raises(ToolError, match="only 3 lines"):
            await read(tmp_path, "a", offset=offset)


async def test_output_is_capped_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("".join(f"{'é' * 500} {n}\n" for n in range(1, 1000)))
    output = await read(tmp_path, "a")
    assert MOST_BYTES - 2000 < len(output.encode()) < MOST_BYTES + 100
    following = output.count("\n")
    assert output.endswith(f"go on with offset={following}]\n")
    assert f" {following}\n" in await read(tmp_path, "a", offset=following, limit=1)


async def test_a_file_without_anything_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert await read(tmp_path, "a") == "(a is empty)\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbfna\xc3\xafve\n", "     1\tnaïve\n"),
        (b"na\xefve\n", "     1\tnaïve\n[what is not UTF-8 was read as Latin-1]\n"),
        (b"\xff\xfe" + "naïve\r\n2".encode("utf-16-le"), "     1\tnaïve\n     2\t2\n[UTF-16]\n"),
        (b"\xfe\xff" + "naïve\n".encode("utf-16-be"), "     1\tnaïve\n[UTF-16]\n"),
        (b"\xff\xfea", "     1\t\ufffd\n[UTF-16]\n"),
    ],
)
async def test_the_encoding_is_found_out(tmp_path: Path, data: bytes, expected: str) -> None:
    (tmp_path / "a").write_bytes(data)
    assert await read(tmp_path, "a") == expected


async def test_a_range_of_utf_16_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n3\n4\n", encoding="utf-16")
    assert await read(tmp_path, "a", offset=2, limit=2) == (
        "     2\t2\n     3\t3\n[UTF-16]\n[18 B in all; go on with offset=4]\n"
    )


async def test_a_long_line_is_cut_between_characters(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x" + "é" * 9000 + "\nnext\n")
    assert await read(tmp_path, "a") == (
        f"     1\tx{'é' * 1999} … [cut: the line has 18,001 bytes]\n     2\tnext\n"
    )


async def test_a_line_of_100_mb_is_read_in_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\nlast\n")
    tracemalloc.start()
    output = await read(tmp_path, "a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert output.endswith(" … [cut: the line has 100,000,000 bytes]\n     2\tlast\n")
    assert peak < 10_000_000


async def test_many_lines_are_skipped_fast_and_in_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        for _ in range(100):
            file.write(b"line\n" * 100_000)
        file.write(b"last\n")
    started = time.perf_counter()
    assert await read(tmp_path, "a", offset=10_000_001) == "10000001\tlast\n"
    assert time.perf_counter() - started < 2


async def test_binary_is_refused_with_its_kind_and_size(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    with pytest.raises(ToolError, match=r"a\.png is not text: PNG image, 2\.0 kB"):
        await read(tmp_path, "a.png")
    (tmp_path / "b").write_bytes(b"text\0")
    with pytest.raises(ToolError, match="b is not text: binary data, 5 B"):
        await read(tmp_path, "b")


async def test_a_directory_is_for_list_dir(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(ToolError, match="d is a directory; list_dir"):
        await read(tmp_path, "d")


async def test_a_missing_file_is_answered_with_similar_names(tmp_path: Path) -> None:
    for name in ("README.md", "readme.txt", "other", "config\n.py"):
        (tmp_path / name).write_text("")
    with pytest.raises(ToolError, match=r"no file readme\.md\. Did you mean README\.md, readme"):
        await read(tmp_path, "readme.md")
    with pytest.raises(ToolError, match=r"Did you mean 'config\\n\.py'\?"):
        await read(tmp_path, "config.py")
    with pytest.raises(ToolError, match="no such directory"):
        await read(tmp_path, "none/at/all")


async def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ToolError, match="pipe is a pipe, not a file"):
        await read(tmp_path, "pipe")
    with pytest.raises(ToolError, match="/dev/zero is a character device"):
        await read(tmp_path, "/dev/zero")
    with socket.socket(socket.AF_UNIX) as server, tempfile.TemporaryDirectory() as short:
        server.bind(f"{short}/s")
        with pytest.raises(ToolError, match="s is a socket"):
            await read(Path(short), "s")


async def test_a_file_that_may_not_be_read_says_so() -> None:
    folder = Path(tempfile.mkdtemp())
    os.chmod(folder, 0o755)
    (folder / "a").write_text("secret")
    (folder / "a").chmod(0)
    try:
        with unprivileged(), pytest.raises(ToolError, match="a cannot be read: Permission denied"):
            await read(folder, "a")
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "a/" * 3000])
async def test_what_cannot_be_a_path_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ToolError):
        await read(tmp_path, path)


async def test_the_intent_names_where_a_path_really_leads(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "w", tmp_path / "secret"
    workspace.mkdir()
    outside.write_text("")
    (workspace / "link").symlink_to(outside)
    for path in ("../secret", "link", str(outside)):
        assert await intend(workspace, path=path) == Intent(f"read {outside}", paths=(outside,))
    assert await intend(workspace, path="src/app.py", offset=10, limit=51) == Intent(
        "read src/app.py:10-60", paths=(workspace / "src/app.py",)
    )
    assert await intend(workspace, file_path="a\nb") == Intent(
        "read 'a\\nb'", paths=(workspace / "a\nb",)
    )


async def test_links_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ToolError, match="leads nowhere"):
        await intend(tmp_path, path="a")


async def test_a_link_changed_after_approval_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("harmless")
    intent = await intend(tmp_path, path="link")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("/etc/passwd")
    arguments = ReadFileArguments(path="link")
    with pytest.raises(ToolError, match="does not lead where it did"):
        await ReadFile().call(arguments, context(tmp_path, intent))


def test_the_model_is_told_of_path() -> None:
    schema = ReadFileArguments.model_json_schema()
    assert (list(schema["properties"]), schema["required"]) == (
        ["path", "offset", "limit"],
        ["path"],
    )
