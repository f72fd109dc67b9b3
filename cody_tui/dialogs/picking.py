"""A list to choose from by typing a part of a name: models, agents, themes, and whatever follows.

The focus is always in the search field; the keys that move go to the list. What is highlighted can
be watched, so that a theme is seen before it is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Offset
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from cody_tui.dialogs.closing import ClosesOnce
from cody_tui.dialogs.options import Options
from cody_tui.keys import listed
from cody_tui.matching import best, spans
from cody_tui.signs import signs
from cody_tui.text import one_line, printable
from cody_tui.widgets.one_line import OneLine

DETAIL_WIDTH = 14
FOUND = "bold underline"
"""The style of what was searched for."""
AROUND = 5
"""Rows of a dialog that are not the list."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to choose: ``value`` is returned, the rest is shown and searched."""

    value: str
    name: str
    detail: str = ""
    group: str = ""
    is_current: bool = False
    more: str = ""
    """What stands in a column of its own behind the detail."""

    @property
    def searched(self) -> str:
        """What a query is compared with."""
        return f"{self.value} {self.name} {self.group} {self.detail} {self.more}"


class Picker(ClosesOnce, ModalScreen[str | None]):
    """Returns the value that was chosen, or ``None``."""

    name_width = 42
    """Cells of a name beside which something else stands."""
    AUTO_FOCUS = "OneLine"
    DEFAULT_CSS = """
    Picker {
        align: center top;
        background: $background 60%;
        &:ansi { background: transparent; }
        & > Vertical {
            width: 84; max-width: 96%; height: auto; margin: 2 0;
            padding: 0 1; border: round $border; background: $background;
        }
        & .picker--title { color: $primary; text-style: bold; height: 1; }
        & OneLine { border: none; height: 1; padding: 0; background: $background; }
        & OneLine:focus { border: none; }
        & OptionList {
            height: auto; border: none; padding: 0; background: $background;
            text-wrap: nowrap; text-overflow: ellipsis;
            scrollbar-size-vertical: 1; scrollbar-background: $background;
            scrollbar-color: $panel;
            & > .option-list--option { padding: 0; }
            & > .option-list--option-highlighted {
                color: $foreground; background: $primary 30%; text-style: bold;
            }
            & > .option-list--option-disabled { color: $text-muted; text-style: bold; }
        }
        & OptionList:focus { border: none; }
        &:ansi OptionList > .option-list--option-highlighted {
            color: $block-cursor-foreground; background: $block-cursor-background;
        }
        &:nocolor OptionList > .option-list--option-highlighted { text-style: bold underline; }
        & .picker--note { height: auto; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        listed("escape", "cancel", "list.leave", "Leave without choosing", priority=True),
        listed("up", "move('cursor_up')", "list.up", "The entry above", priority=True),
        listed("down", "move('cursor_down')", "list.down", "The entry below", priority=True),
        listed("pageup", "move('page_up')", "list.page_up", "A page up", priority=True),
        listed("pagedown", "move('page_down')", "list.page_down", "A page down", priority=True),
        listed("ctrl+home", "move('first')", "list.first", "The first entry", priority=True),
        listed("ctrl+end", "move('last')", "list.last", "The last entry", priority=True),
    ]

    def __init__(self, title: str, entries: Sequence[Entry], *, note: str = "") -> None:
        super().__init__()
        self._title = title
        self._entries = list(entries)
        self._search = OneLine(placeholder="Type to search")
        self._list = Options(markup=False, compact=True)
        self._list.can_focus = False
        self._note = Static(Content(note), classes="picker--note")

    def compose(self) -> ComposeResult:
        """Put the field above the list."""
        with Vertical():
            yield Static(Content(self._title), classes="picker--title")
            yield self._search
            yield self._list
            yield self._note

    def on_mount(self) -> None:
        """Begin at what is in use."""
        current = next((entry.value for entry in self._entries if entry.is_current), None)
        self._fill(current)

    def on_resize(self, event: events.Resize) -> None:
        """Leave room for what stands around the list."""
        self._list.styles.max_height = max(3, event.size.height * 4 // 5 - AROUND)

    def replace(self, entries: Sequence[Entry], note: str | None = None) -> None:
        """Show other entries, and stay where the user is."""
        self._entries = list(entries)
        if note is not None:
            self.say(note)
        self._fill(self.highlighted)

    def say(self, note: str | Content) -> None:
        """Show a line below the list."""
        self._note.update(Content(printable(note)) if isinstance(note, str) else note)

    @property
    def highlighted(self) -> str | None:
        """The value of the entry that Enter would choose."""
        at = self._list.highlighted
        return None if at is None else self._list.get_option_at_index(at).id

    def moved_to(self, value: str) -> None:
        """Called for what is highlighted, as often as that changes."""

    def matching(self, query: str) -> Sequence[Entry]:
        """Return the entries that answer a query, best first."""
        return best(query, self._entries, lambda entry: entry.searched)

    def _fill(self, keep: str | None) -> None:
        found = self.matching(self._search.value)
        groups = list(dict.fromkeys(entry.group for entry in found))
        options: list[Option] = []
        for group in groups:
            if group:
                options.append(Option(Content(one_line(group, 100)), disabled=True))
            options.extend(self._option(entry) for entry in found if entry.group == group)
        self._list.set_options(options)
        ids = [option.id for option in options]
        first = next((at for at, option in enumerate(options) if not option.disabled), None)
        self._list.highlighted = ids.index(keep) if keep is not None and keep in ids else first

    def _option(self, entry: Entry) -> Option:
        said = signs(self.app)
        mark = said.chosen if entry.is_current else said.other
        name, detail = one_line(entry.name, 200), one_line(entry.detail, 200)
        more = one_line(entry.more, 200)
        line = self._found_in(name)
        if not said.draws:  # columns are not read out as such
            parts = (part for part in (name, detail, more) if part)
            return Option(Content(mark + said.separator.join(parts)), id=entry.value)
        if detail or more:
            line = line.truncate(self.name_width, ellipsis=True, pad=True) + Content("  ")
        if more:
            detail += " " * max(2, DETAIL_WIDTH - cell_len(detail)) + more
        beside = self._found_in(detail).stylize("$foreground 70%")
        return Option(Content.assemble(mark, line, beside), id=entry.value)

    def _found_in(self, text: str) -> Content:
        """Return a text with what is searched for marked in it."""
        content = Content(text)
        for start, end in spans(self._search.value, text):
            content = content.stylize(FOUND, start, end)
        return content

    # What the user does

    @on(Input.Changed)
    def _searched(self, event: Input.Changed) -> None:
        event.stop()
        self._fill(None if event.value else self.highlighted)

    @on(Input.Submitted)
    def _chosen(self, event: Input.Submitted) -> None:
        event.stop()
        if self.highlighted is not None:
            self.dismiss(self.highlighted)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_id is not None:
            self._point_at(event.option_index)
            self.moved_to(event.option_id)

    def _point_at(self, index: int) -> None:
        """Let the terminal's cursor stand at an entry, for a screen reader to read it out."""
        if not signs(self.app).draws:
            place = self._list.content_region.offset - self._list.scroll_offset
            self.app.cursor_position = place + Offset(0, index)

    def action_move(self, action: str) -> None:
        """Move in the list."""
        getattr(self._list, f"action_{action}")()

    def action_cancel(self) -> None:
        """Leave without choosing."""
        self.dismiss(None)
