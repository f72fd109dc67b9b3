"""What a model is told of its tools, which depends on how it is to reach them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cody_core.schema.requests import SCRIPT_TOOL, ToolMode, ToolSpec

RULES = """\
A script is JavaScript or TypeScript that runs in a sandbox and reaches nothing but its tools.
- `await tools.NAME({...})` calls a tool and gives its output as text; a call that fails throws a
  ToolError with a message. Users approve these calls as they do all others.
- `await` works at the top level. `return` a JSON value: that, and what you `console.log`, is all
  you get to see, so return what matters and no more.
- `context` has thread_id, run_id, workspace and model; `sleep(ms)` waits. There are no files, no
  network, no imports and no timers besides. Nothing is kept from one script to the next.
- At most 20 KB of source, 30 s of its own time, 32 calls, 5 of them at once."""

_TOOL = f"""\
Run a script that calls tools, for what would take many calls one by one: loops, filters, counting,
combining. For a single call, call the tool itself. Each of your other tools is
`tools.NAME(arguments)` in the script, with the same arguments.

{RULES}"""

_BLOCKS = """\
# Tools

You have no function calls. You act by writing a script into your answer, on lines of its own:

<script>
const text = await tools.NAME({...});
return text.length;
</script>

It is run as soon as it is closed, and what came of it is the next thing you are told; so end your
answer after a script, and do not guess its outcome. An answer without a script is your last word.

%(rules)s

The tools:

%(tools)s"""


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools of a request, and what its system prompt has to say of them, if anything."""

    tools: tuple[ToolSpec, ...] = ()
    instructions: str | None = None


def offer(specs: Sequence[ToolSpec], mode: ToolMode) -> Offer:
    """Return what a model is told; without any tools that is nothing."""
    if not specs or mode == "calls":
        return Offer(tuple(specs))
    if mode == "both":
        return Offer((*specs, script_tool()))
    declared = "\n\n".join(map(declaration, specs))
    return Offer(instructions=_BLOCKS % {"rules": RULES, "tools": declared})


def script_tool() -> ToolSpec:
    """Return the tool whose input is a script."""
    code = {"type": "string", "description": "JavaScript or TypeScript"}
    parameters = {"type": "object", "properties": {"code": code}, "required": ["code"]}
    return ToolSpec(name=SCRIPT_TOOL, description=_TOOL, parameters=parameters, free_form=True)


def declaration(spec: ToolSpec) -> str:
    """Return a tool as TypeScript declares a function, its description above it."""
    described = "\n".join(f"// {line}".rstrip() for line in spec.description.splitlines())
    arguments = _object(spec.parameters, spec.parameters.get("$defs", {}))
    return f"{described}\ntools.{spec.name}(arguments: {arguments}): Promise<string>"


def _object(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    fields = "".join(
        f"  {name}{'' if name in required else '?'}: {_type(field, shared)};{_remark(field)}\n"
        for name, field in schema.get("properties", {}).items()
    )
    return f"{{\n{fields}}}" if fields else "{}"


def _remark(field: Mapping[str, Any]) -> str:
    text = " ".join(str(field.get("description", "")).split())
    return f" // {text}" if text else ""


def _type(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    if (name := str(schema.get("$ref", "")).rpartition("/")[2]) in shared:
        return _type(shared[name], shared)
    if choices := schema.get("anyOf"):
        return " | ".join(dict.fromkeys(_type(choice, shared) for choice in choices))
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return " | ".join(f'"{value}"' for value in values)
    match schema.get("type"):
        case "array":
            return f"Array<{_type(schema.get('items', {}), shared)}>"
        case "object" if schema.get("properties"):
            return "{ " + "; ".join(_inline(schema, shared)) + " }"
        case "integer" | "number":
            return "number"
        case "string" | "boolean" | "null" as plain:
            return str(plain)
        case _:
            return "unknown"


def _inline(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        yield f"{name}{'' if name in required else '?'}: {_type(field, shared)}"
