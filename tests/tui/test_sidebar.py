"""The sidebar: threads by day, with their state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date

import pytest
from cody_core.ids import new_id
from cody_core.schema.threads import Thread, ThreadPage
from textual.app import App
from tui.conftest import MakeApp, MakeSettings
from tui.screen import (
    key,
    prompt_of,
    prompts,
    send,
    state,
    until,
)
from tui.test_threads import DAY, ECHO, LONG, connected, listed, sidebar, stored

from cody_tui.widgets import sidebar as widget
from cody_tui.widgets.sidebar import Outlook, Sidebar, day_name, merged, rows_of


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2026, 3, 5), "Today"),
        (date(2026, 3, 6), "Today"),
        (date(2026, 3, 4), "Yesterday"),
        (date(2026, 3, 3), "Tuesday"),
        (date(2026, 2, 27), "Friday"),
        (date(2026, 2, 26), "26 Feb"),
        (date(2025, 12, 31), "31 Dec 2025"),
    ],
)
def test_a_day_is_called_what_people_call_it(day: date, name: str) -> None:
    assert day_name(day, date(2026, 3, 5)) == name


def a_thread(title: str, at: int) -> Thread:
    return Thread(id=new_id(), title=title, created_at=at, updated_at=at)


def test_the_first_page_replaces_what_it_covers_and_keeps_what_is_older() -> None:
    old = [a_thread(name, at) for name, at in (("d", 4), ("c", 3), ("b", 2), ("a", 1))]
    moved = old[3].model_copy(update={"updated_at": 5})
    # "c" was deleted elsewhere, "a" has changed.
    assert merged(old, [moved, old[0], old[2]], is_all=False) == [moved, old[0], old[2]]
    assert merged(old, [moved, old[0]], is_all=False) == [moved, old[0], *old[1:3]]
    assert merged(old, [old[0]], is_all=True) == [old[0]]


async def test_the_sidebar_lists_threads_by_day_and_opens_one(
    make_app: MakeApp, make_settings: MakeSettings
) -> None:
    async with (
        stored(make_settings(ECHO), "about bees", "about whales"),
        make_app(ECHO).run_test(size=(100, 30)) as pilot,
    ):
        await connected(pilot)
        await pilot.press("ctrl+b")
        await until(pilot, lambda: listed(pilot) == ["Today", "about whales", "about bees"])
        await pilot.press("down", "enter")
        await until(pilot, lambda: prompts(pilot) == ["▌ about bees"])
        assert pilot.app.focused is prompt_of(pilot)
        await until(pilot, lambda: "• about bees" in sidebar(pilot).render_line(2).text)
        await pilot.press("ctrl+b")
        assert not sidebar(pilot).display


async def test_a_click_opens_a_thread_and_running_ones_have_a_sign(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget, "LOOK_SECONDS", 0.05)
    async with make_app(LONG, 0.01).run_test(size=(100, 30)) as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering")
        await pilot.press("ctrl+n", "ctrl+b")
        await until(pilot, lambda: listed(pilot) == ["Today", "talk"])
        assert "● talk" in sidebar(pilot).render_line(1).text
        await pilot.click(Sidebar, offset=(8, 1))
        await until(pilot, lambda: pilot.app.title == "talk · Cody")
        await until(pilot, lambda: state(pilot) == "answering")
        key(pilot, "escape")
        await until(pilot, lambda: "■ talk" in sidebar(pilot).render_line(1).text)


class Shelf(App[None]):
    """A sidebar with nothing beside it, over as many threads as one likes."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.threads = [a_thread(f"thread {at}", (count - at) * DAY // 7) for at in range(count)]
        self.reads: list[str | None] = []
        self.asked: list[tuple[str, str]] = []
        self.bar = Sidebar(self._load, lambda: Outlook(self.threads[0].id), self._ask)

    def on_mount(self) -> None:
        self.mount(self.bar)

    async def _load(self, cursor: str | None) -> ThreadPage:
        self.reads.append(cursor)
        start = int(cursor or 0)
        end = start + 100
        more = str(end) if end < len(self.threads) else None
        return ThreadPage(threads=tuple(self.threads[start:end]), next_cursor=more)

    def _ask(self, what: str, thread: Thread | None) -> None:
        self.asked.append((what, thread.title if thread else ""))


async def until_so(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_ten_thousand_threads_are_read_as_they_come_into_sight() -> None:
    shelf = Shelf(10_000)
    async with shelf.run_test(size=(60, 20)) as pilot:
        await until_so(lambda: len(shelf.bar.rows) > 100)
        await pilot.pause()
        assert len([row for row in shelf.bar.rows if row.thread]) == 100
        shelf.bar.scroll_end(animate=False)
        await until_so(lambda: len([row for row in shelf.bar.rows if row.thread]) == 200)
        assert shelf.reads == [None, "100"]
        shelf.bar.point_at(shelf.threads[150].id)
        shelf.bar.read()
        await until_so(lambda: len(shelf.reads) == 3)
        await pilot.pause()
        assert len([row for row in shelf.bar.rows if row.thread]) == 200
        shelf.bar.focus()
        await pilot.press("up", "enter", "d", "u")
        expected = [("open", "thread 149"), ("delete", "thread 149"), ("undo", "thread 149")]
        assert shelf.asked == expected


async def test_a_list_that_stays_the_same_is_not_drawn_again() -> None:
    shelf = Shelf(50)
    async with shelf.run_test(size=(60, 20)) as pilot:
        await until_so(lambda: bool(shelf.bar.rows))
        await pilot.pause()
        rows = shelf.bar.rows
        await shelf.bar.read().wait()
        assert len(shelf.reads) == 2
        assert shelf.bar.rows is rows
        shelf.threads.insert(0, a_thread("new", 60 * DAY))
        await shelf.bar.read().wait()
        assert shelf.bar.rows[1].text == "new"
        shelf.bar.appear(False)
        assert not shelf.bar.display


def test_control_characters_in_a_title_are_shown() -> None:
    rows = rows_of([a_thread("a\x1b[31m\nb", 1)], date(1970, 1, 3))
    assert rows[1].text == "a␛[31m b"
