"""Threads as documents: Markdown to read and edit, HTML to look at, JSON that says everything.

Pure functions from a thread to a text, and the one that writes it. What a model or a tool wrote
stays what it is: code keeps its fences, markup in it is escaped, control characters are shown.
"""

from __future__ import annotations

import contextlib
import errno
import html
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
    script_report,
)
from cody_core.schema.response import Response
from cody_core.schema.threads import ThreadDetail

from cody_tui.text import one_line, printable

Export: TypeAlias = Callable[[ThreadDetail], str]
NAME_LENGTH: Final = 60
_RUNS_OF_TICKS: Final = re.compile("`{3,}")
_NOT_IN_NAMES: Final = re.compile(r"[^\w]+")


def as_json(detail: ThreadDetail) -> str:
    """Return the canonical thread, as the store and the API have it."""
    return detail.model_dump_json(indent=2) + "\n"


def as_markdown(detail: ThreadDetail) -> str:
    """Return a thread as Markdown: prompts and answers, everything else folded."""
    parts = [f"# {_title(detail)}", f"*{_facts(detail)}*"]
    for run in detail.runs:
        parts += [part for block in _blocks(run) if (part := _markdown(*block))]
    return "\n\n".join(parts) + "\n"


def as_html(detail: ThreadDetail) -> str:
    """Return a thread as one HTML file that needs nothing else."""
    body = "\n".join(_html(*block) for run in detail.runs for block in _blocks(run))
    title = html.escape(_title(detail))
    facts = html.escape(_facts(detail))
    return _PAGE.format(title=title, facts=facts, style=_STYLE, body=body)


FORMATS: Final[Mapping[str, Export]] = {"md": as_markdown, "json": as_json, "html": as_html}
"""What writes a thread, under the ending of the file's name."""


def file_name(detail: ThreadDetail, ending: str) -> str:
    """Return a name for a file made from the title: letters and digits of any script, and -."""
    title = unicodedata.normalize("NFKC", detail.thread.title).lower()
    name = _NOT_IN_NAMES.sub("-", title).strip("-_")[:NAME_LENGTH].rstrip("-_")
    return f"{name or 'thread'}.{ending}"


def save(detail: ThreadDetail, path: Path, ending: str) -> Path:
    """Write a thread into a file, or into a directory under a name of its own; return where.

    Raises:
        OSError: it cannot be written there.
    """
    text = FORMATS[ending](detail)
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise OSError(errno.ENOENT, "nobody is known by the name behind ~", str(path)) from error
    return write(text, path / file_name(detail, ending) if path.is_dir() else path)


def ending_of(path: str) -> str | None:
    """Return the format that a file's name asks for."""
    ending = Path(path).suffix.lstrip(".").lower()
    return ending if ending in FORMATS else None


