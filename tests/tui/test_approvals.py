"""Questions on the screen: the real runtime, a scripted model, and a tool that asks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path, PurePath
from typing import ClassVar

import pytest
from cody_core.client import Client
from cody_core.providers.scripted import Call, Say, ScriptedProvider
from cody_core.schema.events import ApprovalRequested, ApprovalResolved
from cody_core.schema.items import FunctionCallOutput
from cody_core.tools import Intent, ToolContext, ToolKind, ToolResult
from pydantic import BaseModel
from support.core import MODEL, core
from textual import events
from textual.geometry import Region
from textual.pilot import Pilot
from tui.screen import answered, key, prompt_of, questioned, send, state, until

from cody_tui.app import CodyApp
from cody_tui.messages import Choices
from cody_tui.widgets.approval import GUARD, Approval
from cody_tui.widgets.status import Status

HERE = Path(inspect.getfile(CodyApp)).parent
DIFF = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old line\n+new line\n"


class Arguments(BaseModel):
    command: str


class Runner:
    """Asks, and remembers what it was allowed."""

    name = "shell"
    description = "Run a command."
    arguments = Arguments

    def __init__(self, kind: ToolKind = "execute", preview: str | None = None) -> None:
        self.kind: ToolKind = kind
        self.ran: list[str] = []
        self.gate = asyncio.Event()
        """What it waits at before it is done."""
        self.gate.set()
        self._preview = preview

    async def intend(self, arguments: Arguments, context: ToolContext) -> Intent:
        command = arguments.command
        outside = (Path("/outside"),)
        return Intent(f"run {command}", preview=self._preview or command, paths=outside)

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        self.ran.append(arguments.command)
        await self.gate.wait()
        return ToolResult("ok")


class RingingApp(CodyApp):
    """Counts how often the bell rings, which no test terminal does."""

    CSS_PATH: ClassVar[list[str | PurePath]] = [HERE / path for path in CodyApp.CSS_PATH]
    rings = 0

    def bell(self) -> None:
        self.rings += 1


class Session:
    """An app over a scripted model, and the client below it."""

    def __init__(self, tool: Runner, *commands: str, together: bool = False) -> None:
        calls = [Call("shell", {"command": command}) for command in commands]
        turns: list[list[Call | Say]] = [[*calls]] if together else [[call] for call in calls]
        self.provider = ScriptedProvider([*turns, [Say("the end")]])
        self.tool = tool
        self.client: Client | None = None
        self.app = RingingApp(self._open, choices=Choices(model=MODEL))

    def _open(self) -> AbstractAsyncContextManager[Client]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Client]:
            async with core(self.provider, tools=[self.tool], policy="ask") as client:
                self.client = client
                yield client

        return opened()

    def output(self) -> FunctionCallOutput:
        item = self.provider.requests[1].items[-1]
        assert isinstance(item, FunctionCallOutput)
        return item


def panel_of(pilot: Pilot[None]) -> Approval:
    return pilot.app.screen.query_one(Approval)


def panel_rows(pilot: Pilot[None]) -> list[str]:
    """Return what the compositor draws where the panel is."""
    region = panel_of(pilot).region
    strips = pilot.app.screen._compositor.render_strips()[region.y : region.bottom]
    return ["".join(segment.text for segment in strip).strip() for strip in strips]


def panel_text(pilot: Pilot[None]) -> str:
    return "\n".join(panel_rows(pilot))


async def asked(pilot: Pilot[None], text: str = "wants to") -> Approval:
    """Wait until a question is on the screen and keys are answers."""
    panel = await questioned(pilot)
    await until(pilot, lambda: panel.display and text in panel_text(pilot))
    await until(pilot, lambda: panel.has_focus and not panel.is_guarded)
    return panel


def of_long_ago(panel: Approval) -> None:
    """Let it be hours since the question came, and keys wait for an hour."""
    panel.guard = 3600
    panel._quiet_since -= 2 * panel.guard
    assert not panel.is_guarded


async def gone(pilot: Pilot[None]) -> None:
    panel = panel_of(pilot)
    await until(pilot, lambda: not panel.display and pilot.app.focused is prompt_of(pilot))


async def log_of(client: Client, run_id: str) -> Sequence[object]:
    async with aclosing(client.follow(run_id)) as batches:
        return [entry.payload for entry in await anext(batches)]


async def open_run(session: Session) -> tuple[str, ApprovalRequested]:
    """Return the run that asks, and its question, as another client finds them."""
    assert session.client is not None
    (thread,) = (await session.client.threads()).threads
    run = (await session.client.thread(thread.id)).runs[-1]
    payloads = await log_of(session.client, run.id)
    (question,) = [p for p in payloads if isinstance(p, ApprovalRequested)]
    return run.id, question


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


async def test_a_key_that_comes_too_early_is_no_answer() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await questioned(pilot)
        assert panel.guard == GUARD == 0.3
        panel.guard = 3600
        await until(pilot, lambda: panel.has_focus)
        await pilot.press("y", "s", "a", "n", "d")
        assert (panel.display, panel.is_writing, state(pilot)) == (True, False, "asking")
        panel.guard = 0.001
        await pilot.press("y")  # goes where the others went, however late it comes
        await until(pilot, lambda: prompt_of(pilot).has_focus)
        assert prompt_of(pilot).text == "ysandy"
        assert session.tool.ran == []
        await pilot.press("tab")
        await until(pilot, lambda: panel.has_focus and not panel.is_guarded)
        await pilot.press("y")
        await gone(pilot)
        await answered(pilot, "the end")
        assert prompt_of(pilot).text == "ysandy"
    assert session.tool.ran == ["make"]


async def test_a_word_that_begins_with_no_answer_has_none_in_it() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        await asked(pilot)
        await pilot.press(*"has")
        await until(pilot, lambda: prompt_of(pilot).text == "has")
        await until(pilot, lambda: prompt_of(pilot).has_focus)
        assert state(pilot) == "asking"
    assert session.tool.ran == []


async def test_what_is_pasted_is_no_answer_and_goes_into_the_prompt() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot)
        session.app.post_message(events.Paste("y\nand more"))
        await until(pilot, lambda: prompt_of(pilot).text == "y\nand more")
        assert panel.is_guarded
        await until(pilot, lambda: prompt_of(pilot).has_focus)
    assert session.tool.ran == []


async def test_a_draft_keeps_the_focus_however_long_ago_it_was_written() -> None:
    tool = Runner()
    tool.gate.clear()
    session = Session(tool, "look", "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "look")
        await pilot.press("y")
        await gone(pilot)
        prompt_of(pilot).write("half a thought")  # by no key, so it was not written lately
        tool.gate.set()
        await until(pilot, lambda: panel.display and "make" in panel_text(pilot))
        assert "or Tab from the prompt" in panel_text(pilot)
        assert prompt_of(pilot).has_focus


async def test_a_letter_right_after_a_dialog_over_the_question_is_no_answer() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot)
        key(pilot, "f1")
        await until(pilot, lambda: session.app.screen is not panel.screen)
        of_long_ago(panel)
        key(pilot, "escape")
        await until(pilot, lambda: session.app.screen is panel.screen)
        await pilot.press("a")
        assert (panel.has_focus, prompt_of(pilot).text) == (True, "a")
    assert session.tool.ran == []


async def test_a_letter_right_after_the_terminal_was_left_is_no_answer() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        session.app.post_message(events.AppBlur())
        panel = await questioned(pilot)
        await until(pilot, lambda: panel.has_focus)
        of_long_ago(panel)
        session.app.post_message(events.AppFocus())
        await pilot.pause()
        await pilot.press("a")
        assert (panel.has_focus, prompt_of(pilot).text) == (True, "a")
    assert session.tool.ran == []


@pytest.mark.parametrize(
    ("opens", "is_left"),
    [("ctrl+f", False), ("ctrl+r", False), ("ctrl+b", False), ("ctrl+f", True)],
)
async def test_a_question_takes_no_keys_from_what_is_searched_or_chosen(
    opens: str, is_left: bool
) -> None:
    tool = Runner()
    tool.gate.clear()
    session = Session(tool, "look", "make")
    async with session.app.run_test(size=(120, 30)) as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "look")
        await pilot.press("y")
        await gone(pilot)
        key(pilot, opens)
        await until(pilot, lambda: pilot.app.focused not in (None, prompt_of(pilot)))
        used = pilot.app.focused
        if is_left:
            session.app.post_message(events.AppBlur())
            await until(pilot, lambda: pilot.app.focused is None)
        tool.gate.set()
        await until(pilot, lambda: panel.display and "make" in panel_text(pilot))
        if is_left:
            session.app.post_message(events.AppFocus())
        await until(pilot, lambda: pilot.app.focused is used)
        assert not panel.has_focus
    assert tool.ran == ["look"]


async def test_whoever_is_writing_keeps_the_focus_and_goes_to_the_question_by_a_key() -> None:
    tool = Runner()
    tool.gate.clear()
    session = Session(tool, "look", "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await asked(pilot, "look")
        await pilot.press("y")
        await gone(pilot)
        await pilot.press(*"half")
        tool.gate.set()
        await until(pilot, lambda: panel.display and "make" in panel_text(pilot))
        assert "or Tab from the prompt" in panel_text(pilot)
        await pilot.press("y")
        assert prompt_of(pilot).text == "halfy"
        assert tool.ran == ["look"]
        await pilot.press("tab")
        await until(pilot, lambda: panel.has_focus and not panel.is_guarded)
        await pilot.press("n")
        await answered(pilot, "the end")


async def test_keys_that_keep_coming_keep_the_guard_up() -> None:
    session = Session(Runner(), "make")
    async with session.app.run_test() as pilot:
        await send(pilot, "go")
        panel = await questioned(pilot)
        panel.guard = 3600
        await until(pilot, lambda: panel.has_focus)
        before = panel._quiet_since
        await pilot.press("h")
        assert panel._quiet_since > before


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
