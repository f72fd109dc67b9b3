"""Questions on the screen, and what answers them."""

from __future__ import annotations

import pytest
from cody_core.schema.events import ApprovalResolved
from textual import events
from textual.geometry import Region
from tui.questions import (
    DIFF,
    Runner,
    Session,
    asked,
    gone,
    log_of,
    of_long_ago,
    open_run,
    panel_of,
    panel_text,
)
from tui.screen import answered, key, prompt_of, send, state, until

from cody_tui.widgets.status import Status


async def test_consent_runs_the_call_and_gives_the_focus_back() -> None:
    session = Session(Runner(), "make all")
    async with session.app.run_test(size=(100, 30)) as pilot:
        await send(pilot, "go")
        await asked(pilot, "shell wants to: run make all")
        text = panel_text(pilot)
        assert "execute" in text
        assert "y approve  s session  a always  n deny  d deny with a reason  Esc stop" in text
        assert (state(pilot), session.tool.ran) == ("asking", [])
        assert "waiting for you" in str(pilot.app.screen.query_one(Status).render())
        key(pilot, "y")
        await gone(pilot)
        await answered(pilot, "the end")
    assert session.tool.ran == ["make all"]
    assert session.app.rings == 1


@pytest.mark.parametrize(
    ("name", "decision"),
    [("s", "approve_for_session"), ("a", "approve_always"), ("n", "deny"), ("y", "approve")],
)
async def test_every_key_gives_its_answer(name: str, decision: str) -> None:
    session = Session(Runner(), "make all")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        await asked(pilot)
        run_id, _ = await open_run(session)
        key(pilot, name)
        await answered(pilot, "the end")
        assert session.client is not None
        payloads = await log_of(session.client, run_id)
    assert [p.decision for p in payloads if isinstance(p, ApprovalResolved)] == [decision]


async def test_a_reason_reaches_the_model() -> None:
    session = Session(Runner(), "rm -rf build")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        await asked(pilot)
        key(pilot, "d")
        await until(pilot, lambda: panel_of(pilot).is_writing and "Why not?" in panel_text(pilot))
        await pilot.press(*"say why")
        await pilot.press("enter")
        await gone(pilot)
        await answered(pilot, "the end")
    assert session.tool.ran == []
    assert "say why" in session.output().output


async def test_escape_leaves_the_reason_and_asks_again() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot)
        await pilot.press("d", "y", "escape")
        await until(pilot, lambda: panel.has_focus and not panel.is_writing)
        await until(pilot, lambda: not panel.is_guarded)
        assert state(pilot) == "asking"
        await pilot.press("y")
        await answered(pilot, "the end")
    assert session.tool.ran == ["make"]


async def test_escape_stops_the_run() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        await asked(pilot)
        key(pilot, "escape")
        await gone(pilot)
        await answered(pilot, "■ stopped")
    assert session.tool.ran == []


async def test_an_answer_from_elsewhere_takes_the_panel_away() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        await asked(pilot)
        run_id, question = await open_run(session)
        assert session.client is not None
        await session.client.resolve_approval(run_id, question.approval_id, "approve")
        await gone(pilot)
        await answered(pilot, "the end")
    assert session.tool.ran == ["make"]


async def test_questions_are_asked_one_after_the_other() -> None:
    tool = Runner("read")
    session = Session(tool, "first", "second", together=True)
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        await asked(pilot, "read · 1 of 2")
        assert "run first" in panel_text(pilot)
        key(pilot, "y")
        await asked(pilot, "run second")
        assert "1 of" not in panel_text(pilot)
        key(pilot, "n")
        await answered(pilot, "the end")
    assert tool.ran == ["first"]
    assert session.app.rings == 2


async def test_what_is_hostile_in_a_question_does_not_reach_the_terminal() -> None:
    hostile = "echo \x1b]0;owned\x07\x1b[2J\x9b31m \u202eelif"
    session = Session(Runner(), hostile)
    async with session.app.run_test(size=(120, 30)) as pilot:
        await send(pilot, "go")
        await asked(pilot, "owned")
        text = panel_text(pilot)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
        assert text.count("echo ␛]0;owned␇␛[2J<9B>31m <202E>elif") == 2


async def test_a_long_diff_takes_a_third_of_the_screen_and_scrolls() -> None:
    long = DIFF + "".join(f" line {n}\n" for n in range(100)) + "+the last line"
    session = Session(Runner("write", long), "edit")
    async with session.app.run_test(size=(80, 30)) as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "-old line")
        assert (panel.size.height, panel._preview.size.height) == (13, 10)
        assert prompt_of(pilot).region.bottom < 30
        await pilot.resize_terminal(80, 21)
        await until(pilot, lambda: (panel.size.height, panel._preview.size.height) == (10, 7))
        assert "the last line" not in panel_text(pilot)
        await pilot.press(*["space"] * 18)
        await until(pilot, lambda: "+the last line" in panel_text(pilot))
        await pilot.press(*["b"] * 18)
        await until(pilot, lambda: "+++ b/x" in panel_text(pilot))


async def test_a_question_says_what_consent_for_longer_would_allow() -> None:
    session = Session(Runner(), "git status -s")
    async with session.app.run_test(size=(80, 30)) as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "git status -s")
        said = "session and always allow: every command that begins with 'git status'"
        assert said in str(panel._covers.render())


async def test_the_lines_of_a_diff_differ_in_colour() -> None:
    session = Session(Runner("write", DIFF), "edit")
    async with session.app.run_test(size=(80, 30)) as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "+new line")
        text = panel._text
        strips = text.render_lines(Region(0, 0, *text.size))
        colours = {
            segment.text.strip(): segment.style.color
            for strip in strips
            for segment in strip
            if segment.style is not None and segment.text.strip()
        }
        assert len({colours["-old line"], colours["+new line"], colours["@@ -1 +1 @@"]}) == 3


async def test_the_panel_says_when_it_has_not_the_focus() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "y approve")
        prompt_of(pilot).focus()
        await until(pilot, lambda: "to answer" in panel_text(pilot))
        of_long_ago(panel)
        await pilot.press("y", "tab")
        assert prompt_of(pilot).text == "y"
        await until(pilot, lambda: "y approve" in panel_text(pilot))
        assert panel.is_guarded
        panel.guard = 0
        await pilot.press("n")
        await answered(pilot, "the end")
    assert session.tool.ran == []


async def test_a_pasted_reason_is_one_printable_line() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        await asked(pilot)
        key(pilot, "d")
        await until(pilot, lambda: panel_of(pilot).is_writing)
        panel_of(pilot)._reason.post_message(events.Paste("too\n\x1b[2Jrisky"))
        await until(pilot, lambda: "too ␛[2Jrisky" in panel_text(pilot))
        key(pilot, "enter")
        await answered(pilot, "the end")
    assert "too ␛[2Jrisky" in session.output().output