def write(text: str, path: Path) -> Path:
    """Write a new file, whole or not at all, and return where: what exists is never replaced.

    Raises:
        OSError: it cannot be written there.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".cody-", text=False)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
        for place in _places(path):
            # The name is taken first, by whoever is faster: moving a file there would replace one.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                return fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    raise AssertionError("there is always another name")


def _places(path: Path) -> Iterator[Path]:
    yield path
    for number in count(2):
        yield path.with_stem(f"{path.stem}-{number}")


# What is in a run, whichever way it is written: kind, heading and text of each block.

_Block: TypeAlias = tuple[str, str, str]


def _blocks(run: Response) -> Iterator[_Block]:
    for item in run.input_items:
        if isinstance(item, Message):
            yield "prompt", "You", item.content
    for item in run.output_items:
        yield from (block for block in _block(item, run) if block[2].strip())
    if run.status == "aborted":
        yield "note", "", "Stopped."
    elif run.error is not None:
        yield "error", "", run.error.message


def _block(item: Item, run: Response) -> Iterator[_Block]:
    match item:
        case Message(content=text):
            yield "answer", one_line(run.model_id, 100), text
        case Reasoning(content=text):
            yield "reasoning", "Reasoning", text
        case FunctionCall(name=name, arguments=arguments):
            yield "call", f"Call: {one_line(name, 80)}", arguments
        case FunctionCallOutput(output=text, success=success):
            yield "output", "Output" if success else "Output: failed", text
        case ScriptExecution(code=code):
            yield "script", "Script", code
        case ScriptExecutionOutput(success=success):
            yield "output", "Result" if success else "Result: failed", script_report(item)
        case Cancelled(partial=partial) | ErrorItem(partial=partial):
            if partial is not None:
                yield from _block(partial, run)
            if isinstance(item, ErrorItem) and (
                run.error is None or run.error.message != item.message
            ):
                yield "error", "", item.message


def _title(detail: ThreadDetail) -> str:
    return one_line(detail.thread.title, 200) or "Untitled"


def _facts(detail: ThreadDetail) -> str:
    began = datetime.fromtimestamp(detail.thread.created_at / 1000, UTC)
    models = dict.fromkeys(run.model_id for run in detail.runs)
    tags = (f"#{tag}" for tag in detail.thread.tags)
    return " · ".join([f"{began:%Y-%m-%d %H:%M} UTC", *models, *tags])


# Markdown


def _markdown(kind: str, heading: str, text: str) -> str:
    text = printable(text).strip("\n")
    match kind:
        case "prompt":
            quoted = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
            return f"## {heading}\n\n{quoted}"
        case "answer":
            return f"## {heading}\n\n{_closed(text)}"
        case "note" | "error":
            return f"**{text}**" if kind == "note" else f"**Error:** {text}"
        case _:
            language = {"call": "json", "script": "javascript"}.get(kind, "")
            folded = f"<summary>{html.escape(heading)}</summary>"
            return f"<details>\n{folded}\n\n{_fenced(text, language)}\n\n</details>"


def _fenced(text: str, language: str = "") -> str:
    """Return text in a fence that is longer than any in it."""
    longest = max((len(ticks) for ticks in _RUNS_OF_TICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _closed(text: str) -> str:
    """Return an answer with the fence closed that a cut left open: it would swallow the rest."""
    opened = ""
    for line in text.split("\n"):
        mark = re.match(r" {0,3}(`{3,}|~{3,})(.*)$", line)
        if mark is None:
            continue
        if not opened:
            opened = mark[1] if mark[1][0] == "~" or "`" not in mark[2] else ""
        elif mark[1].startswith(opened) and not mark[2].strip():
            opened = ""
    return f"{text}\n{opened}" if opened else text


# HTML


def _html(kind: str, heading: str, text: str) -> str:
    match kind:
        case "answer":
            said = f"<h2>{html.escape(heading)}</h2>{_rendered(text)}"
            return f'<section class="answer">{said}</section>'
        case "prompt":
            said = f"<h2>{html.escape(heading)}</h2><pre>{_escaped(text)}</pre>"
            return f'<section class="prompt">{said}</section>'
        case "note" | "error":
            return f'<p class="{kind}">{_escaped(text)}</p>'
        case _:
            summary = f"<summary>{html.escape(heading)}</summary>"
            return f"<details>{summary}<pre><code>{_escaped(text)}</code></pre></details>"


def _rendered(text: str) -> str:
    """Return Markdown as HTML; HTML in it is text, and links that run code are none."""
    from cody_tui.parsing import parser

    rules = parser()
    # A page that is opened must not tell anybody: pictures become links to them.
    rules.disable("image")
    # Once more at the end: of a fence's language, it is the renderer that decodes entities.
    return printable(rules.render(printable(text)))


def _escaped(text: str) -> str:
    return html.escape(printable(text).strip("\n"))


_STYLE: Final = """
:root { color-scheme: light dark; --ground: #fbfbf9; --text: #23262d; --faint: #5d626d;
  --panel: #f0f0ec; --line: #c6c9c4; --mark: #245a9e; --error: #b02a2a; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15171b; --text: #d5d8df; --faint: #9aa0ac; --panel: #1d2026;
    --line: #3a404c; --mark: #8ab4e8; --error: #e58383; } }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; background: var(--ground);
  color: var(--text); font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: .85rem; color: var(--faint); margin-top: 2rem; }
.facts, summary, .note { color: var(--faint); } .error { color: var(--error); }
a { color: var(--mark); }
pre { background: var(--panel); padding: .7rem .9rem; border-radius: 4px; overflow-x: auto;
  font: 13.5px/1.45 ui-monospace, monospace; }
.prompt pre { border-left: 3px solid var(--mark); white-space: pre-wrap;
  font: inherit; }
table { border-collapse: collapse; } th, td { border: 1px solid var(--line);
  padding: .25rem .6rem; } details { margin: .8rem 0; }
blockquote { border-left: 3px solid var(--line); margin-left: 0; padding-left: 1rem; }
"""
_PAGE: Final = """<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="facts">{facts}</p>
{body}
</body>
</html>
"""
