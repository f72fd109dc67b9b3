"""What the demo models say: one function for each, from a request to the steps of its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from types import MappingProxyType

from cody_core.errors import ProviderOverloaded
from cody_core.providers.scripted import Call, Fail, Finish, Say, Script, Step, Think
from cody_core.schema.items import (
    FunctionCallOutput,
    Message,
    ScriptExecutionOutput,
    script_report,
)
from cody_core.schema.requests import ModelRequest

Answer = Callable[[ModelRequest], Sequence[Step]]

QUOTE_LENGTH = 60
"""Characters of a prompt that are quoted back."""
LONG_LENGTH = 40_000
"""Characters that ``long`` says, give or take a section."""


def tour(request: ModelRequest) -> Sequence[Step]:
    """Answer anything at all with a bit of every kind of Markdown."""
    earlier = len(_prompts(request)) - 1
    if earlier > 0:
        turns = "one earlier turn" if earlier == 1 else f"{earlier} earlier turns"
        memory = f"This thread has {turns}, and I have all of it in front of me."
    else:
        memory = "This is the first turn of our thread, so we start with a clean page."
    said = quote(last_prompt(request))
    return (
        Think(
            "The user would like an answer, and I am a demo: there is no model behind me.\n\n"
            "So I should be honest about that, be friendly, and show what an answer can look like:"
            " a list, a table, some code. Short enough to read, long enough to watch it stream."
        ),
        Say(_TOUR.format(said=said, memory=memory)),
    )


def echo(request: ModelRequest) -> Sequence[Step]:
    """Say the last prompt back."""
    return (Say(last_prompt(request)),)


def long(request: ModelRequest) -> Sequence[Step]:
    """Say a great deal, the same every time: for scrolling, for measuring and for patience."""
    return (Say(long_text()),)


def tools(request: ModelRequest) -> Sequence[Step]:
    """Call tools, one round for each output since the last prompt; see ``TOOL_ROUNDS``."""
    outputs = _outputs(request)
    return TOOL_ROUNDS[min(len(outputs), len(TOOL_ROUNDS) - 1)](outputs)


def work(request: ModelRequest) -> Sequence[Step]:
    """Do what an agent does: run a command, change a file, and say what became of it."""
    outputs = _outputs(request)
    return WORK_ROUNDS[min(len(outputs), len(WORK_ROUNDS) - 1)](outputs)


def script(request: ModelRequest) -> Sequence[Step]:
    """Write a script that calls three tools, and say what it found.

    To a model without tools, which is told of them in its system prompt, scripts are blocks.
    """
    said = _script_said(request)
    if said is None:
        if request.tools:
            return (_SCRIPT_IDEA, Say("I count that with a script."), Script(_SCRIPT))
        return (
            _SCRIPT_IDEA,
            Say(f"I count that with a script.\n\n<script>\n{_SCRIPT}\n</script>\n"),
        )
    return (Say(f"This is what the script came back with:\n\n```\n{said}\n```"),)


def fail(request: ModelRequest) -> Sequence[Step]:
    """Break in the middle of a sentence, every time."""
    error = ProviderOverloaded(
        "the demo model 'fail' is overloaded, as it always is: choose another model"
    )
    return (
        Think("I have a feeling that this will not end well."),
        Fail(error, after="I was about to tell you something important. The answer is"),
    )


def refuse(request: ModelRequest) -> Sequence[Step]:
    """Decline, politely, and say so in the finish reason too."""
    text = (
        "I would rather not help with that. I am the demo model that always declines, so please"
        " do not take it personally."
    )
    return (Say(text), Finish("refusal"))


SCRIPTS: Mapping[str, Answer] = MappingProxyType(
    {
        "tour": tour,
        "echo": echo,
        "long": long,
        "tools": tools,
        "work": work,
        "script": script,
        "fail": fail,
        "refuse": refuse,
    }
)
"""The demo models by name; the first one is the one to start with."""


def _ask_time(outputs: Sequence[FunctionCallOutput]) -> Sequence[Step]:
    return (
        Think("I do not know what time it is. There may be a tool that does."),
        Say("Let me look at the clock."),
        Call("get_time", {"timezone": "UTC"}),
    )


def _comment(outputs: Sequence[FunctionCallOutput]) -> Sequence[Step]:
    last = outputs[-1]
    shown = quote(last.output) if last.output.strip() else "nothing at all"
    if last.success:
        return (Say(f"The tool answered {shown}. Thank you, **that is all I wanted to know**."),)
    return (
        Say(
            f"The tool did not help: {shown}.\n\n"
            "Never mind. I shall say that it is *about now*, which is always right."
        ),
    )


TOOL_ROUNDS: tuple[Callable[[Sequence[FunctionCallOutput]], Sequence[Step]], ...] = (
    _ask_time,
    _comment,
)
"""What ``tools`` does after no output, after one, and so on. The last one must not call anything:
it also answers for all rounds after it."""


def _run_command(outputs: Sequence[FunctionCallOutput]) -> Sequence[Step]:
    return (
        Think("First I look around, then I write something down."),
        Say("Let me see what is here."),
        Call("shell", {"command": "pwd && ls | head -5"}),
    )


def _change_file(outputs: Sequence[FunctionCallOutput]) -> Sequence[Step]:
    patch = (
        f"*** Begin Patch\n*** Add File: {WORK_FILE}\n"
        "+Written by the demo of cody.\n+You may delete it.\n*** End Patch\n"
    )
    return (Say("Now I leave a note."), Call("apply_patch", {"input": patch}))


def _report(outputs: Sequence[FunctionCallOutput]) -> Sequence[Step]:
    lines = [
        f"- {'done' if output.success else 'not done'}: {quote(output.output)}"
        for output in outputs
    ]
    return (Say("That was it:\n\n" + "\n".join(lines)),)


WORK_FILE = "cody-demo.txt"
WORK_ROUNDS: tuple[Callable[[Sequence[FunctionCallOutput]], Sequence[Step]], ...] = (
    _run_command,
    _change_file,
    _report,
)
"""The rounds of ``work``, as in ``TOOL_ROUNDS``."""


def last_prompt(request: ModelRequest) -> str:
    """Return what the user said last."""
    return next(reversed(_prompts(request)), "")


def quote(text: str) -> str:
    """Quote the first line of a text as inline code, so that nothing in it is Markdown."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    line = next(filter(None, lines), "…")
    line = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )
    if len(line) > QUOTE_LENGTH:
        line = line[: QUOTE_LENGTH - 1].rstrip() + "…"
    # A fence is longer than any run of backticks inside, and kept apart from one at the edge.
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if "`" in (line[0], line[-1]) else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def long_text() -> str:
    """Return about 40,000 characters of headings, prose, lists, tables, code and quotes."""
    sections: list[str] = []
    length = 0
    for section in _sections():
        sections.append(section)
        length += len(section)
        if length >= LONG_LENGTH:
            break
    return "".join(sections)


