"""The default agent's system prompt: where it is, what it may do, and the workspace's own word."""

from __future__ import annotations

import platform
from datetime import date
from pathlib import Path

from cody_core.schema.requests import Policy

AGENTS_FILE = "AGENTS.md"
MAX_AGENTS_BYTES = 32_768

_RULES: dict[Policy, str] = {
    "ask": "Reading in the workspace is free; the user is asked before you write or execute.",
    "auto-edit": "You may read and edit in the workspace; the user is asked before you execute.",
    "full-auto": "You may read, edit and execute without asking.",
    "read-only": "You may only read; writing and executing are refused.",
}


def instructions(workspace: Path, policy: Policy, today: date) -> str:
    """Return the prompt; the workspace's ``AGENTS.md`` is included, cut where it is too long."""
    parts = [
        "You are Cody, a careful assistant in the user's terminal. Answer in Markdown, to the",
        "point. Use the tools when looking is better than guessing, and say what you changed.\n\n"
        f"Platform: {platform.system()} {platform.machine()}. Shell: bash or sh.",
        f"Date: {today.isoformat()}. Workspace: {workspace}.\nPolicy: {policy}. {_RULES[policy]}",
    ]
    text = " ".join(parts)
    if own := _agents_file(workspace / AGENTS_FILE):
        text += f"\n\n# {AGENTS_FILE} of the workspace\n\n{own}"
    return text


def _agents_file(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            data = file.read(MAX_AGENTS_BYTES + 1)
    except OSError:
        return ""
    text = data[:MAX_AGENTS_BYTES].decode("utf-8", errors="replace").strip()
    return f"{text}\n[cut off]" if len(data) > MAX_AGENTS_BYTES else text
