"""Orders to the terminal in whatever a model, a tool, a file or a server wrote: none gets through.

The text tries to set the title, fill the clipboard, colour, answer as if typed, and to turn the
reading direction. It is put wherever something is shown, copied, said or left, and all that leaves
the program is looked at.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from cody_core.client import Client
from cody_core.errors import InvalidRequest
from cody_core.runtime import open_runtime
from cody_core.schema.events import ApprovalRequested
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Message,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.models import CoreInfo, ModelInfo, ModelList
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import ErrorInfo, Response
from cody_core.schema.threads import Thread, ThreadChanges, ThreadDetail
from rich.console import Console
from textual.pilot import Pilot
from tui.conftest import MakeApp, MakeSettings
from tui.screen import answered, key, prompt_of, ready, send, shown, transcript_of, until
from tui.shelf import answer

from cody_tui.app import CodyApp
from cody_tui.export import as_html, as_markdown, file_name
from cody_tui.leaving import Left, write_left
from cody_tui.messages import Called, Choices, Snapshot, ThreadShown
from cody_tui.notify import Calls
from cody_tui.pager import thread_text
from cody_tui.signs import PLAIN
from cody_tui.widgets.approval import Approval
from cody_tui.widgets.sidebar import Sidebar

ORDERS: Final = (
    "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[31m\x1b[2J\x1b[6n\x1bP+q\x1b\\\x9b31m\x9d0;x\x9c"
    "\x08\x7f\r\x0b\x0c\x00\u2028\ud800"
)
EVIL: Final = f"evil {ORDERS} end"
WHOLE: Final = EVIL.replace("\ud800", "")
"""The same where half a character is refused anyway."""
LINKS: Final = (
    "[a](javascript:alert(1)) [b](https://x.org/\x1b]0;owned\x07) &#27;[31m &#x9b;31m &#7; "
    "[c](https://x.org/&#27;]0;owned&#7;) <http://x/%1b]2;owned%1b%5c> <http://x/%c2%9b2J> "
    "<http://x/%1b]52;c;b3duZWQ=%07> ![%1b](%1b]0;owned%07) [d](<%1b[2J> '%1b') &#8232; %0c%00"
)
DRAWN_BY_US: Final = re.compile(r"\x1b\[[0-9;]*m")


def orders(text: str) -> list[str]:
    """Return what a terminal would not just show."""
    return sorted(
        {
            character
            for character in text
            if (character != "\n" and (ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0))
            or character in "\u2028\u2029"
            or 0xD800 <= ord(character) < 0xE000
        }
    )  # fmt: skip


def screen(pilot: Pilot[None]) -> str:
    """Return all that is on the screen, dialogs and notes included."""
    strips = pilot.app.screen._compositor.render_strips()
    for segment in (segment for strip in strips for segment in strip):
        link = segment.style.link if segment.style is not None else None
        assert not orders(link or "")
        assert not (link or "").startswith("javascript")
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def run_of_evil() -> Response:
    inner = FunctionCall(id="in", call_id="in", name=EVIL, arguments=EVIL, correlation_id="script")
    return answer(
        Reasoning(id="r", content=EVIL + LINKS),
        Message(id="m", content=f"{EVIL}\n\n# {EVIL}\n\n> {EVIL}\n\n- {EVIL}\n\n"
                f"```x&#8232;{EVIL}\n{EVIL}\n```\n\n| {EVIL} |\n|--|\n| {EVIL} |\n\n"
                f"`{EVIL}`\n\n{LINKS}"),
        FunctionCall(id="c", call_id="c", name=EVIL, arguments=json.dumps({EVIL: EVIL})),
        FunctionCallOutput(id="o", call_id="c", output=EVIL, success=False),
        FunctionCall(id="d", call_id="d", name="shell", arguments=json.dumps({"command": EVIL})),
        FunctionCall(id="e", call_id="e", name="apply_patch", arguments=json.dumps(
            {"input": f"*** Begin Patch\n*** Update File: {EVIL}\n@@\n-{EVIL}\n+{EVIL}\n"})),
        FunctionCall(id="p", call_id="p", name="update_plan", arguments=json.dumps(
            {"explanation": EVIL, "plan": [{"step": EVIL, "status": "in_progress"}]})),
        ScriptExecution(id="script", code=EVIL),
        inner,
        ScriptExecutionOutput(id="so", script_id="script", result=EVIL, success=False,
                              error=EVIL, logs=EVIL),
        Cancelled(id="x", reason=EVIL, partial=Message(id="y", content=EVIL)),
        ErrorItem(id="z", code="c", message=EVIL),
        prompt=EVIL,
        status="error",
        error=ErrorInfo(code="c", message=EVIL + " and more"),
    )  # fmt: skip


async def test_items_of_every_kind_closed_and_open(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test(size=(100, 200)) as pilot:
        await ready(pilot)
        transcript = transcript_of(pilot)
        question = ApprovalRequested(approval_id="q", item_id="d", call_id="d", tool="shell",
                                     kind="execute", summary=EVIL, preview=EVIL)  # fmt: skip
        live = run_of_evil().model_copy(update={"status": "in_progress", "error": None})
        transcript.load([run_of_evil()])
        transcript.show(Snapshot(live, approvals=(question,)))
        transcript.queue(EVIL, [EVIL, EVIL])
        transcript.notice(EVIL)
        assert "evil" in screen(pilot)
        assert orders(screen(pilot)) == []
        for block in transcript.blocks:
            block.toggle()
        for _ in range(4):
            key(pilot, "pageup")
            await pilot.pause()
            assert orders(screen(pilot)) == []


async def test_what_is_copied(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test(size=(100, 60)) as pilot:
        await ready(pilot)
        transcript = transcript_of(pilot)
        transcript.load([run_of_evil()])
        for block in transcript.blocks:
            transcript.copy(block.source, "it")
            assert orders(app.clipboard) == []
        key(pilot, "ctrl+y", "home", "v", "end", "y")
        await until(pilot, lambda: "evil" in app.clipboard)
        assert orders(app.clipboard) == []


async def test_a_question_shows_even_what_cannot_be_seen(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test(size=(300, 40)) as pilot:
        await ready(pilot)
        panel = Approval()
        await pilot.app.screen.mount(panel, before=prompt_of(pilot))
        turned = f"rm \u202etxt.\u200b{WHOLE}"
        question = ApprovalRequested(approval_id="q", item_id="d", call_id="d", tool=turned,
                                     kind="execute", summary=turned, preview=turned)  # fmt: skip
        panel.show([question])
        await pilot.pause()
        assert orders(screen(pilot)) == []
        assert "\u202e" not in screen(pilot)
        assert screen(pilot).count("rm <202E>txt.<200B>") == 3


async def test_titles_of_threads_and_of_the_window(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    turned = f"\u202eturned {WHOLE}"
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await ready(pilot)
        await send(pilot, "hello")
        await answered(pilot, "  hello")
        client, thread_id = app._chat.client, app._chat.thread_id
        assert client is not None
        assert thread_id is not None
        await client.update_thread(thread_id, ThreadChanges(title=turned, tags=(turned[:40],)))
        app._chat.post_message(ThreadShown(turned))
        await until(pilot, lambda: "turned" in app.title)
        assert orders(app.title) == []
        key(pilot, "ctrl+b")
        await until(pilot, lambda: bool(app.screen.query(Sidebar)))
        await until(pilot, lambda: "turned" in screen(pilot))
        assert orders(screen(pilot)) == []
        assert "\u202e" not in screen(pilot)
        for act in ("thread.find", "thread.rename"):
            await app._chat.do(act)
            await until(pilot, lambda: app.screen is not app._chat and "turned" in screen(pilot))
            assert orders(screen(pilot)) == []
            await pilot.press("escape")
        app._chat.status.elsewhere = app._chat.status.trouble = turned
        await pilot.pause()
        assert orders(screen(pilot)) == []
        await app._chat.do("thread.delete")
        await until(pilot, lambda: "Deleted" in screen(pilot))
        assert orders(screen(pilot)) == []


@pytest.mark.parametrize("variables", [{"TERM_PROGRAM": "iTerm.app"}, {"TERM": "xterm"},
                                       {"TMUX": "1", "TERM": "screen"}])  # fmt: skip
def test_the_terminals_title_and_its_notifications(variables: dict[str, str]) -> None:
    calls = Calls("desktop", {"TERM": "xterm-256color", **variables})
    plain = calls.title("x"), calls.call("x")
    evil = calls.title(EVIL), calls.call(EVIL)
    for ours, theirs in zip(plain, evil, strict=True):
        assert [c for c in theirs if orders(c)] == [c for c in ours if orders(c)]


async def test_what_a_server_says_of_itself_and_of_its_models(make_settings: MakeSettings) -> None:
    settings = make_settings()

    class Evil:
        """A client of a server that nobody should trust."""

        def __init__(self, client: Client) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        async def models(self, *, refresh: bool = False) -> ModelList:
            model = ModelInfo(id=WHOLE, provider_id=WHOLE, is_default=True)
            return ModelList(models=(model,), unreachable=(WHOLE,) if refresh else ())

        async def info(self) -> CoreInfo:
            return CoreInfo(version=WHOLE, log=WHOLE, store=WHOLE, workspace=WHOLE, home=WHOLE)

        async def find_files(self, query: str, *, limit: int = 20) -> list[str]:
            return [f"evil{ORDERS}.py", "evil.py"]

        async def fork(self, *_: object, **__: object) -> Thread:
            raise InvalidRequest(EVIL)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with open_runtime(settings) as client:
            yield Evil(client)

    app = CodyApp(opened, choices=Choices(model="demo/echo", agent=WHOLE), settings=settings)
    async with app.run_test(size=(120, 50), notifications=True) as pilot:
        await ready(pilot)
        app._chat.status.model = EVIL
        for act in ("model.choose", "status.show"):
            await app._chat.do(act)
            await until(pilot, lambda: app.screen is not app._chat and "evil" in screen(pilot))
            assert orders(screen(pilot)) == []
            await pilot.press("escape")
        await pilot.press("@", "e", "v")
        await until(pilot, lambda: f"{PLAIN.cursor}evil.py" in screen(pilot))
        assert orders(screen(pilot)) == []
        await pilot.press("tab")
        assert prompt_of(pilot).text == "@evil.py "
        app.notify(EVIL, title=EVIL)
        app._chat.conversation_failed(InvalidRequest(EVIL), [EVIL])
        app._chat.post_message(Called(EVIL))
        await until(pilot, lambda: len(app.screen.query("Toast")) > 0)
        assert orders(screen(pilot)) == []


async def test_what_comes_back_into_the_prompt(make_app: MakeApp, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "drafts").mkdir(parents=True)
    (home / "drafts" / "new.txt").write_text(f"draft {ORDERS[:-1]}", encoding="utf-8")
    line = json.dumps({"text": f"sent before {ORDERS}"})
    (home / "prompts.jsonl").write_text(line + "\n", encoding="utf-8")
    async with make_app("demo/echo").run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: prompt_of(pilot).text.startswith("draft"))
        assert orders(screen(pilot)) == []
        key(pilot, "ctrl+u", "ctrl+r")
        await until(pilot, lambda: "sent before" in screen(pilot))
        await pilot.press(*"sent")
        assert orders(screen(pilot)) == []
        key(pilot, "enter")
        await until(pilot, lambda: prompt_of(pilot).text.startswith("sent before"))
        assert orders(prompt_of(pilot).text) == []
        key(pilot, "enter")
        await answered(pilot, "  sent before")
        assert orders(screen(pilot)) == []


def detail() -> ThreadDetail:
    run = run_of_evil()
    thread = Thread(id=run.thread_id, title=EVIL, created_at=1, updated_at=1)
    return ThreadDetail(thread=thread, runs=(run,))


def test_the_pager_and_the_documents() -> None:
    assert orders(thread_text(detail())) == []
    assert orders(as_markdown(detail())) == []
    html = as_html(detail())
    assert orders(html) == []
    assert "javascript:" not in html.replace("(javascript:", "")  # where it is text
    assert orders(file_name(detail(), "md")) == []


@pytest.mark.parametrize("how", ["answer", "thread"])
def test_what_is_left_in_the_terminal(how: Any) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system="truecolor")
    run = run_of_evil()
    write_left(Left(EVIL, run.thread_id, [run]), how, console)
    assert "evil" in out.getvalue()
    assert orders(DRAWN_BY_US.sub("", out.getvalue())) == []


async def test_half_a_character_is_sent_and_stored_as_a_whole_one(
    make_settings: MakeSettings,
) -> None:
    async with open_runtime(make_settings()) as client:
        submitted = await client.submit(SubmitRequest(prompt="a\ud83db", model="demo/echo"))
        async with asyncio.timeout(10):
            async for _ in client.follow(submitted.run_id):
                pass
        changes = ThreadChanges(title="t\udcff", tags=("x\udcff",))
        await client.update_thread(submitted.thread_id, changes)
        found = await client.thread(submitted.thread_id)
        assert (found.thread.title, found.thread.tags) == ("t?", ("x?",))
        assert found.model_dump_json()
        assert (await client.threads(query="\udcff")).threads == ()


async def test_half_a_character_in_the_prompt_is_no_end_of_the_program(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test() as pilot:
        await ready(pilot)
        app._chat.send("half \ud83d")
        await answered(pilot, "  half ")
        assert orders(screen(pilot)) == []
        assert app.crash is None
        assert "half" in shown(pilot)
