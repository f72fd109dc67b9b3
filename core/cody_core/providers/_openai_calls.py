"""Calls of a conversation in the shape that OpenAI-compatible APIs take back.

They check the calls of earlier answers as well: one name or one document that they refuse would
close the thread to the model for good, whoever wrote it.
"""

from __future__ import annotations

import re

import orjson

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
LONGEST_NAME = 64


def wire_name(name: str) -> str:
    """Return a tool's name as the APIs take it: models also call tools that cannot exist."""
    return _NOT_IN_NAMES.sub("_", name)[:LONGEST_NAME] or "_"


def wire_arguments(arguments: str) -> str:
    """Return arguments as they are, or as an object around them where they are none."""
    if not arguments.strip():
        return "{}"
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    return (
        arguments if isinstance(value, dict) else orjson.dumps({"INVALID_JSON": arguments}).decode()
    )
