"""The rows that a run is kept as in Convex: cut to fit, and put together again.

An item is a row of JSON text. What is larger than a row should be is cut into chunks, by bytes of
UTF-8, and rows and chunks that are too many for one mutation are packed into parcels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from cody_core.ids import new_id
from cody_core.schema.items import Item
from cody_core.schema.items import text_of as streamed_text
from cody_core.schema.response import Response
from cody_core.stores.folding import fold
from cody_core.stores.search import text_of

Kind: TypeAlias = Literal["header", "input", "output"]
Fields: TypeAlias = dict[str, Any]

INLINE: Final = 48 * 1024
"""Bytes of JSON, and of text to be searched, that a row holds itself."""
PIECE: Final = 256 * 1024
"""Bytes of either in a chunk."""
PARCEL_BYTES: Final = 2 * 1024 * 1024
"""Bytes in one mutation: an eighth of what Convex takes, half of what a small one writes a second.
"""
PARCEL_ROWS: Final = 1000
DIRECT_ROWS: Final = 64
"""Rows that are put in their places by the save itself; more come in parcels."""
_OVERHEAD: Final = 300
"""Bytes of a row or chunk beside its texts, at most."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is to be written of a run: rows, and the chunks of those that are large."""

    rows: list[Fields] = field(default_factory=list)
    chunks: list[Fields] = field(default_factory=list)

    def add(self, kind: Kind, position: int, data: bytes, text: str) -> None:
        """Add what is at a place of the run: its JSON, and the folded text it is found by."""
        pieces = [] if len(data) <= INLINE else list(_pieces(data, PIECE))
        texts = list(_word_pieces(text.encode()))
        body = new_id() if pieces or len(texts) > 1 else None
        row: Fields = {
            "kind": kind,
            "position": position,
            "json": "" if pieces else data.decode(),
            "text": texts[0],
            "parts": len(pieces),
            "texts": len(texts) - 1,
        }
        self.rows.append(_sized(row if body is None else row | {"body": body}))
        parts = [*((piece, "") for piece in pieces), *(("", piece) for piece in texts[1:])]
        for part, (data_piece, text_piece) in enumerate(parts):
            chunk = {"body": body, "part": part, "json": data_piece, "text": text_piece}
            self.chunks.append(_sized(chunk))


def rows_of(response: Response, changed: Sequence[int], *, with_inputs: bool) -> tuple[str, Rows]:
    """Return a run's header as JSON, and the rows of these output items and of its inputs.

    A header that is too large for its document is a row as well, and then empty.
    """
    rows = Rows()
    header = response.model_dump_json(exclude={"input_items", "output_items"})
    if len(encoded := header.encode()) > INLINE:
        rows.add("header", 0, encoded, "")
        header = ""
    if with_inputs:
        _add(rows, "input", dict(enumerate(response.input_items)))
    _add(rows, "output", {position: response.output_items[position] for position in changed})
    return header, rows


def _add(rows: Rows, kind: Kind, items: Mapping[int, Item]) -> None:
    for position, item in items.items():
        data = item.model_dump_json().encode()
        rows.add(kind, position, data, fold(text_of(item) or ""))


def is_direct(documents: Sequence[Fields]) -> bool:
    """Tell whether documents are few and small enough to come with the save."""
    return len(documents) <= DIRECT_ROWS and _size(documents) <= PARCEL_BYTES // 2


def parcels(documents: Sequence[Fields]) -> Iterator[list[Fields]]:
    """Pack documents into parcels, each for one mutation."""
    parcel: list[Fields] = []
    size = 0
    for document in documents:
        size += document["size"] + _OVERHEAD
        if parcel and (size > PARCEL_BYTES or len(parcel) == PARCEL_ROWS):
            yield parcel
            parcel, size = [], document["size"] + _OVERHEAD
        parcel.append(document)
    if parcel:
        yield parcel


def weight(response: Response, changed: Sequence[int]) -> int:
    """Estimate how many characters ``rows_of`` has to go through."""
    written = [*response.input_items, *(response.output_items[at] for at in changed)]
    return sum(len(streamed_text(item)) for item in written)


def _size(documents: Sequence[Fields]) -> int:
    return sum(document["size"] + _OVERHEAD for document in documents)


def _sized(fields: Fields) -> Fields:
    return fields | {"size": len(fields["json"].encode()) + len(fields["text"].encode())}


def _pieces(data: bytes, size: int) -> Iterator[str]:
    """Cut UTF-8 into pieces of so many bytes at most, never within a character."""
    begin = 0
    while begin < len(data):
        end = min(begin + size, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[begin:end].decode()
        begin = end


def _word_pieces(data: bytes) -> Iterator[str]:
    """Cut folded text between words: the first piece fits a row, the others fit chunks."""
    size = INLINE
    while len(data) > size:
        end = data.rindex(b" ", 0, size + 1)  # no word is nearly as long
        yield data[:end].decode()
        data, size = data[end + 1 :], PIECE
    yield data.decode()


class Reading:
    """A run as it is read, page by page."""

    def __init__(self, state: Fields) -> None:
        self.run_id: str = state["runId"]
        self._state = state
        self._rows: dict[tuple[str, int], tuple[int, Fields]] = {}
        self._texts: dict[str, str] = {}
        self.take(state)

    @property
    def bodies(self) -> Mapping[str, int]:
        """The items that are in chunks, by what names these, and how many there are."""
        return {row["body"]: int(row["parts"]) for _, row in self._rows.values() if row["parts"]}

    def take(self, page: Fields) -> bool:
        """Take a page; tell whether it is of the same state as those before."""
        if page["revision"] != self._state["revision"]:
            return False
        ranks = {stage: rank for rank, stage in enumerate(["", *page["stages"]])}
        for row in page["rows"]:
            rank, place = ranks[row["stage"]], (row["kind"], int(row["position"]))
            if rank >= self._rows.get(place, (-1, {}))[0]:
                self._rows[place] = rank, row
        return True

    def complete(self, body: str, text: str) -> None:
        """Take an item that was in chunks."""
        self._texts[body] = text

    def json(self) -> str:
        """Return the response as JSON.

        Raises:
            KeyError: a row is missing.
        """
        header = self._state["header"] or self._json("header", 0)
        inputs, outputs = (
            ",".join(self._json(kind, at) for at in range(int(self._state[f"{kind}s"])))
            for kind in ("input", "output")
        )
        return f'{header[:-1]},"input_items":[{inputs}],"output_items":[{outputs}]}}'

    def _json(self, kind: str, position: int) -> str:
        row = self._rows[kind, position][1]
        text: str = self._texts[row["body"]] if row["parts"] else row["json"]
        return text
