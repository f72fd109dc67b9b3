"""The command palette: everything that can be done, found by typing a part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from cody_tui import keys
from cody_tui.actions import Action
from cody_tui.matching import score

TITLE_WIDTH = 42
KEYS_WIDTH = 14


@runtime_checkable
class Doer(Protocol):
    """A screen whose actions the palette offers."""

    @property
    def actions(self) -> Sequence[Action]:
        """Everything that can be done there."""
        ...

    async def do(self, action_id: str, argument: str = "") -> None:
        """Do one of them."""
        ...


class Commands(Provider):
    """Offers the actions of the chat screen, and quitting."""

    async def discover(self) -> Hits:
        """Offer everything while nothing is searched."""
        for action, hint in self._listed():
            line = _line(Content(action.title), hint)
            yield DiscoveryHit(line, self._doing(action), text=action.title)

    async def search(self, query: str) -> Hits:
        """Offer what answers the query."""
        for action, hint in self._listed():
            points = score(query, f"{action.title} {action.slash} {action.group}")
            if points:
                yield Hit(points, _line(Content(action.title), hint), self._doing(action))

    def _doing(self, action: Action) -> Callable[[], object]:
        if isinstance(self.screen, Doer):
            return partial(self.screen.do, action.id)
        return self.app.bell

    def _listed(self) -> Iterable[tuple[Action, str]]:
        if not isinstance(self.screen, Doer):
            return
        changed = changed_keys(self.app)
        for action in self.screen.actions:
            if action.listed:
                yield action, hint_of(action, changed)


def changed_keys(app: object) -> Mapping[str, str]:
    """Return the keys that a user has changed."""
    changed: keys.Keymap | None = getattr(app, "keymap", None)
    return changed.keys if changed is not None else {}


def hint_of(action: Action, changed: Mapping[str, str]) -> str:
    """Return how an action is done without the palette: its keys, and its word."""
    spelled = keys.spelled(changed.get(action.id, action.key))
    word = f"/{action.slash} {action.argument}".strip() if action.slash else ""
    return f"{spelled:<{KEYS_WIDTH}} {word}".rstrip()


def _line(title: Content, hint: str) -> Content:
    space = " " * max(2, TITLE_WIDTH - title.cell_length)
    return Content.assemble(title, space, (hint, "$foreground 65%"))
