"""The default agent's system prompt: where it is, what it may do, and the workspace's own word."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from cody_core.errors import ToolError
from cody_core.schema.requests import Policy
from cody_core.tools.reading import open_regular
from cody_core.tools.workspace import is_inside, resolve

logger = logging.getLogger(__name__)

AGENTS_FILE = "AGENTS.md"
MAX_AGENTS_BYTES = 32_768

_RULES: dict[Policy, str] = {
    "ask": "Reading in the workspace is free; the user is asked before you write or execute.",
    "auto-edit": "You may read and edit in the workspace; the user is asked before you execute.",
    "full-auto": "You may read, edit and execute without asking.",
    "read-only": "You may only read; writing and executing are refused.",
}


def instructions(workspace: Path, policy: Policy, today: date, guarded: Iterable[Path] = ()) -> str:
    """Return the prompt; the workspace's ``AGENTS.md`` is included, cut where it is too long.

    It is sent to the provider without anybody being asked. So it is left out if it is a link to
    what lies outside the workspace, or in one of the ``guarded`` directories.
    """
    parts = [
        "You are Cody, a careful assistant in the user's terminal. Answer in Markdown, to the",
        "point. Use the tools when looking is better than guessing, and say what you changed.\n\n"
        f"Platform: {platform.system()} {platform.machine()}. Shell: bash or sh.",
        f"Date: {today.isoformat()}. Workspace: {workspace}.\nPolicy: {policy}. {_RULES[policy]}",
    ]
    text = " ".join(parts)
    if own := _agents_file(workspace, guarded):
        text += f"\n\n# {AGENTS_FILE} of the workspace\n\n{own}"
    return text


def _agents_file(workspace: Path, guarded: Iterable[Path]) -> str:
    try:
        path = resolve(AGENTS_FILE, workspace)
        if not path.exists():
            return ""
        if not is_inside(path, workspace, guarded):
            where = "outside the workspace, or among Cody's own files"
            logger.warning("%s is left out: it is %s", AGENTS_FILE, where)
            return ""
        with os.fdopen(open_regular(path, AGENTS_FILE), "rb") as file:
            data = file.read(MAX_AGENTS_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ToolError) as error:
        logger.warning("%s is left out: %s", AGENTS_FILE, error)
        return ""
    text = data[:MAX_AGENTS_BYTES].decode("utf-8", errors="replace").strip()
    return f"{text}\n[cut off]" if len(data) > MAX_AGENTS_BYTES else text
