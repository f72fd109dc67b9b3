"""How one answer is written to a terminal or a pipe, event by event.

Answers go to standard output, everything about them to standard error: reasoning, calls, notes.
What a model or tool wrote has its control characters made visible first.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import IO, Protocol

from cody_core.schema.events import (
    Entry,
    ItemDelta,
    ItemDone,
    ItemError,
    ItemStart,
    ResponseDone,
    ScriptExecutionStart,
)
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ScriptExecution,
    ScriptExecutionOutput,
    script_report,
    text_of,
)
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadDetail

from cody_tui.endings import NOTES
from cody_tui.text import one_line, printable

CALL_WIDTH = 100
"""Characters of a call or its output that are shown on one line."""
SCRIPT_LINES = 24
"""Lines of a script that are shown."""


class View(Protocol):
    """Shows a run. Closed exactly once, also when it is left early."""

    def show(self, entry: Entry) -> None:
        """Take the next entry of the log."""
        ...

    def flush(self) -> None:
        """Let everything shown so far reach the reader."""
        ...

    def close(self, response: Response | None) -> None:
        """End the output; ``response`` is the whole answer where it is known."""
        ...


class JsonView:
    """One canonical event a line, as stored."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def show(self, entry: Entry) -> None:
        """Write the event's JSON."""
        self._out.write(entry.data + b"\n")

    def flush(self) -> None:
        """Flush."""
        self._out.flush()

    def close(self, response: Response | None) -> None:
        """Flush once more."""
        self._out.flush()


class TextView:
    """The answer's text as it comes; ``write`` and ``end`` say what becomes of it."""

    def __init__(self, text: TextSink, activity: Activity) -> None:
        self._text = text
        self._activity = activity
        self._kinds: dict[str, str] = {}
        self._shown: dict[str, int] = {}

    def show(self, entry: Entry) -> None:
        """Write what an event adds to the answer or to what is told about it."""
        payload = entry.payload
        match payload:
            case ItemStart():
                self._kinds[payload.item_id] = payload.item_type
                if payload.initial_content:
                    self._add(payload.item_id, payload.initial_content)
            case ItemDelta():
                self._add(payload.item_id, payload.delta_content)
            case ItemDone():
                self._done(payload.item_id, payload.final_item)
            case ItemError():
                self._end(payload.item_id)
                self._activity.note(payload.error.message)
            case ScriptExecutionStart(code=code):
                self._text.end()
                self._activity.script(code)
            case ResponseDone(finish_reason=reason) if reason in NOTES:
                self._text.flush()
                self._activity.warn(NOTES[reason])
            case _:
                pass

    def flush(self) -> None:
        """Let everything shown so far reach the reader."""
        self._text.flush()
        self._activity.flush()

    def close(self, response: Response | None) -> None:
        """End the last line."""
        self._text.end()
        self._activity.end()

    def _add(self, item_id: str, text: str) -> None:
        self._shown[item_id] = self._shown.get(item_id, 0) + len(text)
        kind = self._kinds.get(item_id)
        if kind == "message":
            self._activity.end()
            self._text.write(printable(text))
        elif kind == "reasoning":
            self._text.end()
            self._activity.think(printable(text))

    def _done(self, item_id: str, item: Item) -> None:
        if isinstance(item, FunctionCall):
            self._text.end()
            self._activity.call(item)
        elif isinstance(item, FunctionCallOutput | ScriptExecutionOutput):
            self._activity.output(item)
        elif isinstance(item, ScriptExecution):
            pass  # told of when it is run
        elif rest := text_of(item)[self._shown.get(item_id, 0) :]:
            self._add(item_id, rest)
        self._end(item_id)

    def _end(self, item_id: str) -> None:
        if self._kinds.get(item_id) == "message":
            self._text.end()
        else:
            self._activity.end()


class WholeView:
    """Nothing until the answer is complete, then its text."""

    def __init__(self, text: TextSink, activity: Activity) -> None:
        self._text = text
        self._activity = activity

    def show(self, entry: Entry) -> None:
        """Tell of nothing but calls, which may take a while."""
        match entry.payload:
            case ItemDone(final_item=FunctionCall() as call):
                self._activity.call(call)
            case ScriptExecutionStart(code=code):
                self._activity.script(code)
            case _:
                pass

    def flush(self) -> None:
        """Nothing is shown before the end."""

    def close(self, response: Response | None) -> None:
        """Write the messages of the answer."""
        for item in response.output_items if response is not None else ():
            shown = _shown(item)
            if isinstance(shown, Message):
                self._text.write(printable(shown.content))
                self._text.end()
        reason = response.finish_reason if response is not None else None
        if reason in NOTES:
            self._activity.warn(NOTES[reason])


class TextSink(Protocol):
    """Where an answer's text goes."""

    def write(self, text: str) -> None:
        """Take more text of the message."""
        ...

    def flush(self) -> None:
        """Let what was written reach the reader."""
        ...

    def end(self) -> None:
        """End the message, if one has begun."""
        ...


