"""Keys: how they are written, and what comes of the ones that a user wants to change.

Textual takes any text for a key and lets two actions share one, of which the second is lost without
a word. So what ``config.toml`` says is checked here first, and what cannot work is left as it was.

A key may be a chord: two keys one after the other, with a blank between them. The prompt knows
those, Textual does not.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from textual.app import App
from textual.binding import Binding, BindingType
from textual.keys import Keys, key_to_character
from textual.screen import Screen

from cody_tui.signs import signs

SECTION: Final = "[bindings] in config.toml"
"""Where a user changes keys, as messages call it."""

_MODIFIERS: Final = ("ctrl", "alt", "shift", "super", "hyper", "meta")
_SAME: Final = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+[": "escape", "ctrl+h": "backspace"}
"""Keys that a terminal cannot tell from another one, which would be taken along."""
_NAMED: Final = frozenset(key.value.rpartition("+")[2] for key in Keys if key.name != "Any")
_WORDS: Final = {
    "pageup": "PgUp", "pagedown": "PgDn", "escape": "Esc", "delete": "Del",
}  # fmt: skip
_ARROWS: Final = {"up": "↑", "down": "↓", "left": "←", "right": "→"}


class Place(NamedTuple):
    """Where some keys count.

    Attributes:
        title: The heading they stand under in the help.
        bindings: The keys, each with an id.
        beneath: The titles of the places whose keys count there, too.
        writes: Whether something is written there, so that a letter alone cannot be a key.
        has_chords: Whether two keys one after the other can be one.
    """

    title: str
    bindings: Sequence[Binding]
    beneath: tuple[str, ...] = ()
    writes: bool = True
    has_chords: bool = False


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


def remap(places: Sequence[Place], wanted: Mapping[str, str]) -> Keymap:
    """Check what a user wants; what cannot be is left out and said."""
    problems: list[str] = []
    homes = {binding.id or "": place for place in places for binding in place.bindings}
    keymap: dict[str, str] = {}
    for action, said in wanted.items():
        keys = normal(said)
        if action not in homes:
            problems.append(_unknown(action, homes))
        elif problem := _unusable(homes[action], keys):
            problems.append(f"{SECTION}: {action} cannot be {said!r}: {problem}")
        else:
            keymap[action] = keys
    for action in list(keymap):
        if (other := _clash(places, keymap, action)) is not None:
            keys = keymap.pop(action)
            problems.append(
                f"{SECTION}: {action} cannot be {spelled(keys)}: that key is {other}'s. Give "
                f"{other} another one too."
            )
    return Keymap(keymap, tuple(problems))


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


def normal(keys: str) -> str:
    """Return keys as Textual spells them, separated by commas without blanks."""
    return ",".join(" ".join(map(_normal, key.split())) for key in keys.split(","))


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


def _normal(key: str) -> str:
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    if len(last) > 1 or modifiers:
        last = last.lower()  # a capital on its own is another key
    return "+".join([*(modifier.lower() for modifier in modifiers), last])


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


def _unknown(action: str, ids: Iterable[str]) -> str:
    close = difflib.get_close_matches(action, ids, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; F1 shows what there is"
    return f"{SECTION}: there is no action {action!r}{hint}"


def _unusable(place: Place, keys: str) -> str:
    """Say why those keys do not work in a place; nothing if they do."""
    for key in keys.split(","):
        first, _, second = key.partition(" ")
        if second and not (place.has_chords and " " not in second):
            return "a chord is two keys, and counts for what is done from the prompt"
        if problem := _no_key(first) or (second and _no_key(second)):
            return problem
        types = key_to_character(first) if len(first) > 1 else first
        if types and types.isprintable() and place.writes:
            return "a key that writes something is needed in the prompt; add ctrl or alt"
    return ""


def _no_key(key: str) -> str:
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    if key in _SAME:
        return f"a terminal sends the same as for {_spelled(_SAME[key], spoken=False)}"
    known = last in _NAMED or len(last) == 1 or key_to_character(last) is not None
    if not last or not known or any(modifier not in _MODIFIERS for modifier in modifiers):
        return f"there is no key {key!r}; they are written like ctrl+k, f2 or alt+up"
    return ""


def _clash(places: Sequence[Place], keymap: Mapping[str, str], action: str) -> str | None:
    """Return the other action that one of the new keys belongs to where both could be meant.

    Keys that an action has from the start are its own, whatever else they do.
    """
    home, own = next(
        (place, normal(binding.key))
        for place in places
        for binding in place.bindings
        if binding.id == action
    )
    wanted = set(keymap[action].split(",")) - set(own.split(","))
    for place in places:
        if place is not home and not _meet(place, home):
            continue
        for binding in place.bindings:
            other = binding.id or ""
            theirs = keymap.get(other, normal(binding.key))
            if other != action and wanted & set(theirs.split(",")):
                return other
    return None


def _meet(one: Place, other: Place) -> bool:
    """Tell whether the keys of two places count at the same time."""
    return one.title in other.beneath or other.title in one.beneath