def _sections() -> Iterator[str]:
    yield "# The long answer\n\n"
    blocks = (_prose, _list, _table, _python, _quotation, _shell, _prose, _steps)
    for number, block in enumerate(cycle(blocks), start=1):
        subject = _SUBJECTS[number % len(_SUBJECTS)]
        yield f"## {number}. On {subject}\n\n{_prose(number)}\n\n{block(number + 3)}\n\n"


def _prose(number: int) -> str:
    subject = _SUBJECTS[number * 5 % len(_SUBJECTS)]
    start = number * 3 % len(_SENTENCES)
    chosen = islice(cycle(_SENTENCES), start, start + 3 + number % 3)
    return " ".join(sentence.format(subject=subject, number=number) for sentence in chosen)


def _list(number: int) -> str:
    words = islice(cycle(_SUBJECTS), number, number + 4 + number % 3)
    return "\n".join(
        f"- **{word.capitalize()}**: {_note(n, word)}" for n, word in enumerate(words, start=number)
    )


def _steps(number: int) -> str:
    words = islice(cycle(_SUBJECTS), number, number + 5)
    return "\n".join(f"{n}. Look at *{word}* first." for n, word in enumerate(words, start=1))


def _table(number: int) -> str:
    words = islice(cycle(_SUBJECTS), number, number + 5)
    rows = (f"| {word} | {number * n % 97} | `{word[:3]}-{n}` |" for n, word in enumerate(words, 1))
    return "\n".join(("| Subject | Count | Key |", "|:--|--:|:-:|", *rows))


