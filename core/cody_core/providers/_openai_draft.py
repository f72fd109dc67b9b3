"""An item while it streams: what both OpenAI adapters know of it, and the payloads it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from cody_core.ids import new_id
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart
from cody_core.schema.items import FunctionCall, Message, ProviderData, Reasoning


@dataclass
class Draft:
    """An open item. Its id is ours; what the provider calls it belongs into provider data.

    Attributes:
        texts: What was streamed so far: content, or the arguments of a call.
    """

    kind: Literal["message", "reasoning", "function_call"]
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

    def done(self, provider_data: ProviderData | None) -> ItemDone:
        """Return the payload that closes the item with what was streamed."""
        return ItemDone(item_id=self.id, final_item=self._item(provider_data))

    def _item(self, data: ProviderData | None) -> Message | Reasoning | FunctionCall:
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


def opaque(provider_id: str, data: dict[str, Any]) -> ProviderData | None:
    """Wrap what must go back to the provider; nothing is not wrapped."""
    return ProviderData(provider_id=provider_id, data=data) if data else None
