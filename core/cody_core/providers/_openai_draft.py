"""An item while it streams: what both OpenAI adapters know of it, and the payloads it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cody_core.ids import new_id
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload
from cody_core.schema.items import (
    FunctionCall,
    Message,
    Partial,
    ProviderData,
    Reasoning,
    ScriptExecution,
)

THOUGHTS: Final = "reasoning_content"
"""Where many servers show what a model thinks. An item from one that does is marked by that name in
its provider data."""


@dataclass
class Draft:
    """An open item. Its id is ours; what the provider calls it belongs into provider data.

    Attributes:
        texts: What was streamed so far: content, the arguments of a call, or code.
    """

    kind: Literal["message", "reasoning", "function_call", "script_execution"]
    name: str = ""
    call_id: str = ""
    id: str = field(default_factory=new_id)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that was streamed."""
        return "".join(self.texts)

    def start(self) -> ItemStart:
        """Return the payload that opens the item."""
        return ItemStart(
            item_id=self.id,
            item_type=self.kind,
            name=self.name or None,
            call_id=self.call_id or None,
        )

    def add(self, text: str) -> ItemDelta:
        """Take more text and return its payload."""
        self.texts.append(text)
        return ItemDelta(item_id=self.id, delta_content=text)

    def end(self, provider_data: ProviderData | None, *, cut_off: bool) -> list[Payload]:
        """Return the payloads that close the item with what was streamed.

        What was cut off must not be acted on. Half a JSON object is refused by whoever reads it,
        but no arguments at all are those of a call that needs none: they are begun here.
        """
        begun: list[Payload] = []
        if cut_off and self.kind == "function_call" and not self.text.strip():
            begun.append(self.add("{"))
        return [*begun, ItemDone(item_id=self.id, final_item=self._item(provider_data, cut_off))]

    def _item(self, data: ProviderData | None, cut_off: bool) -> Partial:
        match self.kind:
            case "message":
                return Message(id=self.id, content=self.text, provider_data=data)
            case "reasoning":
                return Reasoning(id=self.id, content=self.text, provider_data=data)
            case "function_call":
                return FunctionCall(
                    id=self.id,
                    name=self.name,
                    arguments=self.text,
                    call_id=self.call_id,
                    provider_data=data,
                )
            case "script_execution":
                return ScriptExecution(
                    id=self.id,
                    code=self.text,
                    unclosed=True if cut_off else None,
                    provider_data=data,
                )


def opaque(provider_id: str, data: dict[str, Any]) -> ProviderData | None:
    """Wrap what must go back to the provider; nothing is not wrapped."""
    return ProviderData(provider_id=provider_id, data=data) if data else None
