"""Whether the terminal is one that Cody looks right in, and what to do where it is not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cody_core.checkup import Finding

from cody_tui import inquiry

SECONDS: Final = 0.5
"""How long the terminal may take to answer: it may be at the other end of a slow line."""
SMALLEST: Final = (60, 16)
"""Columns and rows that everything fits into."""
_SYNCHRONISED: Final = b"\x1b[?2026$p"
_MODE: Final = re.compile(rb"\x1b\[\?2026;([0-4])\$y")
_CLIPBOARD: Final = b"52"
"""What terminals that let programs write to the clipboard have begun to say of themselves."""
_NO_CLIPBOARD: Final = ("Apple_Terminal",)
_SLOW_ESCAPE: Final = 100
"""Milliseconds after which Esc feels late."""
_TMUX_SECONDS: Final = 2.0


def terminal(variables: Mapping[str, str]) -> Sequence[Finding]:
    """Look at the terminal, ask it what it can do, and tmux what it lets through.

    Args:
        variables: What the program was started with.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        text = "not looked at: the output goes elsewhere"
        return [Finding("terminal", "note", text, "run cody doctor without a pipe")]
    answer = inquiry.ask(_SYNCHRONISED, SECONDS)
    return [
        _kind(variables),
        _size(os.get_terminal_size()),
        _colours(variables),
        _characters(variables),
        _drawing(answer),
        _clipboard(answer, variables),
        *_tmux(variables),
    ]


def _kind(variables: Mapping[str, str]) -> Finding:
    kind = variables.get("TERM", "")
    if kind in ("", "dumb", "unknown"):
        text = f"TERM is {kind!r}: a session needs a terminal whose cursor can be moved"
        return Finding("terminal", "problem", text, "export TERM=xterm-256color, if it is one")
    program = " ".join(filter(None, map(variables.get, ("TERM_PROGRAM", "TERM_PROGRAM_VERSION"))))
    return Finding("terminal", "ok", f"{kind}, {program}" if program else kind)


def _size(size: os.terminal_size) -> Finding:
    text = f"{size.columns} columns, {size.lines} rows"
    if size.columns >= SMALLEST[0] and size.lines >= SMALLEST[1]:
        return Finding("size", "ok", text)
    remedy = f"enlarge it to {SMALLEST[0]} columns and {SMALLEST[1]} rows, or use cody chat"
    return Finding("size", "note", f"{text}: not everything fits", remedy)


def _colours(variables: Mapping[str, str]) -> Finding:
    if variables.get("NO_COLOR"):
        return Finding("colours", "ok", "none, as NO_COLOR asks")
    if variables.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return Finding("colours", "ok", "all of them")
    remedy = "if the terminal can show more: export COLORTERM=truecolor"
    if "256" in variables.get("TERM", ""):
        return Finding("colours", "ok", "256", remedy)
    return Finding("colours", "note", "sixteen, the terminal's own", remedy)


def _characters(variables: Mapping[str, str]) -> Finding:
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    name = next((name for name in names if variables.get(name)), None)
    said = f"{name}={variables[name]}" if name else "none is set"
    if "utf" in said.lower():
        return Finding("characters", "ok", said)
    return Finding("characters", "note", f"the locale is not UTF-8: {said}", "export LANG=C.UTF-8")


def _drawing(answer: bytes) -> Finding:
    found = _MODE.search(answer)
    if found is not None and found[1] in b"123":
        return Finding("drawing", "ok", "frames are drawn whole (synchronised output)")
    if not answer:
        return Finding("drawing", "note", "the terminal did not say what it can do")
    text = "the terminal may show a frame half drawn: it knows no synchronised output"
    return Finding("drawing", "note", text)


def _clipboard(answer: bytes, variables: Mapping[str, str]) -> Finding:
    attributes = inquiry.ATTRIBUTES.search(answer)
    if attributes is not None and _CLIPBOARD in attributes[1].split(b";"):
        return Finding("clipboard", "ok", "what is copied gets there (OSC 52)")
    if variables.get("TERM_PROGRAM") in _NO_CLIPBOARD or variables.get("STY"):
        text = "what is copied does not get to the clipboard from here"
        return Finding("clipboard", "note", text, "select with the mouse, Shift or Option held")
    text = "it does not say whether what is copied gets there (OSC 52)"
    return Finding("clipboard", "note", text, "copy something in a session, and paste it elsewhere")


def _tmux(variables: Mapping[str, str]) -> Iterator[Finding]:
    program = shutil.which("tmux", path=variables.get("PATH"))
    if not variables.get("TMUX") or program is None:
        return
    findings = [
        *_tmux_clipboard(_option(program, "set-clipboard")),
        *_tmux_escape(_option(program, "escape-time")),
    ]
    if not variables.get("TERM", "").startswith(("tmux", "screen")):
        text = f"TERM is {variables.get('TERM')!r} inside tmux"
        remedy = "tmux set -g default-terminal tmux-256color, and open a new window"
        findings.append(Finding("tmux", "note", text, remedy))
    yield from findings or [Finding("tmux", "ok", "lets everything through")]


def _tmux_clipboard(value: str) -> Iterator[Finding]:
    if value in ("off", "external"):
        text = f"keeps what is copied for itself (set-clipboard {value})"
        yield Finding("tmux", "note", text, "tmux set -s set-clipboard on")


def _tmux_escape(value: str) -> Iterator[Finding]:
    if value.isdigit() and int(value) > _SLOW_ESCAPE:
        text = f"holds Esc back for {value} ms (escape-time)"
        yield Finding("tmux", "note", text, "tmux set -s escape-time 10")


def _option(program: str, name: str) -> str:
    """Return an option of the tmux server, or nothing if it does not say."""
    try:
        asked = subprocess.run(
            [program, "show-options", "-sv", name],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_TMUX_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.decode(errors="replace").strip()
