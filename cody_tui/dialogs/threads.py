"""Finding a thread by its title or by what was said in it, and asking for one line of text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from cody_core.errors import CodyError
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from cody_tui.dialogs.closing import ClosesOnce
from cody_tui.dialogs.picking import Entry, Picker
from cody_tui.keys import listed
from cody_tui.matching import best
from cody_tui.text import one_line
from cody_tui.widgets.one_line import OneLine
from cody_tui.widgets.sidebar import day_name

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.threads import Thread, ThreadDetail

PAGE: Final = 500
MOST_TITLES: Final = 10_000
MOST_SHOWN: Final = 100
"""Nobody reads more of a list than that: another letter is typed instead."""
DEBOUNCE: Final = 0.15
"""Seconds without a key after which the text of the threads is searched."""
IN_TEXT: Final = "In the text"
EXCERPT: Final = 140
BEFORE: Final = 40
"""Characters of an excerpt, and how many of them before what was found."""

IsHidden: TypeAlias = "Callable[[str], bool]"


class FindThread(Picker):
    """Returns the id of the thread that was chosen: the newest first, then what is searched for.

    Titles are read page by page and matched here, letter by letter; what was said in the threads
    is searched by the store, by words, once the user pauses.
    """

    name_width = 56

    def __init__(self, client: Client, current: str | None, is_hidden: IsHidden) -> None:
        super().__init__("Threads", [], note="reading…")
        self._client = client
        self._current = current
        self._is_hidden = is_hidden
        self._named: Sequence[Entry] = ()
        self._said: Sequence[Entry] = ()

    def on_mount(self) -> None:
        """Begin to read."""
        self._read()

    @work(group="titles")
    async def _read(self) -> None:
        entries: list[Entry] = []
        cursor: str | None = None
        note = ""
        try:
            while len(entries) < MOST_TITLES:
                page = await self._client.threads(limit=PAGE, cursor=cursor)
                entries += self._entries_of(page.threads)
                self.replace(entries)
                if (cursor := page.next_cursor) is None:
                    break
        except CodyError as error:
            note = error.message
        self.replace(entries, note or ("" if entries else "There is no thread yet."))

    @on(Input.Changed)
    def _text_changed(self, event: Input.Changed) -> None:
        self._said = ()
        self._search_texts(event.value)

    @work(group="texts", exclusive=True)
    async def _search_texts(self, query: str) -> None:
        if not query.strip():
            return
        await asyncio.sleep(DEBOUNCE)
        try:
            page = await self._client.threads(limit=MOST_SHOWN, query=query)
        except CodyError as error:
            self.notify(error.message, severity="error", markup=False)
            return
        self._said = self._entries_of(page.threads, group=IN_TEXT)
        self._fill(self.highlighted)

    def moved_to(self, value: str) -> None:
        """Show what was said, where that is why a thread is listed."""
        if any(entry.value == value for entry in self._in_text()):
            self._show_excerpt(value, self._search.value)
        else:
            self.say("")

    @work(group="excerpt", exclusive=True)
    async def _show_excerpt(self, thread_id: str, query: str) -> None:
        try:
            detail = await self._client.thread(thread_id)
        except CodyError:
            return  # it is deleted by now, and nothing is lost by saying nothing
        if self.highlighted == thread_id:
            self.say(self._found_in(excerpt(detail, query)))

    def _entries_of(self, threads: Sequence[Thread], group: str = "") -> list[Entry]:
        return [
            Entry(
                thread.id,
                thread.title or "Untitled",
                _details(thread),
                group,
                is_current=thread.id == self._current,
            )
            for thread in threads
            if not self._is_hidden(thread.id)
        ]

    def matching(self, query: str) -> Sequence[Entry]:
        """Return the threads that are called so, and below them those in which it was said."""
        self._named = best(query, self._entries, _named)[:MOST_SHOWN]
        return [*self._named, *self._in_text()]

    def _in_text(self) -> Sequence[Entry]:
        named = {entry.value for entry in self._named}
        return [entry for entry in self._said if entry.value not in named]


def excerpt(detail: ThreadDetail, query: str) -> str:
    """Return what was said around the words of a query: where most of them are, the newest first.

    Nothing where none of them is.
    """
    from cody_core.schema.items import text_of

    words = [word.lower() for word in query.split()]
    items = (item for run in detail.runs for item in (*run.input_items, *run.output_items))
    texts = [text_of(item) for item in items]
    best_text = max(reversed(texts), key=lambda text: _words_in(words, text), default="")
    at = min((place for word in words if (place := best_text.lower().find(word)) >= 0), default=-1)
    if at < 0:
        return ""
    start = max(0, at - BEFORE)
    return ("…" if start else "") + one_line(best_text[start:], EXCERPT)


def _words_in(words: Sequence[str], text: str) -> int:
    lowered = text.lower()
    return sum(word in lowered for word in words)


def _named(entry: Entry) -> str:
    """Return what letters are looked for in: not the id, which has many."""
    return f"{entry.name} {entry.detail}"


def _details(thread: Thread) -> str:
    day = day_name(datetime.fromtimestamp(thread.updated_at / 1000).date(), date.today())
    return "  ".join([day, *(f"#{tag}" for tag in thread.tags)])


class AskLine(ClosesOnce, ModalScreen[str | None]):
    """Asks for one line of text; returns it, or ``None`` if there is none."""

    AUTO_FOCUS = "OneLine"
    DEFAULT_CSS = """
    AskLine {
        align: center middle;
        background: $background 60%;
        &:ansi { background: transparent; }
        & > Vertical {
            width: 64; max-width: 96%; height: auto;
            padding: 0 1; border: round $border; background: $background;
        }
        & .ask--title { color: $primary; text-style: bold; height: 1; }
        & OneLine { border: none; height: 1; padding: 0; background: $background; }
        & OneLine:focus { border: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        listed("escape", "cancel", "question.leave", "Leave it as it is", priority=True),
    ]

    def __init__(self, title: str, value: str) -> None:
        super().__init__()
        self._title = title
        self._line = OneLine(one_line(value, 200))

    def compose(self) -> ComposeResult:
        """Put the question above the line."""
        with Vertical():
            yield Static(Content(self._title), classes="ask--title")
            yield self._line

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip() or None)

    def action_cancel(self) -> None:
        """Leave everything as it is."""
        self.dismiss(None)
