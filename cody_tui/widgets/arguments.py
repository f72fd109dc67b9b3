"""What of a call's arguments matters: the one that says it on a line, and all of them beneath.

Arguments are JSON text as a model writes it, so they may be cut short, wrong, or still on their
way: whatever they are, there is something to show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from cody_tui.signs import PLAIN, Signs, in_words
from cody_tui.text import one_line
from cody_tui.widgets.diff import counts, edit_text

_SUBJECTS: Final[Mapping[str, Sequence[str]]] = {
    "shell": ("command",),
    "read_file": ("path", "file_path"),
    "list_dir": ("path",),
    "grep_files": ("pattern",),
    "str_replace": ("path",),
    "write_file": ("path",),
}
"""The argument that says what a call is about, under its possible names."""
_FILES: Final = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)
MOST_SUBJECT: Final = 400
MOST_LOOKED_AT: Final = 4_000
"""Characters of unfinished arguments that are searched for the one that matters."""


def values_of(arguments: str) -> dict[str, object] | None:
    """Return arguments as an object, or ``None`` if that is not what they are (yet)."""
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def subject_of(
    name: str, arguments: str, values: Mapping[str, object] | None, signs: Signs = PLAIN
) -> str:
    """Return on one line what a call is about."""
    if values is None:
        return one_line(_unfinished(name, arguments), MOST_SUBJECT)
    if name == "apply_patch":
        files = [one_line(file, 80) for file in _FILES.findall(_patch_of(values))]
        return one_line(", ".join(files), MOST_SUBJECT)
    if name == "update_plan":
        return _progress(values, signs)
    for key in _SUBJECTS.get(name, ()):
        if isinstance(value := values.get(key), str):
            return one_line(value, MOST_SUBJECT) + _beside(name, values)
    pairs = ", ".join(f"{key}={_short(value)}" for key, value in values.items())
    return one_line(pairs, MOST_SUBJECT)


def note_of(name: str, values: Mapping[str, object] | None, signs: Signs = PLAIN) -> str:
    """Return how many lines an edit adds and removes; nothing of other calls."""
    edit = None if values is None else edit_text(name, values)
    if edit is None:
        return ""
    added, removed = counts(edit)
    return in_words(f"+{added:,} \N{MINUS SIGN}{removed:,}", signs)


def details_of(
    name: str, arguments: str, values: Mapping[str, object] | None, signs: Signs = PLAIN
) -> str:
    """Return all arguments as people read them, or nothing where the line has said it all."""
    if values is None:
        return arguments.strip()
    if name == "update_plan":
        return _plan(values, signs)
    rest = dict(values)
    lines: list[str] = []
    if name == "shell" and isinstance(command := rest.pop("command", None), str):
        lines += [f"$ {command}"] if "\n" in command or len(command) > 60 else []
    elif len(rest) == 1 and next(iter(rest)) in _SUBJECTS.get(name, ()):
        rest.clear()
    lines += [f"{one_line(key, 64)}: {_pretty(value)}" for key, value in rest.items()]
    return "\n".join(lines)


def _patch_of(values: Mapping[str, object]) -> str:
    """Return the patch that ``apply_patch`` is called with."""
    patch = values.get("input", values.get("patch"))
    return patch if isinstance(patch, str) else ""


def _beside(name: str, values: Mapping[str, object]) -> str:
    """Return what else belongs on the line: where a file is read from, where is searched."""
    offset, path = values.get("offset"), values.get("path")
    if name == "read_file" and isinstance(offset, int) and offset > 1:
        return f":{offset}"
    if name == "grep_files" and isinstance(path, str):
        return f"  in {one_line(path, 80)}"
    return ""


def _unfinished(name: str, arguments: str) -> str:
    head = arguments[:MOST_LOOKED_AT]
    for key in _SUBJECTS.get(name, ()):
        if found := re.search(rf'"{key}"\s*:\s*("(?:[^"\\]|\\.)*)', head):
            return _unquoted(found[1])
    if name == "apply_patch":
        return ", ".join(_FILES.findall(_unquoted(head.partition(":")[2].strip())))
    return "" if name in (*_SUBJECTS, "update_plan") else head


def _unquoted(text: str) -> str:
    """Return what a JSON string says so far; its end may be missing."""
    for end in ('"', '\\"'):
        try:
            return str(json.loads(text.removesuffix('"') + end))
        except ValueError:
            continue
    return text.removeprefix('"').replace("\\n", "\n")


def _steps(values: Mapping[str, object]) -> list[tuple[str, str]]:
    plan = values.get("plan")
    steps = plan if isinstance(plan, list) else []
    return [
        (str(step.get("status", "")), str(step.get("step", "")))
        for step in steps
        if isinstance(step, dict)
    ]


def _progress(values: Mapping[str, object], signs: Signs) -> str:
    steps = _steps(values)
    done = sum(status == "completed" for status, _ in steps)
    now = [one_line(step, 120) for status, step in steps if status == "in_progress"]
    count = f"{done}{'/' if signs.draws else ' of '}{len(steps)} steps"
    return signs.separator.join([count, *now[:1]])


def _plan(values: Mapping[str, object], signs: Signs) -> str:
    marks = {"in_progress": signs.running, "completed": signs.checked}
    lines = [
        marks.get(status, signs.unchecked) + one_line(step, 400) for status, step in _steps(values)
    ]
    why = values.get("explanation")
    return "\n".join([why, *lines] if isinstance(why, str) and why.strip() else lines)


def _short(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(one_line(value, 80), ensure_ascii=False)
    return one_line(json.dumps(value, ensure_ascii=False), 80)


def _pretty(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    if "\n" not in text:
        return text
    if isinstance(value, str):
        return "\n  " + text.rstrip("\n").replace("\n", "\n  ")
    return text
