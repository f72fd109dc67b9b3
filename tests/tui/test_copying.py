"""Copying: items by their sources, lines by the keyboard."""

from __future__ import annotations

from cody_core.schema.items import Message
from textual.pilot import Pilot
from tui.conftest import MakeApp
from tui.screen import (
    answered,
    key,
    prompt_of,
    rows,
    send,
    shown,
    state,
    transcript_of,
    until,
)
from tui.shelf import Shelf, answer, called, copying, following, show

from cody_tui.widgets.transcript import Transcript

CODE = "Here:\n\n```python\nprint(1)\n```\n\nand\n\n> ```\n> second\n> ```\n"


async def test_items_are_copied_as_their_sources(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test() as pilot:
        await send(pilot, CODE)
        await answered(pilot, "copy")
        transcript = transcript_of(pilot)
        for command, copied in (("/copy", CODE.strip()), ("/copy code", "second\n")):
            await app.screen_stack[0].do("answer.copy", command.partition(" ")[2])  # type: ignore[attr-defined]  # the chat screen
            assert app.clipboard == copied
        await pilot.press("alt+up", "alt+up", "alt+c")
        assert transcript.item is not None
        assert app.clipboard == CODE.strip()


async def test_each_block_of_code_is_copied_by_a_click() -> None:
    app = Shelf()
    async with app.run_test() as pilot:
        show(pilot, answer(Message(id="m", content=CODE)))
        labels = [y for y, row in enumerate(rows(pilot)) if row.endswith("copy")]
        assert rows(pilot)[labels[0]].split() == ["python", "copy"]
        for y, copied in zip(labels, ("print(1)\n", "second\n"), strict=True):
            await pilot.click(Transcript, offset=(rows(pilot)[y].index("copy") + 1, y))
            assert app.clipboard == copied


async def test_what_is_copied_gives_no_orders_to_a_terminal() -> None:
    app = Shelf()
    async with app.run_test() as pilot:
        transcript = show(pilot, answer(*called("shell", "{}", "a\x1b[2Jb")))
        transcript.move_item(-1)
        assert transcript.item is not None
        transcript.copy(transcript.item.source, "it")
        assert app.clipboard == "a␛[2Jb"


# Lines


async def test_lines_are_chosen_and_copied_across_items(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test(size=(80, 24)) as pilot:
        await send(pilot, CODE)
        await answered(pilot, "copy")
        before = rows(pilot)
        await pilot.press("ctrl+y")
        assert copying(pilot)
        assert "y copy" in rows(pilot)[-1]
        await pilot.press("up", "up", "up", "v", "home")
        assert "Selecting" in rows(pilot)[-1]
        await pilot.press("y")
        lines = app.clipboard.split("\n")
        assert lines[:2] == ["Here:", ""]
        assert {"python", "print(1)", "and"} <= {line.strip() for line in lines}
        assert "copy" not in app.clipboard
        assert not copying(pilot)
        await until(pilot, lambda: app.focused is prompt_of(pilot))
        assert rows(pilot) == before


async def test_leaving_the_lines_brings_back_where_one_was(make_app: MakeApp) -> None:
    async with make_app("demo/long").run_test(size=(80, 20)) as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: "▌" not in shown(pilot) and len(shown(pilot)) > 300)
        await answered(pilot, "")
        before = rows(pilot)
        await pilot.press("ctrl+y", "home")
        assert rows(pilot)[0] == "▶ talk"
        await pilot.press("pagedown", "down", "up")
        assert sum(row.startswith("▶") for row in rows(pilot)) == 1
        await pilot.press("end")
        assert not following(pilot)
        await pilot.press("escape")
        assert following(pilot)
        assert rows(pilot) == before
        await until(pilot, lambda: pilot.app.focused is prompt_of(pilot))
        await pilot.press("x")
        assert prompt_of(pilot).text == "x"


async def test_a_line_cursor_stands_still_while_an_answer_comes(make_app: MakeApp) -> None:
    async with make_app("demo/long", 0.002).run_test(size=(80, 20)) as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: "▌" not in shown(pilot) and len(shown(pilot)) > 300)
        key(pilot, "ctrl+y")
        transcript = transcript_of(pilot)
        await until(pilot, lambda: transcript.is_copying)
        last = cursor_row(pilot)
        key(pilot, "up", "up")
        await until(pilot, lambda: cursor_row(pilot) == last - 2)
        line = rows(pilot)[last - 2][2:]
        await until(pilot, lambda: transcript.has_unseen)
        key(pilot, "enter")
        await until(pilot, lambda: not transcript.is_copying)
        assert pilot.app.clipboard == line
        assert following(pilot)
        key(pilot, "escape")
        await until(pilot, lambda: state(pilot) == "ready")


async def test_chosen_lines_stay_chosen_when_they_are_wrapped_anew() -> None:
    app = Shelf()
    async with app.run_test(size=(60, 20)) as pilot:
        words = " ".join(f"word{number:03}" for number in range(400))
        transcript = show(pilot, answer(Message(id="m", content=words)))
        transcript.scroll_pages(-1)
        transcript.begin_lines()
        await pilot.press("up", "up", "v", "up", "up", "up")
        chosen = [row[2:] for row in rows(pilot)[cursor_row(pilot) :][:4]]
        await pilot.resize_terminal(33, 20)
        await until(pilot, lambda: transcript.size.width == 33)
        await pilot.resize_terminal(90, 20)
        await until(pilot, lambda: transcript.size.width == 90)
        assert chosen[0].split()[0] in rows(pilot)[cursor_row(pilot)]
        await pilot.press("y")
        assert " ".join(chosen) in app.clipboard.replace("\n", " ")
        assert len(app.clipboard) < len(" ".join(chosen)) + 2 * 90


def cursor_row(pilot: Pilot[None]) -> int:
    (row,) = [y for y, row in enumerate(rows(pilot)) if row.startswith("▶")]
    return row
