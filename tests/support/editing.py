"""A workspace to edit: calls made as the worker makes them, and every byte that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cody_core.schema.items import FunctionCall
from cody_core.tools import Intent, Tool, ToolContext, ToolResult
from cody_core.tools.registry import Registry


def context(workspace: Path, intent: Intent | None = None) -> ToolContext:
    async def emit(text: str) -> None:
        raise AssertionError(text)

    return ToolContext(run_id="r", call_id="c", emit=emit, workspace=workspace, intent=intent)


async def make(
    tool: Tool, workspace: Path, intent: Intent | None = None, **arguments: Any
) -> ToolResult:
    call = FunctionCall(id="i", name=tool.name, arguments=json.dumps(arguments), call_id="c")
    return await Registry([tool]).call(call, context(workspace, intent))


async def intend(tool: Tool, workspace: Path, **arguments: Any) -> Intent:
    parsed = tool.arguments.model_validate_json(json.dumps(arguments))
    return await tool.intend(parsed, context(workspace))


def fill(workspace: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_bytes(data)


def snapshot(workspace: Path) -> dict[str, bytes | None]:
    """Everything below a directory: the bytes of files, ``None`` for directories."""
    return {
        str(path.relative_to(workspace)): path.read_bytes() if path.is_file() else None
        for path in sorted(workspace.rglob("*"))
    }
