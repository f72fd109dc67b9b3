"""What only eyes can judge. Look at a new picture before you accept it with --snapshot-update.

Starting the app takes longer than drawing, so that each picture shows as much as it has room for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
from cody_core.ids import new_id
from cody_core.schema.events import ApprovalRequested
from cody_core.schema.items import (
    Cancelled,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.response import ErrorInfo, Response, Status
from textual.pilot import Pilot
from tui.conftest import MakeApp
from tui.screen import answered, questioned, send, shown, state, transcript_of, until

from cody_tui.conversation import Conversation
from cody_tui.messages import Snapshot, Span
from cody_tui.widgets.status import Status as StatusLine

Compare = Callable[..., bool]
Act = Callable[[Pilot[None]], Awaitable[None]]

NOW = 1_768_478_400
MARKDOWN = """\
## Text

A paragraph with **bold**, *italic*, ~~struck~~ and `code`, a [link](https://example.com), and so \
many words that it takes more than one line of a transcript that is a hundred cells wide.

1. first
   - beneath it
     - and beneath that
2. second

- [x] a task that is done
- [ ] one that is not

> What somebody else said,
> on two lines.

| Left | Right | 中文 |
|:-----|------:|:----:|
| a    |     1 | 你好 |
| `b`  |  1000 | 🌿   |

你好 世界。 こんにちは。 안녕하세요. 👋🏽 👩‍💻 🇯🇵 e\u0301 שלום עולם مرحبا بالعالم

---

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"  # 你好
```
"""
PATCH = """\
*** Begin Patch
*** Update File: kettle/boil.py
@@
 import time
-MINUTES = 3
+MINUTES = 4
*** End Patch
"""
DIFF = """\
--- a/kettle/boil.py
+++ b/kettle/boil.py
@@ -1,3 +1,3 @@
 import time
-MINUTES = 3
+MINUTES = 4
"""
SCRIPT = "const found = await tools.grep_files({ pattern: 'TODO' });\nreturn found.length;"


def prompt(text: str) -> Message:
    return Message(id=new_id(), origin="user", content=text)


def run(text: str, *items: Item, status: Status = "complete", error: str = "") -> Response:
    return Response(
        id=new_id(), turn_id=new_id(), thread_id=new_id(), model_id="m", provider_id="p",
        created_at=1, updated_at=1, status=status, input_items=(prompt(text),), output_items=items,
        error=ErrorInfo(code="provider_overloaded", message=error) if error else None,
    )  # fmt: skip


def call(name: str, arguments: dict[str, object], key: str) -> FunctionCall:
    return FunctionCall(id=key, call_id=key, name=name, arguments=json.dumps(arguments))


def output(key: str, text: str, *, success: bool = True) -> FunctionCallOutput:
    return FunctionCallOutput(id=f"{key}-out", call_id=key, output=text, success=success)


def everything() -> Sequence[Snapshot]:
    """Return a run for each way to end, with all kinds of items; the last one is live."""
    worked = run(
        "Fix the kettle\nand say what you did",
        Reasoning(id="thought", content="First I **look**, then I change it."),
        call("shell", {"command": "pytest -q"}, "test"),
        output("test", "E  assert 3 == 4\n1 failed in 0.1s", success=False),
        call("apply_patch", {"input": PATCH}, "edit"),
        output("edit", "changed kettle/boil.py"),
        call("read_file", {"path": "kettle/boil.py"}, "read"),
        output("read", "MINUTES = 4\n"),
        ScriptExecution(id="script", code=SCRIPT),
        call("grep_files", {"pattern": "TODO"}, "grep").model_copy(
            update={"correlation_id": "script"}
        ),
        output("grep", "kettle/boil.py:1: TODO"),
        ScriptExecutionOutput(
            id="result", script_id="script", result="22", success=True, logs="1 line\n"
        ),
        Message(id="answer", content="It takes **four** minutes now."),
    )
    stopped = run(
        "Tell me everything",
        Cancelled(id="cut", reason="user", partial=Message(id="part", content="It all began")),
        status="aborted",
    )
    failed = run("Again", status="error", error="the provider is overloaded: try again later")
    live = run(
        "And now?",
        Reasoning(id="live", content="Hm."),
        call("shell", {"command": "sleep 60"}, "run"),
        output("run", "one\ntwo\n"),
        call("apply_patch", {"input": PATCH}, "ask"),
        status="in_progress",
    )
    spans = {"thought": Span(0, 4_000), "test-out": Span(0, 12_300), "result": Span(0, 1_500)}
    question = ApprovalRequested(
        approval_id=new_id(), item_id="ask", call_id="ask", tool="apply_patch", kind="write",
        summary="change kettle/boil.py (+1 -1)", preview=DIFF,
    )  # fmt: skip
    return (
        Snapshot(worked, spans=spans),
        Snapshot(stopped),
        Snapshot(
            live,
            frozenset({"run-out", "live"}),
            {"run-out": Span(NOW * 1000), "live": Span(NOW * 1000)},
            (question,),
        ),
        Snapshot(failed),
    )


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time stand still, seven seconds after whatever is live began."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(time, "time_ns", lambda: NOW * 1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: float(NOW + 7))
    monkeypatch.setattr(Conversation, "seconds", 7)


@pytest.fixture
def make_picture(
    snap_compare: Compare, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> Compare:
    """Compare an app in colours that do not depend on the terminal."""

    def compare(
        act: Act,
        size: tuple[int, int],
        model: str = "demo/tour",
        delay: float = 0.0,
        **ui: object,
    ) -> bool:
        if model == "demo/work":  # its calls are made, and take the time they take
            monkeypatch.setattr("cody_tui.widgets.call.LEAST_SECONDS", 60.0)
        app = make_app(model, delay, ui={"theme": "cody-dark", **ui})
        return snap_compare(app, terminal_size=size, run_before=act)

    return compare


def showing(snapshots: Sequence[Snapshot], *opened: str) -> Act:
    """Show runs as a thread would, some of their items opened."""

    async def act(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: state(pilot) == "ready")
        transcript = transcript_of(pilot)
        for snapshot in snapshots:
            transcript.show(snapshot)
        for item_id in opened:
            transcript.show_item(item_id)
            transcript.toggle_item()
        transcript.leave_item()
        transcript.show_end()

    return act


async def answering(pilot: Pilot[None]) -> None:
    await send(pilot, "What can you do?")
    await answered(pilot, "Enjoy!")
    await until(pilot, lambda: transcript_of(pilot).is_following)


async def asking(pilot: Pilot[None]) -> None:
    await send(pilot, "Leave a note")
    panel = await questioned(pilot)
    panel.guard = 0
    panel.action_answer("approve")
    await until(pilot, lambda: panel.display and "apply_patch" in shown(pilot))
    await until(pilot, lambda: state(pilot) == "asking")
    # The directory's name was in what the command wrote, and has another length each time.
    pilot.app.screen.query_one(StatusLine).usage = None


async def waiting(pilot: Pilot[None]) -> None:
    await send(pilot, "What can you do?")
    await until(pilot, lambda: state(pilot) == "thinking" and "Thinking" in shown(pilot))
    await send(pilot, "And what can you not do?")
    pilot.app.simulate_key("h")


async def doing_nothing(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: state(pilot) == "ready")


def test_every_kind_of_markdown(make_picture: Compare) -> None:
    answer = Snapshot(run("Show me everything", Message(id="a", content=MARKDOWN)))
    assert make_picture(showing([answer]), (100, 40))


@pytest.mark.parametrize("theme", ["cody-dark", "cody-light", "cody-ansi", "cody-contrast"])
def test_every_kind_of_item(make_picture: Compare, theme: str) -> None:
    assert make_picture(showing(everything()), (100, 44), theme=theme)


def test_items_that_are_open(make_picture: Compare) -> None:
    opened = showing(everything(), "thought", "test", "edit", "script", "ask")
    assert make_picture(opened, (120, 56))


def test_items_as_a_screen_reader_meets_them(make_picture: Compare) -> None:
    assert make_picture(showing(everything(), "thought"), (100, 44), screen_reader=True)


def test_an_answer_on_a_small_light_screen(make_picture: Compare) -> None:
    assert make_picture(answering, (80, 24), theme="cody-light")


def test_an_answer_on_a_large_screen(make_picture: Compare) -> None:
    assert make_picture(answering, (160, 48))


def test_a_live_answer_and_a_prompt_that_waits(make_picture: Compare) -> None:
    assert make_picture(waiting, (80, 24), delay=1_000.0)


def test_a_question(make_picture: Compare) -> None:
    assert make_picture(asking, (80, 24), "demo/work")


def test_a_question_in_the_terminals_own_colours(make_picture: Compare) -> None:
    assert make_picture(asking, (80, 24), "demo/work", theme="cody-ansi")


def test_a_question_as_a_screen_reader_meets_it(make_picture: Compare) -> None:
    assert make_picture(asking, (80, 24), "demo/work", screen_reader=True)


def test_an_empty_screen(make_picture: Compare) -> None:
    assert make_picture(doing_nothing, (80, 24))
