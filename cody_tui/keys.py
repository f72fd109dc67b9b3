"""Keys: how they are written, and what comes of the ones that a user wants to change.

Textual takes any text for a key and lets two actions share one, of which the second is lost without
a word. So what ``config.toml`` says is checked here first, and what cannot work is left as it was.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from textual.binding import Binding, BindingType
from textual.keys import Keys, key_to_character
from textual.screen import Screen

SECTION: Final = "[bindings] in config.toml"
"""Where a user changes keys, as messages call it."""

_MODIFIERS: Final = ("ctrl", "alt", "shift", "super", "hyper", "meta")
_SAME: Final = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+[": "escape", "ctrl+h": "backspace"}
"""Keys that a terminal cannot tell from another one, which would be taken along."""
_NAMED: Final = frozenset(key.value.rpartition("+")[2] for key in Keys if key.name != "Any")
_SYMBOLS: Final = {
    "up": "↑", "down": "↓", "left": "←", "right": "→", "pageup": "PgUp", "pagedown": "PgDn",
    "escape": "Esc", "delete": "Del",
}  # fmt: skip
_ON_THEIR_OWN: Final = ("approval.",)
"""What ids begin with whose keys count where nothing is written: letters are fine there."""


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys that are changed, by the ids of actions, and what could not be done as asked."""

    keys: Mapping[str, str]
    problems: tuple[str, ...] = ()


def bound(*lists: Iterable[BindingType]) -> list[Binding]:
    """Return the bindings that have an id."""
    found = [binding for bindings in lists for binding in bindings]
    return [binding for binding in found if isinstance(binding, Binding) and binding.id]


def remap(known: Sequence[Binding], wanted: Mapping[str, str]) -> Keymap:
    """Check what a user wants; what cannot be is left out and said."""
    problems: list[str] = []
    ids = {binding.id or "" for binding in known}
    keymap: dict[str, str] = {}
    for action, said in wanted.items():
        keys = normal(said)
        if action not in ids:
            problems.append(_unknown(action, ids))
        elif problem := _unusable(action, keys):
            problems.append(f"{SECTION}: {action} cannot be {said!r}: {problem}")
        else:
            keymap[action] = keys
    for action in list(keymap):
        if (other := _clash(known, keymap, action)) is not None:
            keys = keymap.pop(action)
            problems.append(
                f"{SECTION}: {action} cannot be {spelled(keys)}: that key is {other}'s. Give "
                f"{other} another one too."
            )
    return Keymap(keymap, tuple(problems))


def active(screen: Screen[Any]) -> dict[str, str]:
    """Return the first key of each action that can be done now, by the ids of the actions."""
    found: dict[str, str] = {}
    for key, entry in screen.active_bindings.items():
        if entry.binding.id:
            found.setdefault(entry.binding.id, key)
    return found


def normal(keys: str) -> str:
    """Return keys as Textual spells them, separated by commas without blanks."""
    return ",".join(_normal(key) for key in keys.split(","))


def spelled(keys: str) -> str:
    """Return keys in words, for a help: ``Ctrl+P, F1``."""
    return ", ".join(_spelled(key) for key in keys.split(",") if key)


def short(keys: str) -> str:
    """Return the first of some keys in as few cells as are clear: ``^P``."""
    first = keys.split(",")[0]
    modifier, _, key = first.rpartition("+")
    return f"^{_name(key)}" if modifier == "ctrl" else _spelled(first)


def _normal(key: str) -> str:
    key = key.strip()
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    if len(last) > 1 or modifiers:
        last = last.lower()  # a capital on its own is another key
    return "+".join([*(modifier.strip().lower() for modifier in modifiers), last])


def _spelled(key: str) -> str:
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    name = _name(last, upper=bool(modifiers))
    return "+".join([*(modifier.capitalize() for modifier in modifiers), name])


def _name(key: str, *, upper: bool = True) -> str:
    if key in _SYMBOLS:
        return _SYMBOLS[key]
    character = key if len(key) == 1 else key_to_character(key)
    if character and character.isprintable() and character != " ":
        return character.upper() if upper else character
    return key.upper() if key[:1] == "f" and key[1:].isdigit() else key.capitalize()


def _unknown(action: str, ids: Iterable[str]) -> str:
    close = difflib.get_close_matches(action, ids, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; F1 shows what there is"
    return f"{SECTION}: there is no action {action!r}{hint}"


def _unusable(action: str, keys: str) -> str:
    """Say why those keys do not work for that action; nothing if they do."""
    for key in keys.split(","):
        *modifiers, last = key.split("+") if key != "+" else ["+"]
        if key in _SAME:
            return f"a terminal sends the same as for {_spelled(_SAME[key])}"
        known = last in _NAMED or len(last) == 1 or key_to_character(last) is not None
        if not last or not known or any(modifier not in _MODIFIERS for modifier in modifiers):
            return f"there is no key {key!r}; they are written like ctrl+k, f2 or alt+up"
        types = key_to_character(key) if len(key) > 1 else key
        if types and types.isprintable() and not action.startswith(_ON_THEIR_OWN):
            return "a key that writes something is needed in the prompt; add ctrl or alt"
    return ""


def _clash(known: Sequence[Binding], keymap: Mapping[str, str], action: str) -> str | None:
    """Return the other action that one of those keys belongs to where both could be meant."""
    wanted = set(keymap[action].split(","))
    for binding in known:
        other = binding.id or ""
        if other == action or not _meet(action, other):
            continue
        if wanted & set(keymap.get(other, normal(binding.key)).split(",")):
            return other
    return None


def _meet(one: str, other: str) -> bool:
    """Tell whether the keys of two actions count at the same time: of two widgets, one has them."""
    widgets = ("approval", "prompt")
    ours, theirs = one.partition(".")[0], other.partition(".")[0]
    return ours == theirs or not (ours in widgets and theirs in widgets)
