"""Lists to choose from: what is searched for is marked, and columns stand below each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cody_core.schema.items import Message
from cody_core.schema.threads import Thread, ThreadDetail
from rich.cells import cell_len
from textual.app import App
from textual.content import Content
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import OptionList, Static
from tui.conftest import MakeApp
from tui.screen import answered, key, send, state, until
from tui.shelf import answer

from cody_tui.dialogs.picking import Entry, Picker
from cody_tui.dialogs.status import StatusDialog
from cody_tui.dialogs.threads import AskLine, FindThread, excerpt
from cody_tui.matching import spans
from cody_tui.widgets.one_line import OneLine


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("note", "Draft notes", ["note"]),
        ("NOTES draft", "Draft notes", ["notes", "Draft"]),
        ("at", "that cat at", ["at"]),
        ("dn", "Draft notes", ["D", "n"]),
        ("xyz", "Draft notes", []),
        ("", "Draft notes", []),
        ("世界", "你好 世界", ["世界"]),
        ("i", "\u0130stanbul", []),
    ],
)
def test_what_made_a_text_an_answer_is_told(query: str, text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in spans(query, text)] == found


def test_a_word_is_marked_where_it_begins_one() -> None:
    assert spans("at", "that cat at") == [(9, 11)]


def detail(*texts: str) -> ThreadDetail:
    run = answer(*(Message(id=str(n), content=text) for n, text in enumerate(texts)), prompt="hm")
    return ThreadDetail(
        thread=Thread(id=run.thread_id, title="t", created_at=1, updated_at=1), runs=(run,)
    )


def test_an_excerpt_is_of_what_has_most_of_the_words_and_of_the_newest_of_those() -> None:
    said = detail("kettle and pot", "first the pot", "a pot, a kettle\x1b[31m", "a kettle")
    assert excerpt(said, "kettle pot") == "a pot, a kettle␛[31m"
    assert excerpt(said, "FIRST") == "first the pot"
    assert excerpt(said, "tea") == ""
    long = excerpt(detail("x" * 500 + " kettle " + "y" * 500), "kettle")
    assert (long[0], long[-1], len(long)) == ("…", "…", 141)
    assert "kettle" in long


class DialogApp(App[None]):
    """A dialog and nothing else."""

    def __init__(self, make: Callable[[], Screen[str | None]]) -> None:
        super().__init__()
        self._make = make
        self.results: list[str | None] = []

    def on_mount(self) -> None:
        self.dialog = self._make()
        self.push_screen(self.dialog, self.results.append)


def of(*entries: Entry) -> DialogApp:
    return DialogApp(lambda: Picker("Things", entries))


def lines(pilot: Pilot[None]) -> list[Content]:
    found = pilot.app.screen.query_one(OptionList)
    return [option.prompt for option in found.options if isinstance(option.prompt, Content)]


async def test_details_stand_below_each_other_whatever_the_names() -> None:
    names = ["one", "你好 世界", "x" * 60, "👩‍💻 work"]
    async with of(*(Entry(n, n, "detail") for n in names)).run_test() as pilot:
        await until_listed(pilot, 4)
        before = {cell_len(line.plain.partition("detail")[0]) for line in lines(pilot)}
        assert before == {46}
        assert "…  detail" in lines(pilot)[2].plain


async def until_listed(pilot: Pilot[None], count: int) -> None:
    while len(lines(pilot)) != count:
        await pilot.pause()


async def test_letters_that_are_searched_for_are_marked_in_the_list() -> None:
    async with of(Entry("a", "alpha", "first"), Entry("b", "beta")).run_test() as pilot:
        await until_listed(pilot, 2)
        await pilot.press("p", "h")
        await until_listed(pilot, 1)
        (line,) = lines(pilot)
        marked = [line.plain[s.start : s.end] for s in line.spans if "underline" in str(s.style)]
        assert marked == ["ph"]


async def test_the_field_stays_where_it_is_and_the_terminals_cursor_at_its_caret() -> None:
    async with of(*(Entry(n, n) for n in ("你好", "one", "two"))).run_test() as pilot:
        await until_listed(pilot, 3)
        field = pilot.app.screen.query_one(OneLine)
        corner = field.content_region.offset
        for keys, cells in (("你", 2), ("好", 4), ("left", 2), ("home", 0), ("end", 4)):
            await pilot.press(keys)
            await pilot.pause()
            assert field.content_region.offset == corner
            assert pilot.app.cursor_position == corner + Offset(cells, 0)
        assert [line.plain.strip() for line in lines(pilot)] == ["你好"]


async def test_a_thread_found_by_what_was_said_shows_where(make_app: MakeApp) -> None:
    app = make_app("demo/tour")
    async with app.run_test(size=(100, 30)) as pilot:
        await send(pilot, "hello")
        await answered(pilot, "Enjoy!")
        await until(pilot, lambda: state(pilot) == "ready")
        key(pilot, "ctrl+t")
        await until(pilot, lambda: isinstance(app.screen, FindThread))
        await pilot.press(*"fibonacci")
        note = app.screen.query_one(".picker--note", Static)
        await until(pilot, lambda: "def fibonacci" in str(note.content))
        key(pilot, *["backspace"] * 9)
        await until(pilot, lambda: not str(note.content))


@pytest.mark.parametrize(
    ("dialog", "result"),
    [
        (lambda: Picker("Things", [Entry("a", "alpha")]), "a"),
        (lambda: AskLine("A title", "old"), "old"),
        (lambda: StatusDialog([("Label", "value")]), None),
    ],
)
async def test_keys_that_come_together_close_a_dialog_once(
    dialog: Callable[[], Screen[str | None]], result: str | None
) -> None:
    app = DialogApp(dialog)
    async with app.run_test() as pilot:
        while not app.dialog.children:
            await pilot.pause()
        key(pilot, "enter", "enter", "enter")
        while app.screen is app.dialog:
            await pilot.pause()
        await pilot.pause()
    assert app.results == [result]


class Hasty(Picker):
    """A list of which somebody wants the next page before the first one is laid out."""

    def on_mount(self) -> None:
        super().on_mount()
        for way in ("page_up", "page_down"):
            self.action_move(way)


async def test_a_key_may_come_before_a_list_is_laid_out() -> None:
    async with DialogApp(lambda: Hasty("Things", [Entry("a", "a")])).run_test() as pilot:
        await until_listed(pilot, 1)
