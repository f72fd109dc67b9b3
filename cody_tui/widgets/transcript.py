"""The transcript: the runs of a thread as blocks, and what can be done with them.

It is a viewport; here is what it shows, the item cursor, the line cursor for copying by the
keyboard, and what a click does. What a block is made of is the block's own business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from textual import events
from textual.geometry import Offset
from textual.message import Message
from textual.strip import Strip

from cody_tui.messages import Snapshot
from cody_tui.widgets.blocks import Block, PromptBlock, TextBlock
from cody_tui.widgets.copying import CopyingViewport
from cody_tui.widgets.hits import Hit
from cody_tui.widgets.viewport import Position

if TYPE_CHECKING:
    from cody_core.schema.response import Response

    from cody_tui.widgets.run import RunBlocks

CURSOR: Final = "┃"


class Transcript(CopyingViewport):
    """Shows runs, notices and prompts that wait, oldest first."""

    class RetryAsked(Message):
        """The user wants a run that did not end well to be tried again."""

        def __init__(self, run_id: str) -> None:
            self.run_id = run_id
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self._runs: dict[str, RunBlocks] = {}
        self._answers: dict[str, int] = {}
        self._entries: list[RunBlocks | Block] = []
        self._queued: tuple[str | None, tuple[str, ...]] = (None, ())
        self._queue_blocks: list[Block] = []
        self._item: Block | None = None
        self._opened: Block | None = None

    # What is shown

    def show(self, snapshot: Snapshot) -> None:
        """Show a run, or what has become of it."""
        self._run(snapshot.response).show(snapshot)
        self._update()

    def load(self, runs: Sequence[Response]) -> None:
        """Show these runs and nothing else, from their end."""
        self.clear()
        for response in runs:
            self._run(response).show(Snapshot(response))
        self._update()

    def notice(self, text: str, style: str = "error") -> None:
        """Add a line of our own."""
        block = TextBlock()
        block.update(text, style)
        self._entries.append(block)
        self._update()

    def queue(self, sending: str | None, waiting: Sequence[str]) -> None:
        """Show the prompt that is on its way and those that wait, below everything else."""
        queued = (sending, tuple(waiting))
        if queued == self._queued:
            return
        self._queued = queued
        self._queue_blocks = [PromptBlock(prompt, queued=True) for prompt in waiting]
        if sending is not None:
            self._queue_blocks.insert(0, PromptBlock(sending))
        self._update()

    def clear(self) -> None:
        """Show nothing."""
        self.leave_lines()
        self._runs.clear()
        self._answers.clear()
        self._entries.clear()
        self._queue_blocks.clear()
        self._queued = (None, ())
        self._top = self._item = self._opened = None
        self._update()

    def tick(self) -> None:
        """Let a second pass for lines that count them."""
        ticking = [run.tick() for run in self._runs.values()]
        if any(ticking):
            self._update(news=False)

    def _run(self, response: Response) -> RunBlocks:
        from cody_tui.widgets.run import RunBlocks  # brings the schema: not before the first paint

        if response.id not in self._runs:
            for run in self._runs.values():
                run.supersede()
            answers = self._answers[response.turn_id] = self._answers.get(response.turn_id, 0) + 1
            self._runs[response.id] = RunBlocks(answers)
            self._entries.append(self._runs[response.id])
        return self._runs[response.id]

    def _update(self, *, news: bool = True) -> None:
        blocks: list[Block] = []
        for entry in self._entries:
            blocks.extend(entry.blocks)
        blocks.extend(self._queue_blocks)
        self._set_blocks(blocks, news=news)

    # Items

    @property
    def blocks(self) -> Sequence[Block]:
        """All blocks, seen or not."""
        return self._blocks

    @property
    def item(self) -> Block | None:
        """The item that the cursor is on."""
        return self._item

    def move_item(self, step: int) -> None:
        """Move the item cursor; past the last item it is gone, and the end is followed."""
        items = [n for n, block in enumerate(self._blocks) if block.noun and block.source]
        at = self._index_of(self._item)
        if at is None:
            seen = self._last_seen() if self._top is not None else len(self._blocks)
            before = [n for n in items if n <= seen]
            target = before[-1] if before and step < 0 else None
        elif step < 0:
            target = max((n for n in items if n < at), default=at)
        else:
            target = min((n for n in items if n > at), default=None)
        if target is None:
            self.leave_item()
            self.show_end()
        else:
            self._item = self._blocks[target]
            self._bring_into_sight(target, is_last=target == items[-1])

    def leave_item(self) -> bool:
        """Take the item cursor away; tell whether there was one."""
        was_there = self._item is not None
        self._item = None
        self._repaint()
        return was_there

    def show_item(self, item_id: str) -> None:
        """Put the cursor on an item of a run, and scroll to it."""
        block = self._block_of(item_id)
        if (index := self._index_of(block)) is not None:
            self._item = block
            self._bring_into_sight(index, is_last=False)

    def show_found(self, item_id: str, at: int) -> int:
        """Show a place of what is searched for in an item, opened if it has to be.

        Args:
            item_id: The item.
            at: Which of the places; -1 is the last one, and so is what is beyond it.

        Returns:
            How many places there are. Where there are none, the item itself is shown.
        """
        self._close_found()
        index = self._index_of(self._block_of(item_id))
        if index is None:
            return 0
        block = self._blocks[index]
        found = self._places(index)
        if not found and block.foldable:
            block.toggle()
            if found := self._places(index):
                self._opened = block
            else:
                block.toggle()
        if not found:
            self.show_item(item_id)
        else:
            self._item = block
            self._show_place(index, found[min(at, len(found) - 1)])
        return len(found)

    def mark(self, text: str) -> None:
        """Mark the places of a text; without one, what was opened for a place stays open."""
        super().mark(text)
        if not text:
            self._opened = None

    def _close_found(self) -> None:
        """Close what was opened only to show a place in it."""
        opened, self._opened = self._opened, None
        index = self._index_of(opened)
        if opened is not None and index is not None:
            opened.toggle()
            if self._top is not None and self._top.block == index:
                self._top = Position(index, 0)  # it has not as many rows any more

    def nearest(self, item_ids: Sequence[str]) -> int:
        """Return which of some items, the oldest first, is in sight, or the last one above that."""
        seen = [position.block for position in self._positions() if position is not None]
        first, last = (seen[0], seen[-1]) if seen else (0, 0)
        near = 0
        for at, item_id in enumerate(item_ids):
            index = self._index_of(self._block_of(item_id))
            if index is not None and index <= last:
                near = at
                if index >= first:
                    break
        return near

    def _block_of(self, item_id: str) -> Block | None:
        blocks = (run.block_of(item_id) for run in self._runs.values())
        return next((block for block in blocks if block is not None), None)

    @property
    def item_run(self) -> str | None:
        """The run that the item at the cursor belongs to."""
        if self._item is None:
            return None
        holding = (key for key, run in self._runs.items() if self._item in run.blocks)
        return next(holding, None)

    def toggle_item(self) -> bool:
        """Open or close the item at the cursor, or the last one that can be; tell if there is."""
        index = self._index_of(self._item)
        if index is None:
            seen = self._last_seen()
            foldable = [n for n in range(seen + 1) if self._blocks[n].foldable]
            index = foldable[-1] if foldable else None
        if index is None or not self._blocks[index].foldable:
            return False
        self._toggle(index)
        return True

    def sources(self, noun: str) -> Iterator[str]:
        """Yield the sources of the items that are called so, the last one first."""
        for block in reversed(self._blocks):
            if block.noun == noun and block.source:
                yield block.source

    def _index_of(self, block: Block | None) -> int | None:
        if block is None:
            return None
        return next((n for n, other in enumerate(self._blocks) if other is block), None)

    def _last_seen(self) -> int:
        """Return the last block that is on the screen."""
        return max((position.block for position in self._positions() if position), default=-1)

    def _bring_into_sight(self, index: int, *, is_last: bool) -> None:
        """Scroll as little as it takes, and follow the end only with the last item."""
        head = Position(index, self._gap(index))
        top, rows = self._first_screen_row(), self._page_rows
        height = self.height_of(index)
        if head < top or height >= rows:
            self._fix(head)
        elif self._moved(top, rows) <= (end := Position(index, height)):
            self._fix(self._moved(end, -rows))
        else:
            self._fix(top)
        end_of_all = self._last_screen()
        if is_last and (end_of_all is None or self._first_screen_row() >= end_of_all):
            self._fix(None)

    def _toggle(self, index: int) -> None:
        """Open or close a block, its first line staying where it is on the screen."""
        head = Position(index, self._gap(index))
        rows = self._positions()
        y = rows.index(head) if head in rows else 0
        self._blocks[index].toggle()
        self._go_to(self._moved(head, -y))

    def _decorate(self, rows: list[Strip]) -> None:
        """Mark the item with the cursor in the margin."""
        index = self._index_of(self._item)
        if index is not None:
            gap = self._gap(index)
            seen = [
                y
                for y, position in enumerate(self._positions())
                if position is not None and position.block == index and position.row >= gap
            ]
            self._mark_item(rows, seen)
        super()._decorate(rows)

    def _mark_item(self, rows: list[Strip], seen: Sequence[int]) -> None:
        """Draw a bar beside those rows; or let the terminal's cursor stand at the first of them."""
        palette = self._styles()
        if palette.signs.draws:
            bar = Strip([Segment(CURSOR, palette["cursor"])], 1)
            for y in seen:
                rows[y] = Strip.join([bar, rows[y].crop(1, self.size.width)])
        elif seen:
            self.app.cursor_position = self.content_region.offset + Offset(0, seen[0])

    # Clicks

    def on_click(self, event: events.Click) -> None:
        """Follow the hint to what is new, or do what is offered there."""
        on_hint = event.x >= self.size.width - len(self._hint) and event.y == self._page_rows - 1
        if self._unseen and on_hint:
            self.show_end()
            return
        position = self._position_at(event.y)
        if position is None or self.text_selection is not None:
            return  # or the mouse has just selected something
        hit = self._blocks[position.block].hit(position.row - self._gap(position.block), event.x)
        if hit is not None:
            event.stop()
            event.prevent_default()  # a second click selects everything otherwise
            self._do(hit, position.block)

    def _do(self, hit: Hit, index: int) -> None:
        match hit.kind:
            case "fold":
                self._toggle(index)
            case "copy":
                self.copy(hit.value, "the code")
            case "link":
                self._follow(hit.value)
            case "retry":
                self.post_message(self.RetryAsked(hit.value))

    def _follow(self, address: str) -> None:
        """Open an address in a browser, or copy it where that would take the terminal."""
        import webbrowser

        try:
            takes_terminal = type(webbrowser.get()) is webbrowser.GenericBrowser
        except webbrowser.Error:
            takes_terminal = True
        if takes_terminal:
            self.copy(address, address)
            return
        self.notify(f"Opening {address}", timeout=4, markup=False)
        self.run_worker(partial(self.app.open_url, address), group="links", thread=True)
