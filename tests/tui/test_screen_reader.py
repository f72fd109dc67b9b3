"""Everything as a screen reader meets it: linear text in which each mark is a word."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence

import pytest
from cody_core.schema.items import Message, ScriptExecution, ScriptExecutionOutput
from tui.conftest import MakeApp
from tui.screen import (
    answered,
    key,
    questioned,
    ready,
    rows,
    seen,
    send,
    shown,
    transcript_of,
    until,
)
from tui.shelf import answer, called
from tui.test_snapshots import MARKDOWN, everything

from cody_tui.signs import PLAIN, SPOKEN
from cody_tui.widgets.sidebar import Sidebar

PLAN = json.dumps(
    {
        "explanation": "First things first.",
        "plan": [
            {"step": "look", "status": "completed"},
            {"step": "think", "status": "in_progress"},
            {"step": "write", "status": "pending"},
        ],
    }
)
SPOKEN_UI = {"screen_reader": True, "theme": "cody-dark"}
WORDS_OF_SIGNS = set("".join(c for s in (PLAIN, SPOKEN) for c in str(s) if not c.isascii()))


def drawn(lines: Sequence[str]) -> set[str]:
    """Return the characters that are drawings, which no reader says anything about."""
    return {
        character
        for line in lines
        for character in line
        if 0x2190 <= ord(character) <= 0x2BFF or unicodedata.category(character) == "So"
    }


async def test_no_item_is_drawn_whether_open_or_closed(make_app: MakeApp) -> None:
    app = make_app("demo/echo", ui=SPOKEN_UI)
    async with app.run_test(size=(100, 150)) as pilot:
        await ready(pilot)
        transcript = transcript_of(pilot)
        for snapshot in everything():
            transcript.show(snapshot)
        assert drawn(seen(pilot)) == set()
        for block in transcript.blocks:
            if block.foldable:
                block.toggle()
        transcript.show_end()
        assert drawn(seen(pilot)) == set()
        assert "added: MINUTES = 4" in shown(pilot)
        assert "removed: MINUTES = 3" in shown(pilot)
        assert "1 added, 1 removed" in shown(pilot)
        assert "result: 22" in shown(pilot)


async def test_a_plan_a_script_and_markdown_are_words(make_app: MakeApp) -> None:
    app = make_app("demo/echo", ui=SPOKEN_UI)
    async with app.run_test(size=(100, 90)) as pilot:
        await ready(pilot)
        own = "你好" + "".join(c for c in MARKDOWN if unicodedata.category(c) == "So")
        run = answer(
            *called("update_plan", PLAN, ""),
            ScriptExecution(id="s", code="x\n" * 30),
            ScriptExecutionOutput(id="o", script_id="s", result='"ok"', success=True),
            Message(id="m", content=MARKDOWN + "\n![a cat](https://example.com/cat.png)\n"),
        )
        transcript_of(pilot).load([run])
        text = shown(pilot)
        assert "1 of 3 steps, think" in text
        transcript_of(pilot).blocks[1].toggle()
        transcript_of(pilot).show_end()
        text = shown(pilot)
        for said in (
            "done: look", "running: think", "to do: write", "bullet: beneath it",
            "done: a task that is done", "to do: one that is not", "quote: What somebody else",
            "Left: a, Right: 1, 中文: 你好", "picture: a cat", 'result: "ok"',
        ):  # fmt: skip
            assert said in text
        assert drawn(seen(pilot)) <= set(own)


async def test_dialogs_lists_and_notes_are_linear(make_app: MakeApp) -> None:
    app = make_app("demo/echo", ui=SPOKEN_UI)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        await send(pilot, "hello")
        await answered(pilot, "  hello")
        for act in ("app.palette", "help.show", "model.choose", "theme.choose", "thread.find",
                    "status.show", "agent.choose", "thread.rename"):  # fmt: skip
            await app._chat.do(act)
            await until(pilot, lambda: app.screen is not app._chat)
            await pilot.pause()
            assert drawn(seen(pilot)) == set(), act
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app._chat)
        for keys in ("ctrl+b", "ctrl+y", "ctrl+f", "ctrl+r", "/", "alt+up"):
            key(pilot, keys)
            await pilot.pause()
            assert drawn(seen(pilot)) == set(), keys
            key(pilot, "escape")
            await pilot.pause()


async def test_the_sidebar_stands_above_and_the_cursor_in_it(make_app: MakeApp) -> None:
    app = make_app("demo/echo", ui=SPOKEN_UI)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        await send(pilot, "hello")
        await answered(pilot, "  hello")
        key(pilot, "ctrl+b")
        await until(pilot, lambda: bool(app.screen.query(Sidebar)))
        bar = app.screen.query_one(Sidebar)
        await until(pilot, lambda: any("in use: hello" in row for row in seen(pilot)))
        assert bar.region.width == 100
        row = next(y for y, text in enumerate(seen(pilot)) if "in use: hello" in text)
        assert app.cursor_position == (0, row)


async def test_a_question_is_read_out_and_names_keys_by_words(make_app: MakeApp) -> None:
    app = make_app("demo/work", ui=SPOKEN_UI)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        await send(pilot, "leave a note")
        panel = await questioned(pilot)
        panel.guard = 0
        panel.action_answer("approve")
        await until(pilot, lambda: any("apply_patch wants to" in row for row in seen(pilot)))
        text = "\n".join(seen(pilot))
        assert "(2 added, 0 removed)" in text
        assert "added: Written by the demo" in text
        assert "Ctrl+P commands" in text
        assert drawn(seen(pilot)) == set()


async def test_nothing_changes_while_nothing_happens(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app("demo/tour", 1_000.0, ui=SPOKEN_UI)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await send(pilot, "hello")
        await send(pilot, "and then?")
        await until(pilot, lambda: "Thinking…" in shown(pilot) and "queued" in shown(pilot))
        before = seen(pilot)
        app._chat._tick()
        await pilot.pause()
        assert seen(pilot) == before
        assert not [row for row in rows(pilot) if " s" in row.split("Thinking…")[-1]]
        assert any("1 waiting, Up edits" in row for row in before)
