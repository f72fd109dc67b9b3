"""Leaving: what is asked before, and what stays behind."""

from __future__ import annotations

from io import StringIO

import pytest
from cody_core.ids import new_id
from cody_core.schema.items import FunctionCall, Message
from cody_core.schema.response import Response
from rich.console import Console
from textual.widgets._toast import Toast
from tui.conftest import MakeApp
from tui.screen import answered, completed, key, prompt_of, send, shown, state, until

from cody_tui.leaving import Left, OnQuit, write_left
from cody_tui.pager import command

SLOW = 0.002


def run(prompt: str, answer: str) -> Response:
    call = FunctionCall(id="c", name="read_file", arguments='{"path": "a"}', call_id="c")
    return Response(
        id=new_id(),
        turn_id=new_id(),
        thread_id=new_id(),
        model_id="tour",
        provider_id="demo",
        created_at=1,
        updated_at=2,
        status="complete",
        input_items=(Message(id="p", content=prompt, origin="user"),),
        output_items=(call, Message(id="a", content=answer, origin="agent")),
        finish_reason="stop",
        error=None,
    )


def written(left: Left, how: OnQuit) -> list[str]:
    out = StringIO()
    write_left(left, how, Console(file=out, width=60))
    return [line.rstrip() for line in out.getvalue().splitlines()]


THREAD = Left("A \x1b[31mtitle", "0198", (run("one", "# First"), run("two", "- *Second* \x07")))
HEADER = "A ␛[31mtitle · cody -t 0198"


def test_the_last_answer_stays_rendered_below_a_line_that_says_how_to_go_on() -> None:
    assert written(THREAD, "answer") == [HEADER, "", " • Second ␇"]


def test_the_whole_thread_can_stay() -> None:
    lines = [line for line in written(THREAD, "thread") if line]
    call = '⚙ read_file({"path": "a"})'
    assert lines == [HEADER, "> one", call, "First", "> two", call, " • Second ␇"]


@pytest.mark.parametrize(
    ("left", "how"),
    [
        (THREAD, "nothing"),
        (Left("Cody", None, ()), "answer"),
        (Left("Empty", "0198", ()), "thread"),
    ],
)
def test_nothing_stays_where_that_is_set_or_nothing_was_said(left: Left, how: OnQuit) -> None:
    assert written(left, how) == []


async def test_the_app_leaves_what_is_on_its_screen(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test() as pilot:
        await send(pilot, "**back**")
        await answered(pilot, "back")
        await completed(pilot)
        key(pilot, "ctrl+q")
        await until(pilot, lambda: not app.is_running)
    header, *rest = written(app.left, "answer")
    assert header == f"**back** · cody -t {app.left.thread_id}"
    assert rest == ["", "back"]


async def test_quitting_while_an_answer_comes_asks_first(make_app: MakeApp) -> None:
    app = make_app("demo/long", SLOW)
    async with app.run_test(notifications=True) as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering")
        key(pilot, "ctrl+q")
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        assert "Ctrl+Q again" in str(app.screen.query_one(Toast).render())
        assert app.is_running
        assert state(pilot) == "answering"
        key(pilot, "ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_control_c_over_a_written_prompt_says_what_quits(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.focused is prompt_of(pilot))
        prompt_of(pilot).write("precious words")
        key(pilot, "ctrl+c")
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        assert "Ctrl+Q quits" in str(app.screen.query_one(Toast).render())
        assert prompt_of(pilot).text == "precious words"
        prompt_of(pilot).select_all()
        key(pilot, "ctrl+c")
        await until(pilot, lambda: app.clipboard == "precious words")


async def test_quitting_can_be_asked_for_by_name(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await app.screen.do("app.quit")  # type: ignore[attr-defined]
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_a_pager_needs_something_to_show_and_a_terminal(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await app.screen.do("thread.pager")  # type: ignore[attr-defined]
        await until(pilot, lambda: "nothing to read yet" in _notes(app.screen.query(Toast)))
        await send(pilot, "hello")
        await completed(pilot)
        await app.screen.do("thread.pager")  # type: ignore[attr-defined]
        await until(pilot, lambda: "needs a terminal" in _notes(app.screen.query(Toast)))
        assert "hello" in shown(pilot)


def _notes(toasts: object) -> str:
    return " ".join(str(toast.render()) for toast in toasts)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pager", "words"),
    [("", ["less", "-R"]), ("  ", ["less", "-R"]), ("most -s 'a b'", ["most", "-s", "a b"])],
)
def test_the_pager_is_what_the_environment_names(pager: str, words: list[str]) -> None:
    assert command({"PAGER": pager}) == words
    assert command({}) == ["less", "-R"]
