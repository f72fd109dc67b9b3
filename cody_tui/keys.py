"""Keys: which ones count now, and how they are written.

A key may be a chord: two keys one after the other, with a blank between them. The prompt knows
those, Textual does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from textual.app import App
from textual.binding import Binding, BindingType
from textual.keys import key_to_character
from textual.screen import Screen

from cody_tui.signs import signs

_WORDS: Final = {
    "pageup": "PgUp", "pagedown": "PgDn", "escape": "Esc", "delete": "Del",
}  # fmt: skip
_ARROWS: Final = {"up": "↑", "down": "↓", "left": "←", "right": "→"}


class Keymap(NamedTuple):
    """The keys that are changed, by the ids of actions, and what could not be done as asked."""

    keys: Mapping[str, str]
    problems: tuple[str, ...] = ()

    @property
    def for_textual(self) -> dict[str, str]:
        """The same without chords."""
        return {action: single(keys) or action for action, keys in self.keys.items()}


def listed(key: str, action: str, name: str, title: str, *, priority: bool = False) -> Binding:
    """Return a binding that the help lists under a title; its id is the name."""
    return Binding(key, action, title, id=name, tooltip=title, show=False, priority=priority)


def named(
    bindings: Iterable[BindingType],
    place: str,
    *,
    changes: Mapping[str, str] | None = None,
    without: Collection[str] = (),
) -> list[BindingType]:
    """Give the bindings of a widget that is not ours ids, so that they can be changed as well.

    Args:
        bindings: Textual's own.
        place: What their ids begin with; the rest is the name of what they do.
        changes: Other keys than Textual has for some, by that name.
        without: The names of those that are left out.
    """
    found: list[BindingType] = []
    for binding in bindings:
        if isinstance(binding, Binding) and (name := _name_of(binding.action)) not in without:
            key = (changes or {}).get(name, binding.key.replace(" ", ""))
            found.append(
                dataclasses.replace(
                    binding,
                    id=f"{place}.{name}",
                    key=key,
                    tooltip=binding.tooltip or binding.description,
                    show=False,
                )
            )
    return found


def bound(*lists: Iterable[BindingType]) -> list[Binding]:
    """Return the bindings that have an id."""
    found = [binding for bindings in lists for binding in bindings]
    return [binding for binding in found if isinstance(binding, Binding) and binding.id]


def changed(app: object) -> Mapping[str, str]:
    """Return the keys that a user of an app has changed, by the ids of actions."""
    keymap: Keymap | None = getattr(app, "keymap", None)
    return keymap.keys if keymap is not None else {}


def active(screen: Screen[Any]) -> dict[str, str]:
    """Return the first key of each action that can be done now, by the ids of the actions."""
    found: dict[str, str] = {}
    for key, entry in screen.active_bindings.items():
        if entry.binding.id and key != entry.binding.id:
            found.setdefault(entry.binding.id, key)
    users = changed(screen.app)
    # What will have the focus, while the terminal's window has none.
    focused = screen.focused or next(iter(screen.query(screen.AUTO_FOCUS or "Prompt")), None)
    for binding in getattr(focused, "KEYS", ()):
        found.setdefault(binding.id, users.get(binding.id, binding.key).split(",")[0])
    return found


def single(keys: str) -> str:
    """Return those of some keys that are no chords."""
    return ",".join(key for key in keys.split(",") if " " not in key)


def spelled(keys: str, *, spoken: bool = False) -> str:
    """Return keys in words, for a help: ``Ctrl+P, F1``; spoken, without a sign for any."""
    chords = ([_spelled(key, spoken) for key in keys.split()] for keys in keys.split(",") if keys)
    return ", ".join(" ".join(chord) for chord in chords)


def short(keys: str, *, spoken: bool = False) -> str:
    """Return the first of some keys in as few cells as are clear: ``^P``."""
    first = keys.split(",")[0]
    modifier, _, key = first.rpartition("+")
    if spoken or modifier != "ctrl" or " " in first:
        return spelled(first, spoken=spoken)
    return f"^{_name(key, spoken)}"


class Spelling:
    """How the keys of an app are written in a list: as its user has them, in signs or in words."""

    def __init__(self, app: App[Any]) -> None:
        self._changed = changed(app)
        self._spoken = not signs(app).draws

    def of(self, action: str, usual: str) -> str:
        """Return all keys of an action, whose usual ones are given."""
        return spelled(self._changed.get(action, usual), spoken=self._spoken)


def key_for(app: App[Any], action: str, usual: str) -> str:
    """Return the key of an action as a note names it; it has the usual one unless it is changed."""
    first = changed(app).get(action, usual).split(",")[0]
    return spelled(first, spoken=not signs(app).draws)


def hints(app: App[Any], bindings: Iterable[BindingType], words: Mapping[str, str]) -> str:
    """Return on a line what keys do, each by a word: ``Esc leave  y copy``.

    Args:
        app: Its user may have changed the keys.
        bindings: Those that are meant.
        words: The words, by the ids of the bindings, in their order.
    """
    users, own = changed(app), {binding.id: binding.key for binding in bound(bindings)}
    spoken = not signs(app).draws
    said = (
        f"{short(users.get(name, own[name]), spoken=spoken)} {word}" for name, word in words.items()
    )
    return "  ".join(said)


def _name_of(action: str) -> str:
    """Return a name for what a binding does: ``cursor_left(True)`` selects on its way."""
    name, _, argument = action.partition("(")
    return f"{name}_select" if argument else name


def _spelled(key: str, spoken: bool) -> str:
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    name = _name(last, spoken, upper=bool(modifiers))
    return "+".join([*(modifier.capitalize() for modifier in modifiers), name])


def _name(key: str, spoken: bool, *, upper: bool = True) -> str:
    if name := _WORDS.get(key) or (None if spoken else _ARROWS.get(key)):
        return name
    character = key if len(key) == 1 else key_to_character(key)
    if character and character.isprintable() and character != " ":
        return character.upper() if upper else character
    return key.upper() if key[:1] == "f" and key[1:].isdigit() else key.capitalize()
