"""A ``config.toml`` to begin with: every setting, what it is, and all of it commented out."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from cody_core.settings import AgentSettings, ProviderSettings, Settings
from cody_core.sources import variables

WIDTH: Final = 96
_HEAD: Final = """\
## Settings of Cody. Take away the "#" in front of what you want to be otherwise, and in front of
## the [table] it is in. Where a setting has a default, that is what is shown; the variables in
## brackets win over this file. "cody config" tells what counts, and where it comes from.
"""
_NAMED: Final[Mapping[str, tuple[str, type[BaseModel]]]] = {
    "providers": ("work", ProviderSettings),
    "agents": ("reviewer", AgentSettings),
}
"""Tables that anybody may add to: an example of a name, and what is in one."""
_EXAMPLES: Final[Mapping[str, Any]] = {
    "model": "claude-haiku-4.5",
    "provider_id": "anthropic",
    "system": "Be brief.",
    "reasoning_effort": "medium",
    "openai_api_key": "sk-…",
    "openai_base_url": "https://proxy.example.com/v1",
    "anthropic_api_key": "sk-ant-…",
    "anthropic_base_url": "https://proxy.example.com",
    "token": "a long secret",
    "server": "http://127.0.0.1:4010",
    "redis_url": "redis://localhost:6379/0",
    "convex_url": "https://happy-otter-123.convex.cloud",
    "convex_deploy_key": "prod:happy-otter-123|…",
    "home": "~/.local/share/cody",
    "workspace": "~/work",
    "max_output_tokens": 16000,
    "context_tokens": 100000,
    "base_url": "https://models.example.com/v1",
    "api_key": "…",
    "api_key_env": "WORK_API_KEY",
    "models": ["some-model"],
    "tools": ["read_file", "list_dir", "grep_files"],
    "tool_mode": "calls",
    "policy": "read-only",
    "max_iterations": 20,
    "allowed_hosts": ["cody.example.org"],
    "allowed_origins": ["https://ui.example.org"],
    "bindings": {"chat.new": "ctrl+t"},
}
"""What could be said where there is no default, or one that is of this machine or says nothing."""


def template() -> str:
    """Return the text of the file."""
    plain, tables = [_HEAD], []
    docs = docstrings(Settings)
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if name in _NAMED:
            example, table = _NAMED[name]
            tables.append(_table(f"{name}.{example}", docs[name], table))
        elif isinstance(default, BaseModel):
            tables.append(_table(name, docs[name], type(default)))
        elif isinstance(default, dict):
            lines = [f"# {_toml(k)} = {_toml(v)}" for k, v in _EXAMPLES[name].items()]
            tables.append("\n".join([*_comment(docs[name]), f"# [{name}]", *lines, ""]))
        else:
            also = ", ".join(variables(Settings, name))
            plain.append("\n".join([*_comment(f"{docs[name]} ({also})"), _line(name, default), ""]))
    return "\n".join([*plain, *tables])


def docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """Return what the source of a model says below its fields; of each field something."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = dict.fromkeys(model.model_fields, "")
    for above, below in zip(body.body, body.body[1:], strict=False):
        if not isinstance(above, ast.AnnAssign) or not isinstance(above.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[above.target.id] = str(below.value.value)
    return found


def _table(name: str, doc: str, model: type[BaseModel]) -> str:
    lines = [*_comment(doc), f"# [{name}]"]
    docs = docstrings(model)
    for each, field in model.model_fields.items():
        lines += [*_comment(docs[each]), _line(each, field.get_default(call_default_factory=True))]
    return "\n".join([*lines, ""])


def _comment(text: str) -> Iterator[str]:
    """Yield a text as comments, which two signs set apart from what may be taken in."""
    text = " ".join(text.replace("``", "`").split())
    return (f"## {line}" for line in textwrap.wrap(text, WIDTH))


def _line(name: str, default: Any) -> str:
    says_nothing = default is None or default == () or isinstance(default, Path)
    return f"# {name} = {_toml(_EXAMPLES[name] if says_nothing else default)}"


def _toml(value: Any) -> str:
    """Return a value as TOML writes it: of what there is here, the way JSON does."""
    return json.dumps(value, ensure_ascii=False)