class PlainText:
    """Text as it comes; messages are separated by an empty line and end with a line break."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._last = ""
        self._messages = 0

    def write(self, text: str) -> None:
        """Write text, set off from the message before."""
        if not text:
            return
        if not self._last and self._messages:
            self._out.write("\n")
        self._last = text[-1]
        self._out.write(text)

    def flush(self) -> None:
        """Flush."""
        self._out.flush()

    def end(self) -> None:
        """End the line."""
        if self._last:
            self._out.write("" if self._last == "\n" else "\n")
            self._messages += 1
        self._last = ""
        self._out.flush()


class Activity:
    """What happens besides the answer, on standard error; dim where that is a terminal."""

    def __init__(self, out: IO[str], *, colour: bool, quiet: bool = False) -> None:
        self._out = out
        self._dim, self._plain = ("\x1b[2m", "\x1b[0m") if colour else ("", "")
        self._quiet = quiet
        self._thinking = False

    def think(self, text: str) -> None:
        """Write reasoning as it comes."""
        self._write(text if self._thinking else f"{self._dim}{text}")
        self._thinking = True

    def call(self, call: FunctionCall) -> None:
        """Tell of a call; one that a script makes is set in."""
        inset = "  " if call.correlation_id else ""
        self._line(
            f"{inset}⚙ {one_line(call.name, 64)}({one_line(_compact(call.arguments), CALL_WIDTH)})"
        )

    def script(self, code: str) -> None:
        """Tell of a script that is run."""
        lines = printable(code).strip().splitlines()
        shown = lines if len(lines) <= SCRIPT_LINES else lines[: SCRIPT_LINES - 1]
        self._line("⚙ script")
        for line in shown:
            self._line(f"  │ {line[:CALL_WIDTH]}")
        if more := len(lines) - len(shown):
            self._line(f"  │ … {more} more lines")

    def output(self, item: FunctionCallOutput | ScriptExecutionOutput) -> None:
        """Tell how a call or a script came out."""
        mark = "✓" if item.success else "✗"
        inset = "  " if item.correlation_id else ""
        text = script_report(item) if isinstance(item, ScriptExecutionOutput) else item.output
        self._line(f"{inset}  {mark} {one_line(text, CALL_WIDTH) or 'no output'}")

    def note(self, text: str) -> None:
        """Tell what went wrong on the way."""
        self._line(f"! {printable(text)}")

    def warn(self, text: str) -> None:
        """Tell something the reader must know, also one who wants it quiet."""
        self.end()
        self._out.write(f"{self._dim}! {text}{self._plain}\n")
        self._out.flush()

    def flush(self) -> None:
        """Flush."""
        self._out.flush()

    def end(self) -> None:
        """End a line of reasoning, if one is open."""
        if self._thinking:
            self._write(f"{self._plain}\n\n")
        self._thinking = False
        self._out.flush()

    def _line(self, text: str) -> None:
        self.end()
        self._write(f"{self._dim}{text}{self._plain}\n")
        self._out.flush()

    def _write(self, text: str) -> None:
        if not self._quiet:
            self._out.write(text)


def _compact(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except ValueError:
        return arguments


def thread_line(thread: Thread) -> str:
    """Return a thread as a line of a list."""
    when = datetime.fromtimestamp(thread.updated_at / 1000).strftime("%Y-%m-%d %H:%M")
    model = "/".join(part for part in (thread.provider_id, thread.model_id) if part)
    return f"{thread.id}  {when}  {model:<28}  {one_line(thread.title, 100)}"


def write_thread(detail: ThreadDetail, out: IO[str]) -> None:
    """Write a whole thread as text: prompts behind ``>``, answers as they are."""
    activity = Activity(out, colour=False)
    out.write(f"{printable(detail.thread.title)}\n")
    for response in detail.runs:
        write_prompts(response, out)
        write_answer(response, PlainText(out), activity)


def write_prompts(response: Response, out: IO[str]) -> None:
    """Write what a run answers, behind ``>``."""
    for item in response.input_items:
        if isinstance(item, Message):
            quoted = printable(item.content).strip().replace("\n", "\n> ")
            out.write(f"\n> {quoted}\n\n")


def write_answer(response: Response, text: TextSink, activity: Activity) -> None:
    """Write what a run brought forth, and why that is not all where it is not."""
    for item in response.output_items:
        _write_item(item, text, activity)
    if response.error is not None:
        activity.note(response.error.message)
    elif response.status != "complete":
        activity.note(f"{response.status}: the answer is not whole")


def _write_item(item: Item, text: TextSink, activity: Activity) -> None:
    shown = _shown(item)
    match shown:
        case Message(content=content):
            text.write(printable(content))
            text.end()
        case FunctionCall():
            activity.call(shown)
        case ScriptExecution(code=code):
            activity.script(code)
        case FunctionCallOutput() | ScriptExecutionOutput():
            activity.output(shown)
        case _:
            pass


def _shown(item: Item) -> Item | None:
    """Return the item itself, or of one that was cut off what there is of it."""
    return item.partial if isinstance(item, Cancelled | ErrorItem) else item
