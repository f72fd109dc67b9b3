"""What a user can do: one list, from which keys, palette, slash commands and help are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeAlias

from textual.binding import Binding

from cody_tui.keys import single

Handler: TypeAlias = "Callable[[str], Awaitable[None] | None]"
"""Does it. It is given what was written behind a slash command, which is nothing for a key."""


class Action(NamedTuple):
    """Something a user can do.

    Attributes:
        id: What ``[bindings]`` in ``config.toml`` calls it, such as ``thread.rename``.
        title: What palette and help call it.
        group: The heading it stands under in the help.
        key: The keys it is bound to, separated by commas, if any.
        slash: The word that does it when it is written behind ``/`` in the prompt, if any.
        argument: What may be written behind that, such as ``TITLE``.
        short: One word for the footer; without it, the footer leaves it out.
        priority: Whether the key counts also while something else has the focus.
        listed: Whether palette and help show it.
    """

    id: str
    title: str
    group: str
    key: str = ""
    slash: str = ""
    argument: str = ""
    short: str = ""
    priority: bool = False
    listed: bool = True

    @property
    def binding(self) -> Binding:
        """The binding of its key.

        One without a key is bound to its own name, which no terminal sends: so a user can give it
        a key like any other.
        """
        return Binding(
            single(self.key) or self.id,
            f"do({self.id!r})",
            self.short or self.title,
            id=self.id,
            tooltip=self.title,
            show=bool(self.short),
            priority=self.priority,
        )


def bindings(actions: Iterable[Action]) -> list[Binding]:
    """Return the bindings of actions."""
    return [action.binding for action in actions]
