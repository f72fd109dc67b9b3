"""Edits as diffs: what the arguments of an editing tool say that comes and goes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Final

from cody_tui.signs import Signs

MOST_COMPARED: Final = 2_000
"""Lines of two texts that are compared; what is longer goes and comes as a whole."""
_HEADING: Final = re.compile(r'(?:---|\+\+\+) (?:[ab]/|"[ab]/|/dev/null)|\*\*\* ')
_WORDS: Final = {"inserted": "added: ", "deleted": "removed: "}
_STYLES: Final = {"+": "inserted", "-": "deleted", "@": "comment"}


def edit_text(name: str, values: Mapping[str, object]) -> str | None:
    """Return an edit as a diff, or ``None`` for a call that edits nothing."""
    match name:
        case "apply_patch":
            patch = values.get("input", values.get("patch"))
            return _bare(patch) if isinstance(patch, str) else None
        case "write_file":
            content = values.get("content")
            return _signed("+", content) if isinstance(content, str) else None
        case "str_replace":
            old, new = values.get("old_str"), values.get("new_str")
            return _compared(old, new) if isinstance(old, str) and isinstance(new, str) else None
        case _:
            return None


def style_of(line: str) -> str:
    """Return the name of the style of a line of a diff."""
    if _HEADING.match(line):
        return "strong"
    for style, word in _WORDS.items():
        if line.startswith(word):
            return style
    return _STYLES.get(line[:1], "muted")


def read_out(diff: str, signs: Signs) -> str:
    """Return a diff in which words say what comes and goes, where signs are words."""
    if signs.draws or not diff:
        return diff
    return "\n".join(map(_read_out, diff.split("\n")))


def _read_out(line: str) -> str:
    word = _WORDS.get(style_of(line))
    return line if word is None else word + line[1:]


def counts(diff: str) -> tuple[int, int]:
    """Return how many lines a diff adds and removes."""
    styles = [style_of(line) for line in diff.split("\n") if line[:1] in ("+", "-")]
    return styles.count("inserted"), styles.count("deleted")


def _bare(patch: str) -> str:
    """Return a patch without the lines that only say that it is one."""
    lines = patch.strip("\n").split("\n")
    return "\n".join(line for line in lines if line not in ("*** Begin Patch", "*** End Patch"))


def _signed(sign: str, text: str) -> str:
    if not text:
        return ""
    return "\n".join(f"{sign}{line}" for line in text.removesuffix("\n").split("\n"))


def _compared(old: str, new: str) -> str:
    before, after = old.splitlines(), new.splitlines()
    if len(before) + len(after) > MOST_COMPARED:
        return "\n".join(filter(None, (_signed("-", old), _signed("+", new))))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))
    # The first lines name files and count from the text that is sought: neither says anything here.
    return "\n".join("@@" if line.startswith("@@ ") else line for line in lines[3:])