def _python(number: int) -> str:
    return (
        "```python\n"
        f"def step_{number}(values: list[int]) -> int:\n"
        f'    """Add up what is divisible by {number}."""\n'
        f"    return sum(value for value in values if value % {number} == 0)\n\n\n"
        f"print(step_{number}(list(range({number * 10}))))\n"
        "```"
    )


def _shell(number: int) -> str:
    return (
        "```bash\n"
        f"$ wc --lines section-{number}.md  # counting, as one does\n"
        f"{number * 7} section-{number}.md\n"
        "```"
    )


def _quotation(number: int) -> str:
    return f"> {_note(number, 'tides')}\n>\n> — a footnote, number {number}"


def _note(number: int, subject: str) -> str:
    return _SENTENCES[number % len(_SENTENCES)].format(subject=subject, number=number)


def _prompts(request: ModelRequest) -> list[str]:
    return [
        item.content
        for item in request.items
        if isinstance(item, Message) and item.origin == "user"
    ]


def _outputs(request: ModelRequest) -> list[FunctionCallOutput]:
    outputs: list[FunctionCallOutput] = []
    for item in request.items:
        if isinstance(item, Message) and item.origin == "user":
            outputs.clear()
        elif isinstance(item, FunctionCallOutput):
            outputs.append(item)
    return outputs


def _script_said(request: ModelRequest) -> str | None:
    """Return what came of the script since the last prompt."""
    last = request.items[-1] if request.items else None
    if isinstance(last, ScriptExecutionOutput):
        return script_report(last)
    if isinstance(last, Message) and last.content.startswith("<script_output>"):
        return last.content.removeprefix("<script_output>").removesuffix("</script_output>").strip()
    return None


_SCRIPT_IDEA = Think("Three calls one after the other would be three requests. A script is one.")
_SCRIPT = """\
const listing = await tools.list_dir({ depth: 1 });
const names = listing.split("\\n").map((line) => line.trim()).filter(Boolean);
console.log(`${names.length} lines`);
const todo = await tools.grep_files({ pattern: "TODO", limit: 3 });
const system = await tools.shell({ command: "uname -s" });
return {
  directories: names.filter((name) => name.endsWith("/")).length,
  todo: todo.split("\\n")[0],
  system: system.split("\\n")[0],
};"""

_SUBJECTS = (
    "rivers",
    "clocks",
    "letters",
    "bridges",
    "tea",
    "maps",
    "lanterns",
    "parsers",
    "gardens",
    "tides",
    "queues",
)
_SENTENCES = (
    "There is more to say about {subject} than fits into one line, which is why this is section"
    " {number}.",
    "Most people meet {subject} early and think about them *late*.",
    "A good rule is to measure first; the second rule is to `measure` again.",
    "Some of it is **surprising**, and the rest is [well documented](https://example.com/notes).",
    "In Kyoto one would say 一期一会: every meeting happens once.",
    "It is tempting to stop here, yet {subject} have another side.",
    "None of this is urgent 🌿, and all of it is deterministic.",
)

_TOUR = """\
# Hello from the demo 👋

You said {said}. I am a script, not a model, so I cannot *really* answer that, but I can show you
around. {memory}

## What works here

- **Streaming**: every word arrives on its own, as a model's would
- **Markdown**: lists, tables, code and [links](https://commonmark.org)
- **Any language**: 你好, こんにちは, and `naïve` café

| Model | What it does |
|:------|:-------------|
| `tour` | this little tour |
| `echo` | says your prompt back |
| `long` | talks for a long while |
| `tools` | calls a tool |

And a piece of code, because there is always one:

```python
from itertools import islice


def fibonacci():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b


print(*islice(fibonacci(), 10))  # 0 1 1 2 3 5 8 13 21 34
```

To talk to a real model, set `OPENAI_API_KEY` or `ANTHROPIC_API_KEY` and choose one. **Enjoy!** 🎉
"""
