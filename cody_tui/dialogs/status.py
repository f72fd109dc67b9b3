"""How things stand, all of it: for reading, and for a report when something is odd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import ScrollableContainer, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from cody_tui.dialogs.closing import ClosesOnce
from cody_tui.keys import listed, named
from cody_tui.standing import MEANINGS, Bill, Share
from cody_tui.text import printable

if TYPE_CHECKING:
    from cody_core.schema.models import CoreInfo
    from cody_core.schema.response import Usage

Facts: TypeAlias = Sequence[tuple[str, str]]
UNKNOWN = "not known"
LABEL_WIDTH = 12


class Page(VerticalScroll, inherit_bindings=False):
    """What is read, by the screen if there is not room for all of it."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        ScrollableContainer.BINDINGS, "page", without=("page_left", "page_right")
    )


class StatusDialog(ClosesOnce, ModalScreen[None]):
    """Shows facts below each other."""

    DEFAULT_CSS = """
    StatusDialog {
        align: center middle;
        background: $background 60%;
        &:ansi { background: transparent; }
        & > VerticalScroll {
            width: 84; max-width: 96%; height: auto; max-height: 80%;
            padding: 0 1; border: round $border; background: $background;
            scrollbar-size-vertical: 1;
        }
        & .status--title { color: $primary; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        listed("escape,enter,q", "dismiss", "status.leave", "Close what stands there"),
    ]

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts

    def compose(self) -> ComposeResult:
        """Put each fact on a line."""
        with Page():
            yield Static(Content("Status"), classes="status--title")
            for label, value in self._facts:
                name = (f"{label:<{LABEL_WIDTH}}", "$foreground 65%")
                yield Static(Content.assemble(name, printable(value)))


def choices(model: str, agent: str, policy: str | None, effort: str | None) -> Facts:
    """Say what the next prompt is sent with."""
    return (
        ("Model", model or UNKNOWN),
        ("Agent", agent),
        ("Policy", f"{policy}: {MEANINGS[policy]}" if policy else "as the server says"),
        ("Effort", effort or "as the model likes"),
    )


def consumption(usage: Usage | None, share: Share | None, bill: Bill | None) -> Facts:
    """Say what the thread took."""
    tokens = "none yet"
    if usage is not None:
        tokens = f"{usage.prompt_tokens:,} in, {usage.completion_tokens:,} out"
        if usage.cached_tokens:
            tokens += f", {usage.cached_tokens:,} of them from the cache"
    money = UNKNOWN
    if bill is not None:
        least = "" if bill.is_complete else "at least "
        money = f"{least}${bill.dollars:.4f} at the prices of {bill.as_of}"
    return (("Tokens", tokens), ("Window", share.text if share else UNKNOWN), ("Cost", money))


def places(info: CoreInfo | None) -> Facts:
    """Say where the core keeps things."""
    if info is None:
        return (("Core", "not connected"),)
    log = "memory, in this process" if info.log == "memory" else info.log
    return (
        ("Event log", log),
        ("Store", info.store),
        ("Workspace", info.workspace),
        ("Data", info.home),
        ("Version", info.version),
    )
