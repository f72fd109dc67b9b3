"""Prompts beyond the field: drafts, what was sent before, what waits, files and the editor."""

from __future__ import annotations

import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cody_core.errors import InvalidRequest, NotFound
from cody_core.runtime import open_runtime
from textual.pilot import Pilot
from textual.widgets._toast import Toast
from tui.conftest import MakeApp, MakeSettings
from tui.screen import answered, completed, key, prompt_of, send, shown, state, until

from cody_tui.attachments import attach
from cody_tui.drafts import Drafts
from cody_tui.editor import EditorFailed, edit, editor_of
from cody_tui.prompts import LONGEST, MOST_PROMPTS, Prompts
from cody_tui.widgets.completion import Suggestions
from cody_tui.widgets.mentions import mention, mentions, without_attachments
from cody_tui.widgets.recall import Recall

SLOW = 0.02


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Drafts


def test_drafts_are_private_files_and_an_empty_one_is_none(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts")
    drafts.put("a", "one\r\n")
    drafts.put(None, "two")
    drafts.flush()
    assert [mode(file) for file in (tmp_path / "drafts").iterdir()] == [0o600, 0o600]
    again = Drafts(tmp_path / "drafts")
    assert (again.get("a"), again.get(None), again.get("b")) == ("one\r\n", "two", "")
    drafts.put(None, " ")
    drafts.flush()
    assert Drafts(tmp_path / "drafts").get(None) == ""


def test_a_draft_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("in the way")
    drafts = Drafts(tmp_path / "drafts")
    drafts.put("a", "text")
    with pytest.raises(OSError, match="drafts"):
        drafts.flush()
    assert drafts.get("a") == "text"
    (tmp_path / "drafts").unlink()
    drafts.flush()
    assert Drafts(tmp_path / "drafts").get("a") == "text"


async def test_a_draft_survives_a_crash_and_goes_when_it_is_sent(
    make_app: MakeApp, make_settings: MakeSettings
) -> None:
    file = make_settings().home / "drafts" / "new.txt"
    async with make_app("demo/echo").run_test() as pilot:
        await until(pilot, lambda: pilot.app.focused is prompt_of(pilot))
        prompt_of(pilot).insert("precious words")
        await until(pilot, lambda: file.exists() and file.read_text() == "precious words")
    async with make_app("demo/echo").run_test() as pilot:
        await until(pilot, lambda: prompt_of(pilot).text == "precious words")
        await pilot.press("enter")
        await answered(pilot, "precious words")
        await until(pilot, lambda: not file.exists())


async def test_each_thread_keeps_its_draft(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test() as pilot:
        await send(pilot, "first")
        await completed(pilot)
        screen: Any = pilot.app.screen
        thread_id = screen.thread_id
        prompt_of(pilot).write("for the first")
        screen.open_thread(None)
        assert prompt_of(pilot).text == ""
        prompt_of(pilot).write("for another")
        screen.open_thread(thread_id)
        await until(pilot, lambda: prompt_of(pilot).text == "for the first")
        screen.open_thread(None)
        await until(pilot, lambda: prompt_of(pilot).text == "for another")


# What was sent before


def test_prompts_are_kept_newest_first_and_each_once(tmp_path: Path) -> None:
    prompts = Prompts(tmp_path / "home" / "prompts.jsonl")
    assert prompts.load() == []
    for text in ("one", "two\u2028\n", "one", "x" * (LONGEST + 1), " "):
        prompts.append(text)
    with (tmp_path / "home" / "prompts.jsonl").open("a") as file:
        file.write('nonsense\n{"text": 3}\n[]\n')
    assert prompts.load() == ["one", "two\u2028\n"]
    assert mode(tmp_path / "home" / "prompts.jsonl") == 0o600


def test_the_file_of_prompts_stays_short_while_several_append(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(f'{{"text": "{n}"}}\n' for n in range(MOST_PROMPTS + 150)))

    def append(who: str) -> None:
        for n in range(40):
            Prompts(path).append(f"{who}{n}")

    threads = [threading.Thread(target=append, args=(who,)) for who in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_text().splitlines()
    assert MOST_PROMPTS <= len(lines) <= MOST_PROMPTS * 1.2
    assert {f"{who}{n}" for who in "ab" for n in range(40)} <= set(Prompts(path).load())


async def test_what_was_sent_is_found_in_another_session(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test() as pilot:
        await send(pilot, "explain the parser")
        await answered(pilot, "explain the parser")
        await send(pilot, "thank you")
        await answered(pilot, "thank you")
    async with make_app("demo/echo").run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        prompt_of(pilot).write("unfinished")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: found(pilot) == ["thank you", "explain the parser"])
        await pilot.press("x", "p", "r")
        assert found(pilot) == ["explain the parser"]
        assert prompt_of(pilot).text == "unfinished"
        await pilot.press("enter")
        assert prompt_of(pilot).text == "explain the parser"
        assert pilot.app.focused is prompt_of(pilot)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: bool(found(pilot)))
        await pilot.press("escape")
        await until(pilot, lambda: not pilot.app.screen.query(Recall))
        assert prompt_of(pilot).text == "explain the parser"
        await pilot.press("up")
        assert prompt_of(pilot).text == "unfinished"


def found(pilot: Pilot[None]) -> list[str]:
    lists = pilot.app.screen.query("Recall Suggestions").results(Suggestions)
    return [row.text for one in lists for row in one.rows]


# What waits


async def test_what_waits_can_be_edited_or_dropped(make_app: MakeApp) -> None:
    async with make_app("demo/echo", SLOW).run_test(size=(80, 50)) as pilot:
        await send(pilot, "one " * 300)
        await until(pilot, lambda: state(pilot) == "answering")
        for text in ("two", "three", "four"):
            await send(pilot, text)
        prompt = prompt_of(pilot)
        await until(pilot, lambda: prompt.waiting == 3)
        key(pilot, "up")
        await until(pilot, lambda: prompt.text == "four")
        assert prompt.waiting == 2
        prompt.write("/drop")
        key(pilot, "enter")
        await until(pilot, lambda: prompt.waiting == 0)
        assert "queued" not in shown(pilot)
        key(pilot, "up", "up")
        await until(pilot, lambda: prompt.text == "three")
        key(pilot, "escape")
        await answered(pilot, "stopped")


async def test_what_waits_stays_with_its_thread(make_app: MakeApp) -> None:
    async with make_app("demo/echo", 10 * SLOW).run_test(size=(80, 50)) as pilot:
        await send(pilot, "one " * 300)
        await until(pilot, lambda: state(pilot) == "answering")
        await send(pilot, "two")
        await until(pilot, lambda: prompt_of(pilot).waiting == 1)
        screen: Any = pilot.app.screen
        thread_id = screen.thread_id
        screen.open_thread(None)
        assert prompt_of(pilot).text == ""
        screen.open_thread(thread_id)
        await until(pilot, lambda: prompt_of(pilot).text == "two")


@pytest.mark.parametrize("keys", [["ctrl+q", "ctrl+q"], []], ids=["quit", "not by the user"])
async def test_what_waits_when_the_program_ends_is_in_the_prompt_again(
    make_app: MakeApp, keys: list[str]
) -> None:
    app = make_app("demo/echo", SLOW)
    screen: Any = app.get_default_screen()
    async with app.run_test() as pilot:
        await send(pilot, "one " * 300)
        await until(pilot, lambda: state(pilot) == "answering")
        for text in ("two", "three"):
            await send(pilot, text)
        prompt = prompt_of(pilot)
        await until(pilot, lambda: prompt.waiting == 2)
        prompt.insert("and a draft")
        key(pilot, *keys)
        await until(pilot, lambda: not (keys and app.is_running))
    async with make_app("demo/echo", thread_id=screen.thread_id).run_test() as pilot:
        await until(pilot, lambda: prompt_of(pilot).text == "two\n\nthree\n\nand a draft")


async def test_a_prompt_that_is_too_long_comes_back(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test() as pilot:
        await send(pilot, "x" * 4_000_001)
        await answered(pilot, "4,000,000 can be sent")
        assert len(prompt_of(pilot).text) == 4_000_001


# Files


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("@a.py", ["a.py"]),
        ("see (@a/b.py), @c. And @c!", ["a/b.py", "c"]),
        ('@"a b.py" and @"c"', ["a b.py", "c"]),
        ("me@example.com @ @@", []),
        ("x @a\n\nAttached file: a\n```\n@b\n```", ["a"]),
    ],
)
def test_the_files_a_prompt_names_are_found(text: str, paths: list[str]) -> None:
    assert mentions(text) == paths


@pytest.mark.parametrize("path", ["a.py", "a b.py", "odd).py", "end.", "dir/x@y.py", "(a)"])
def test_what_completion_writes_is_read_as_the_same_path(path: str) -> None:
    assert mentions(f"x {mention(path)} y") == [path]


async def test_files_are_attached_below_the_prompt(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.py").write_text("print('```')")
    (workspace / "big.txt").write_text("é" * 150_000)
    (workspace / "pic").write_bytes(b"\x89PNG\0")
    (workspace / "out").symlink_to(tmp_path)
    paths = ["a.py", "./a.py", "big.txt", "pic", "alice", "no/such", "../x", "out/x", "."]
    async with open_runtime(make_settings(workspace=workspace)) as client:
        whole, problems = await attach(client, "look", paths)
        again, _ = await attach(client, whole, ["a.py"])
    big = "é" * 100_000
    cut = "the first 200 kB of 300 kB are attached"
    assert whole == (
        "look\n\nAttached file: a.py\n````py\nprint('```')\n````"
        f"\n\nAttached file: big.txt\n```txt\n{big}\n```\n[cut: only {cut}]"
    )
    assert again == whole
    assert without_attachments(whole) == "look"
    assert [str(problem) for problem in problems] == [
        f"of big.txt only {cut}",
        "pic is not text and is not attached",
        "there is no file no/such in the workspace",
        "'../x' lies outside the workspace and is not attached",
        "'out/x' lies outside the workspace and is not attached",
        ". is a directory and is not attached: name the files in it",
    ]


async def test_a_named_file_is_found_and_sent_along(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("the content")
    async with make_app("demo/echo", workspace=tmp_path).run_test(size=(80, 40)) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        prompt_of(pilot).insert("read @nts")
        await until(pilot, lambda: offered(pilot) == ["notes.txt"])
        await pilot.press("tab", "enter")
        await answered(pilot, "the content")
        assert "Attached file: notes.txt" in shown(pilot)
        await pilot.press("up")
        assert prompt_of(pilot).text == "read @notes.txt"


async def test_a_prompt_that_waits_twice_takes_its_file_along_twice(
    make_app: MakeApp, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("the content")
    async with make_app("demo/echo", SLOW, workspace=tmp_path).run_test() as pilot:
        await send(pilot, "one " * 300)
        await until(pilot, lambda: state(pilot) == "answering")
        await send(pilot, "read @notes.txt")
        await until(pilot, lambda: prompt_of(pilot).waiting == 1)
        await send(pilot, "read @notes.txt")
        await until(pilot, lambda: prompt_of(pilot).waiting == 2)
        screen: Any = pilot.app.screen
        key(pilot, "escape")
        await until(pilot, lambda: len(screen.runs) == 2 and state(pilot) == "answering")
        key(pilot, "escape")
        await until(pilot, lambda: len(screen.runs) == 3 and state(pilot) == "answering")
        key(pilot, "escape")
        await until(pilot, lambda: state(pilot) == "ready")
    asked = [run.input_items[0].content for run in screen.runs[1:]]
    assert asked == ["read @notes.txt\n\nAttached file: notes.txt\n```txt\nthe content\n```"] * 2


def offered(pilot: Pilot[None]) -> Sequence[str]:
    lists = pilot.app.screen.query(Suggestions)
    return [row.text for one in lists if one.is_open for row in one.rows]


async def test_attachments_are_read_in_whatever_encoding(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    (tmp_path / "utf16").write_bytes("grüß".encode("utf-16"))
    (tmp_path / "latin").write_bytes("grüß".encode("latin-1"))
    (tmp_path / "bom").write_bytes("grüß".encode("utf-8-sig"))
    async with open_runtime(make_settings(workspace=tmp_path)) as client:
        for name in ("utf16", "latin", "bom"):
            assert (await client.read_attachment(name)).content == "grüß"
        with pytest.raises(NotFound):
            await client.read_attachment("none")
        with pytest.raises(InvalidRequest):
            await client.read_attachment("/etc/passwd")


# The editor


def script(folder: Path, lines: str) -> list[str]:
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o700)
    return [str(path)]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_an_editor_changes_the_text(tmp_path: Path, temporary: Path) -> None:
    assert edit("one\n", script(tmp_path, 'printf "two\\r\\n" >> "$1"')) == "one\ntwo"
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("lines", "message", "left"),
    [
        ("exit 3", "status 3", 0),
        ('echo more >> "$1"; exit 3', "what it wrote is in", 1),
        ('printf "\\377" > "$1"', "not UTF-8; what it wrote is in", 1),
        ('rm "$1"', "does not work", 0),
    ],
)
def test_an_editor_that_fails_loses_nothing(
    tmp_path: Path, temporary: Path, lines: str, message: str, left: int
) -> None:
    with pytest.raises(EditorFailed, match=message):
        edit("one", script(tmp_path, lines))
    assert len(list(temporary.iterdir())) == left


def test_an_editor_that_is_missing_is_said(temporary: Path) -> None:
    with pytest.raises(EditorFailed, match="no-such-editor"):
        edit("one", ["/no-such-editor"])
    assert list(temporary.iterdir()) == []
    with pytest.raises(EditorFailed, match="VISUAL or EDITOR"):
        editor_of({})
    with pytest.raises(EditorFailed, match="no command"):
        editor_of({"EDITOR": "vi 'x"})
    assert editor_of({"VISUAL": "code -w", "EDITOR": "vi"}) == ["code", "-w"]


async def test_without_an_editor_the_prompt_stays_and_the_reason_is_said(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    async with make_app("demo/echo").run_test(notifications=True) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        prompt_of(pilot).write("precious words")
        await pilot.press("ctrl+x", "ctrl+e")
        await until(pilot, lambda: bool(pilot.app.screen.query(Toast)))
        assert "VISUAL" in str(pilot.app.screen.query(Toast).first().render())
        assert prompt_of(pilot).text == "precious words"
