"""The keys that a user wants to change, and what comes of them.

Textual takes any text for a key and lets two actions share one, of which the second is lost without
a word. So what ``config.toml`` says is checked here first, and what cannot work is left as it was.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from textual.binding import Binding
from textual.keys import Keys, key_to_character

from cody_tui.keys import Keymap, spelled

SECTION: Final = "[bindings] in config.toml"
"""Where a user changes keys, as messages call it."""


_MODIFIERS: Final = ("ctrl", "alt", "shift", "super", "hyper", "meta")
_SAME: Final = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+[": "escape", "ctrl+h": "backspace"}
"""Keys that a terminal cannot tell from another one, which would be taken along."""
_NAMED: Final = frozenset(key.value.rpartition("+")[2] for key in Keys if key.name != "Any")


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


def normal(keys: str) -> str:
    """Return keys as Textual spells them, separated by commas without blanks."""
    return ",".join(" ".join(map(_normal, key.split())) for key in keys.split(","))


def _normal(key: str) -> str:
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    if len(last) > 1 or modifiers:
        last = last.lower()  # a capital on its own is another key
    return "+".join([*(modifier.lower() for modifier in modifiers), last])


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
        return f"a terminal sends the same as for {spelled(_SAME[key])}"
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
