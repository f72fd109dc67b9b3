"""Scripts in a model's answer: found in what it streams, and told back to it as it wrote them.

A model writes a script as the input of the tool ``run_script``, or as a ``<script>`` block in its
text. Both become ``script_execution`` items here, so that nothing behind this module can tell them
apart. The other way round, a model that writes blocks is shown its earlier scripts as blocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from cody_core.ids import new_id
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload
from cody_core.schema.items import (
    FunctionCall,
    Item,
    Message,
    ScriptExecution,
    ScriptExecutionOutput,
    script_report,
)
from cody_core.schema.requests import SCRIPT_TOOL, ToolMode
from cody_core.tools.script_detector import Script, ScriptDetector

_ARGUMENT = re.compile(r'\s*\{\s*"code"\s*:\s*"')
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_CHARACTERS = re.compile(rf'(?:[^"\\]|\\[^u]|{_HIGH}{_LOW}|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{{4}})*')
"""Characters of a JSON string that are complete: half an escape, or half of a pair, is not."""


class ScriptReader:
    """Takes the payloads of one answer and returns them with the scripts made items of their own.

    Payloads of other items pass through unchanged, and in order.
    """

    def __init__(self, mode: ToolMode) -> None:
        self._mode = mode
        self._messages: dict[str, _Blocks] = {}
        self._calls: dict[str, _CodeArgument] = {}

    def read(self, payload: Payload) -> Iterable[Payload]:
        """Return what a payload becomes."""
        if isinstance(payload, ItemDelta) and not (self._messages or self._calls):
            return (payload,)
        match payload:
            case ItemStart(item_type="message") if self._mode == "script":
                self._messages[payload.item_id] = _Blocks(payload)
                return ()
            case ItemStart(item_type="function_call", name=name) if self._is_script(name):
                self._calls[payload.item_id] = _CodeArgument()
                return [ItemStart(item_id=payload.item_id, item_type="script_execution")]
            case ItemDelta(item_id=item_id) if item_id in self._messages:
                return self._messages[item_id].feed(payload.delta_content)
            case ItemDelta(item_id=item_id) if item_id in self._calls:
                code = self._calls[item_id].feed(payload.delta_content)
                return [ItemDelta(item_id=item_id, delta_content=code)] if code else ()
            case ItemDone(item_id=item_id, final_item=Message() as item) if (
                item_id in self._messages
            ):
                return self._messages.pop(item_id).close(item)
            case ItemDone(final_item=FunctionCall() as call) if call.id in self._calls:
                script = self._calls.pop(call.id).script(call)
                return [ItemDone(item_id=call.id, final_item=script)]
            case _:
                return [payload]

    def _is_script(self, name: str | None) -> bool:
        return name == SCRIPT_TOOL and self._mode != "calls"


class _Blocks:
    """One message, whose text may hold script blocks."""

    def __init__(self, start: ItemStart) -> None:
        self._start = start
        self._detector = ScriptDetector()
        self._next_id = start.item_id  # the first item keeps the id of the message
        self._message: str | None = None
        self._said: list[str] = []
        self._breaks = ""  # line breaks that nothing has followed yet
        self._script: str | None = None
        self._shown = 0
        self._scripts = 0

    def feed(self, text: str) -> list[Payload]:
        payloads: list[Payload] = []
        for part in self._detector.feed(text):
            payloads += self._script_done(part) if isinstance(part, Script) else self._say(part.raw)
        return payloads + self._stream_script()

    def close(self, item: Message) -> list[Payload]:
        payloads: list[Payload] = []
        for part in self._detector.close():
            payloads += self._script_done(part) if isinstance(part, Script) else self._say(part.raw)
        if self._scripts == 0:
            # What came whole goes on whole, with what its provider wants back.
            begun = [] if self._message else [self._start]
            return [*payloads, *begun, ItemDone(item_id=item.id, final_item=item)]
        return [*payloads, *self._end_message()]

    def _say(self, text: str) -> list[Payload]:
        if self._message is None:
            self._breaks += text[: len(text) - len(text.lstrip("\r\n"))]
            if not (text := text.lstrip("\r\n")):
                return []
            if self._scripts == 0:  # between two blocks they are nothing
                text = self._breaks + text
            self._breaks = ""
            self._message, self._next_id = self._next_id, new_id()
            self._said = [text]
            start = self._start.model_copy(update={"item_id": self._message})
            return [start, ItemDelta(item_id=self._message, delta_content=text)]
        self._said.append(text)
        return [ItemDelta(item_id=self._message, delta_content=text)]

    def _end_message(self) -> list[Payload]:
        if self._message is None:
            return []
        item = Message(id=self._message, content="".join(self._said))
        self._message = None
        return [ItemDone(item_id=item.id, final_item=item)]

    def _stream_script(self) -> list[Payload]:
        """Show the script that is being written, as far as it cannot change any more."""
        code = self._detector.code_so_far
        if code is None:
            return []
        payloads = self._begin_script()
        if self._script is not None and self._shown < len(code):
            payloads.append(ItemDelta(item_id=self._script, delta_content=code[self._shown :]))
            self._shown = len(code)
        return payloads

    def _begin_script(self) -> list[Payload]:
        if self._script is not None:
            return []
        ended = self._end_message()
        self._breaks = ""
        self._script, self._next_id = self._next_id, new_id()
        self._shown = 0
        self._scripts += 1
        return [*ended, ItemStart(item_id=self._script, item_type="script_execution")]

    def _script_done(self, part: Script) -> list[Payload]:
        payloads = self._begin_script()
        assert self._script is not None
        item = ScriptExecution(
            id=self._script, code=part.code, unclosed=None if part.closed else True
        )
        if rest := item.code[self._shown :]:
            payloads.append(ItemDelta(item_id=item.id, delta_content=rest))
        self._script = None
        return [*payloads, ItemDone(item_id=item.id, final_item=item)]


class _CodeArgument:
    """The arguments of a call as they stream, and the text of ``code`` in them."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._waiting = ""
        self._begun = False

    def feed(self, text: str) -> str:
        """Take more of the JSON and return what it adds to the code, for looking at."""
        self._waiting += text
        if not self._begun:
            if (head := _ARGUMENT.match(self._waiting)) is None:
                return ""
            self._begun = True
            self._waiting = self._waiting[head.end() :]
        match = _CHARACTERS.match(self._waiting)
        assert match is not None
        self._waiting = self._waiting[match.end() :]
        try:
            text = str(json.loads(f'"{match[0]}"', strict=False))
        except ValueError:
            return ""
        self._shown.append(text)
        return text

    def script(self, call: FunctionCall) -> ScriptExecution:
        """Return the script of the whole call; what is no JSON may have been cut off anywhere."""
        code, unclosed = call.arguments, False
        try:
            values = json.loads(call.arguments)
        except ValueError:
            unclosed = True
            if self._begun:
                code = "".join(self._shown)
        else:
            if isinstance(values, dict) and isinstance(values.get("code"), str):
                code = values["code"].encode(errors="replace").decode()  # half a pair is no text
        return ScriptExecution(
            id=call.id,
            code=code,
            unclosed=True if unclosed else None,
            provider_data=call.provider_data,
        )


def as_blocks(items: Iterable[Item]) -> Iterator[Item]:
    """Yield a conversation in which scripts and what came of them are text."""
    for item in items:
        match item:
            case ScriptExecution(code=code):
                text = f"<script>\n{code}\n</script>"
                yield Message(id=item.id, content=text, step=item.step)
            case ScriptExecutionOutput():
                text = f"<script_output>\n{script_report(item)}\n</script_output>"
                yield Message(id=item.id, content=text, origin="user")
            case _:
                yield item
