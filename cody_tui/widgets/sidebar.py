"""The sidebar: the threads there are, by day, newest first.

It draws only the rows that are seen, so that ten thousand threads cost what ten cost, and asks for
more when its end comes into sight. It is hidden until somebody wants it; hidden, it does nothing,
and shown it draws anew only when something has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from cody_core.errors import CodyError
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual import events, work
from textual.binding import BindingType
from textual.geometry import Offset, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cody_tui.keys import listed
from cody_tui.signs import signs
from cody_tui.text import one_line

if TYPE_CHECKING:
    from cody_core.schema.changes import Changes
    from cody_core.schema.threads import Thread, ThreadPage, ThreadState

LOOK_SECONDS: Final = 0.5
LOAD_EVERY: Final = 6
"""How many looks after the last one the list is read again."""
LOAD_TOLD: Final = 60
"""The same, where we are told when it changes."""
HEAR_SECONDS: Final = 2.0
"""How long after there was nobody to tell us we ask for somebody again."""
AHEAD: Final = 10
"""How many rows before the end of the list more of it is read."""

Load: TypeAlias = "Callable[[str | None], Awaitable[ThreadPage | None]]"
"""Reads the page behind a cursor; ``None`` if it cannot be read now."""
Hear: TypeAlias = "Callable[[], AsyncGenerator[Changes] | None]"
"""Tells of changes of the list, if there is somebody who can."""
Request: TypeAlias = Literal["open", "delete", "rename", "undo", "leave"]
Ask: TypeAlias = "Callable[[Request, Thread | None], None]"
"""Does something with a thread, takes back what was done last, or leaves the sidebar."""
_LIVE: Final[dict[str, ThreadState]] = {
    "asking": "asking",
    **dict.fromkeys(("sending", "thinking", "answering", "stopping"), "running"),
}
"""How the open thread stands, by what the status line says."""
_WEEKDAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known without reading.

    Attributes:
        thread_id: The thread that is open.
        state: How it goes there, as the status line says.
        hidden: The threads that are not to be listed.
        waiting: Those that wait for an answer.
    """

    thread_id: str | None = None
    state: str = ""
    hidden: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list: a thread, or without one the name of a day or nothing."""

    text: str
    thread: Thread | None = None


def day_name(day: date, today: date) -> str:
    """Return what people call a day: Today, a weekday of the last six days, or its date."""
    ago = (today - day).days
    if ago <= 0:
        return "Today"
    if ago == 1:
        return "Yesterday"
    if ago < 7:
        return _WEEKDAYS[day.weekday()]
    year = "" if day.year == today.year else f" {day.year}"
    return f"{day.day} {_MONTHS[day.month - 1]}{year}"


def rows_of(threads: Iterable[Thread], today: date) -> list[Row]:
    """Return the rows of threads that come newest first, a heading above each day."""
    rows: list[Row] = []
    above: str | None = None
    for thread in threads:
        day = day_name(datetime.fromtimestamp(thread.updated_at / 1000).date(), today)
        if day != above:
            rows += [Row(""), Row(day)] if rows else [Row(day)]
            above = day
        rows.append(Row(one_line(thread.title, 100) or "Untitled", thread))
    return rows


def merged(known: Sequence[Thread], newest: Sequence[Thread], *, is_all: bool) -> list[Thread]:
    """Lay the first page over what was known: only what is older than all of it stays as it was."""
    if is_all or not newest:
        return list(newest)
    last = (newest[-1].updated_at, newest[-1].id)
    ids = {thread.id for thread in newest}
    older = [t for t in known if (t.updated_at, t.id) < last and t.id not in ids]
    return [*newest, *older]


class Sidebar(ScrollView, can_focus=True, inherit_bindings=False):
    """Lists threads; asks for what is to be done with the one at the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "sidebar--thread", "sidebar--day", "sidebar--open", "sidebar--cursor",
    }  # fmt: skip
    DEFAULT_CSS = """
    Sidebar {
        dock: left; width: 30; max-width: 45%; height: 100%;
        background: $surface; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0;
        & .sidebar--thread { color: $foreground 85%; background: $surface; }
        & .sidebar--day { color: $text-muted; background: $surface; }
        & .sidebar--open { color: $foreground; background: $surface; text-style: bold; }
        & .sidebar--cursor { color: $foreground; background: $panel; }
    }
    Sidebar:ansi { border-right: vkey $border-blurred; }
    Sidebar:nocolor .sidebar--cursor { text-style: reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        listed("up", "move(-1)", "sidebar.up", "The thread above"),
        listed("down", "move(1)", "sidebar.down", "The thread below"),
        listed("pageup", "move_page(-1)", "sidebar.page_up", "A screen up"),
        listed("pagedown", "move_page(1)", "sidebar.page_down", "A screen down"),
        listed("home", "show_thread('first')", "sidebar.first", "The newest thread"),
        listed("end", "show_thread('last')", "sidebar.last", "The oldest thread that is listed"),
        listed("enter", "choose", "sidebar.open", "Open the thread"),
        listed("delete,d", "ask('delete')", "sidebar.delete", "Delete the thread"),
        listed("r", "ask('rename')", "sidebar.rename", "Rename the thread"),
        listed("u", "ask('undo')", "sidebar.undo", "Take the deletion back"),
        listed("escape", "ask('leave')", "sidebar.leave", "Go back to the prompt"),
    ]

    def __init__(
        self, load: Load, look: Callable[[], Outlook], ask: Ask, hear: Hear = lambda: None
    ) -> None:
        super().__init__()
        self._load = load
        self._hear = hear
        self._is_told = False
        self._look = look
        self._ask = ask
        self._outlook = Outlook()
        self._threads: list[Thread] = []
        self._next: str | None = None
        self._rows: list[Row] = []
        self._today = date.today()
        self._cursor: str | None = None
        self._looks = 0

    def on_mount(self) -> None:
        """Begin to look, which goes on as long as it is seen."""
        self._clock = self.set_interval(LOOK_SECONDS, self._tick)
        self.look()
        self.read()
        self._listen()

    @property
    def rows(self) -> Sequence[Row]:
        """What is listed."""
        return self._rows

    @property
    def chosen(self) -> Thread | None:
        """The thread the cursor stands at."""
        at = self._place()
        return None if at is None else self._rows[at].thread

    def appear(self, visible: bool) -> None:
        """Come into sight, up to date, or leave it and rest."""
        self.display = visible
        if visible:
            self._clock.resume()
            self.look()
            self.read()
            self._listen()
        else:
            self._clock.pause()
            self._is_told = False
            self.workers.cancel_group(self, "sidebar-hear")

    @work(group="sidebar", exclusive=True)
    async def read(self) -> None:
        """Read the newest threads again."""
        page = await self._load(None)
        if page is None:
            return
        is_all = page.next_cursor is None
        threads = merged(self._threads, page.threads, is_all=is_all)
        if is_all or len(threads) == len(page.threads):
            self._next = page.next_cursor
        self._show(threads)

    @work(group="sidebar-hear", exclusive=True)
    async def _listen(self) -> None:
        """Read the list again when others have changed it."""
        while True:
            if (told := self._hear()) is not None:
                await self._read_when(told)
            self._is_told = False
            await asyncio.sleep(HEAR_SECONDS)

    async def _read_when(self, told: AsyncGenerator[Changes]) -> None:
        threads = 0
        with suppress(CodyError):
            async with aclosing(told) as changes:
                async for now in changes:
                    self._is_told = now.is_told
                    if now.threads != threads:
                        threads = now.threads
                        self.read()

    @work(group="sidebar-more")
    async def _read_on(self, cursor: str) -> None:
        page = await self._load(cursor)
        if page is None:
            self._next = cursor
        else:
            known = {thread.id for thread in self._threads}
            self._next = page.next_cursor
            self._show([*self._threads, *(t for t in page.threads if t.id not in known)])

    def _tick(self) -> None:
        self._looks += 1
        before = self._outlook
        self.look()
        if self._outlook != before:
            self.read()
            self._looks = LOAD_EVERY - 2  # a run that has ended is stored a moment later
        elif self._looks >= (LOAD_TOLD if self._is_told else LOAD_EVERY):
            self._looks = 0
            self.read()

    def look(self) -> None:
        """Take over what has changed on the screen."""
        outlook = self._look()
        if outlook != self._outlook:
            self._outlook = outlook
            self._show(self._threads)
            self.refresh()

    def _show(self, threads: list[Thread]) -> None:
        """List these threads; nothing is drawn where they are listed already."""
        self._threads, self._today = threads, date.today()
        listed = (thread for thread in threads if thread.id not in self._outlook.hidden)
        rows = rows_of(listed, self._today)
        if rows != self._rows:
            at = self._place()
            self._rows = rows
            if self._place() is None:
                self._cursor = self._nearest(at or 0)
            self.virtual_size = Size(0, len(rows))
            self.refresh()

    # Where the cursor stands

    def _place(self) -> int | None:
        for at, row in enumerate(self._rows):
            if row.thread is not None and row.thread.id == self._cursor:
                return at
        return None

    def _nearest(self, at: int) -> str | None:
        for row in [*self._rows[at:], *reversed(self._rows[:at])]:
            if row.thread is not None:
                return row.thread.id
        return None

    def point_at(self, thread_id: str | None) -> None:
        """Put the cursor at a thread."""
        self._cursor = thread_id or self._cursor
        if self._place() is None:
            self._cursor = self._nearest(0)
        self._follow_cursor()

    def action_move(self, step: int) -> None:
        """Move the cursor to the next thread that way."""
        at = self._place()
        at = -1 if at is None else at
        while 0 <= (at := at + step) < len(self._rows):
            if (thread := self._rows[at].thread) is not None:
                self._cursor = thread.id
                break
        self._follow_cursor()

    def action_move_page(self, pages: int) -> None:
        """Move the cursor by a screen."""
        at = self._place() or 0
        target = at + pages * max(1, self.size.height - 1)
        self._cursor = self._nearest(min(max(0, target), len(self._rows)))
        self._follow_cursor()

    def action_show_thread(self, which: Literal["first", "last"]) -> None:
        """Move the cursor to the first or the last thread."""
        self._cursor = self._nearest(0 if which == "first" else len(self._rows))
        self._follow_cursor()

    def _follow_cursor(self) -> None:
        at = self._place()
        if at is not None:
            above = 1 if at and self._rows[at - 1].thread is None else 0
            top, height = self.scroll_offset.y, max(1, self.size.height)
            if at - above < top:
                self.scroll_to(y=at - above, animate=False)
            elif at >= top + height:
                self.scroll_to(y=at - height + 1, animate=False)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read on where the end comes into sight; both are rows."""
        super().watch_scroll_y(old_value, new_value)
        if self._next is not None and new_value + self.size.height >= len(self._rows) - AHEAD:
            cursor, self._next = self._next, None
            self._read_on(cursor)

    # What the user does

    def action_choose(self) -> None:
        """Open the thread at the cursor."""
        self.action_ask("open")

    def action_ask(self, what: Request) -> None:
        """Ask for something to be done."""
        self._ask(what, self.chosen)

    def on_click(self, event: events.Click) -> None:
        """Open the thread that was clicked."""
        at = event.y + self.scroll_offset.y
        if at < len(self._rows) and (thread := self._rows[at].thread) is not None:
            self._cursor = thread.id
            self.action_choose()

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.refresh()

    # Rows

    def render_line(self, y: int) -> Strip:
        """Return a row: the cursor, the mark of the open thread, its state, its title."""
        width = self.size.width
        at = y + self.scroll_offset.y
        ground = self.get_component_rich_style("sidebar--thread")
        if at >= len(self._rows):
            return Strip.blank(width, ground)
        row = self._rows[at]
        if row.thread is None:
            style = self.get_component_rich_style("sidebar--day")
            return Strip([Segment(set_cell_size(f" {row.text}", width), style)], width)
        is_open = row.thread.id == self._outlook.thread_id
        has_cursor = self.has_focus and row.thread.id == self._cursor
        style = self.get_component_rich_style("sidebar--open") if is_open else ground
        if has_cursor:
            self.app.cursor_position = self.content_region.offset + Offset(0, y)
            style += self.get_component_rich_style("sidebar--cursor")
        marks = signs(self.app)
        cursor = marks.cursor if marks.draws else ""  # the terminal's own stands there as well
        mark = (cursor[:1] if has_cursor else " ") + (marks.chosen if is_open else marks.other)
        text = f"{mark}{self._sign(self._state(row.thread))}{row.text}"
        if cell_len(text) >= width:
            text = set_cell_size(text, width - 2) + "…"
        return Strip([Segment(set_cell_size(text, width), style)], width)

    def _state(self, thread: Thread) -> ThreadState | None:
        """Return how a thread stands: what the screen knows of it is newer than what was read."""
        if thread.id in self._outlook.waiting:
            return "asking"
        if thread.id != self._outlook.thread_id:
            return thread.state
        live = _LIVE.get(self._outlook.state)
        return live or (thread.state if thread.state in ("failed", "stopped") else None)

    def _sign(self, state: ThreadState | None) -> str:
        marks = signs(self.app)
        match state:
            case "running":
                return marks.running
            case "asking":
                return marks.waiting
            case "failed":
                return marks.failed
            case "stopped":
                return marks.stopped
            case None:
                return ""
