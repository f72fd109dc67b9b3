"""Payloads for comparison: collected from a provider, their random ids replaced by numbers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable

from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, Payload
from cody_core.schema.items import FunctionCall, Item
from pydantic import TypeAdapter

_PAYLOADS: TypeAdapter[list[Payload]] = TypeAdapter(list[Payload])
_RANDOM = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


async def collect(stream: AsyncIterator[Payload]) -> list[Payload]:
    """Read a stream to its end; see ``normal`` for the ids."""
    return normal([payload async for payload in stream])


def normal(payloads: Iterable[Payload]) -> list[Payload]:
    """Replace ids that were made up on the way by "1", "2", … in order of appearance."""
    names: dict[bytes, bytes] = {}

    def name(match: re.Match[bytes]) -> bytes:
        return names.setdefault(match[0], b"%d" % (len(names) + 1))

    return _PAYLOADS.validate_json(_RANDOM.sub(name, _PAYLOADS.dump_json(list(payloads))))


def streamed(final: Item, *deltas: str) -> list[Payload]:
    """Return the payloads of an item that came in these pieces."""
    return [start(final), *(said(final, text) for text in deltas), done(final)]


def start(item: Item) -> ItemStart:
    """Return the payload that opens an item."""
    if isinstance(item, FunctionCall):
        return ItemStart(item_id=item.id, item_type=item.type, name=item.name, call_id=item.call_id)
    return ItemStart(item_id=item.id, item_type=item.type)


def said(item: Item, text: str) -> ItemDelta:
    """Return the payload of a piece of an item."""
    return ItemDelta(item_id=item.id, delta_content=text)


def done(item: Item) -> ItemDone:
    """Return the payload that closes an item."""
    return ItemDone(item_id=item.id, final_item=item)
