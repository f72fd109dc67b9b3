"""Saving a run to Convex: what changed, in one mutation, or in parcels and one that names them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from cody_core.errors import StoreUnavailable
from cody_core.ids import new_id
from cody_core.schema.response import Response
from cody_core.stores import RunWrite
from cody_core.stores.convex_api import ConvexApi
from cody_core.stores.convex_rows import Fields, Rows, is_direct, parcels, rows_of, weight

KNOWN_RUNS: Final = 1000
"""Runs of which is remembered how much is stored, so that a save is complete the first time."""
LIGHT: Final = 50_000
"""Characters that are folded and cut on the loop; more are in a thread."""
AGAIN: Final = 10
"""How often a run is sent anew that others write to meanwhile."""


class RunSender:
    """Sends the states of runs."""

    def __init__(self, api: ConvexApi) -> None:
        self._api = api
        self._known: dict[str, int] = {}

    async def save(self, write: RunWrite) -> bool:
        """Save a run's state, if it is newer than what is stored; return whether it was written.

        Raises:
            StoreUnavailable: it cannot be stored now.
        """
        run_id = write.response.id
        known = self._known.get(run_id)
        for _ in range(AGAIN):
            outcome = await self._send(write, known or 0, with_inputs=known is None)
            match outcome["outcome"]:
                case "written":
                    self._remember(run_id, len(write.response.output_items))
                    return True
                case "refused":
                    self._known.pop(run_id, None)
                    return False
                case "incomplete":
                    known = None if outcome["isNew"] else int(outcome["outputs"])
                case _:  # what was sent ahead has been swept away, as it took so long
                    known = self._known.get(run_id)
        msg = f"run {run_id!r} is written to by others at the same time: try again"
        raise StoreUnavailable(msg)

    async def _send(self, write: RunWrite, stored: int, *, with_inputs: bool) -> Fields:
        """Send what has changed since so many output items were stored."""
        response = write.response
        total = len(response.output_items)
        changed = range(total) if write.changed is None else write.changed
        positions = [at for at in range(total) if at in changed or at >= stored]
        if weight(response, positions) > LIGHT:
            header, rows = await asyncio.to_thread(
                rows_of, response, positions, with_inputs=with_inputs
            )
        else:
            header, rows = rows_of(response, positions, with_inputs=with_inputs)
        sent, named = await self._send_ahead(response, rows)
        done: Fields = await self._api.mutation(
            "runs:save",
            run=_state(write, header),
            token=new_id(),
            tail=_tail(positions, total),
            whole=with_inputs,
            rows=sent.rows,
            chunks=sent.chunks,
            parcels=named,
        )
        return done

    async def _send_ahead(self, response: Response, rows: Rows) -> tuple[Rows, list[str]]:
        """Send what is too much for one mutation; return the rest, and the parcels of rows."""
        named: list[str] = []
        left = Rows(rows.rows, rows.chunks)
        if not is_direct([*rows.rows, *rows.chunks]):
            for chunks in parcels(rows.chunks):
                await self._send_parcel(response, Rows([], chunks))
            left = Rows(rows.rows, [])
        if not is_direct(left.rows):
            named = [await self._send_parcel(response, Rows(some)) for some in parcels(left.rows)]
            left = Rows([], left.chunks)
        return left, named

    async def _send_parcel(self, response: Response, rows: Rows) -> str:
        name = new_id()
        await self._api.mutation(
            "parcels:store",
            parcel=name,
            threadId=response.thread_id,
            runId=response.id,
            rows=rows.rows,
            chunks=rows.chunks,
        )
        return name

    def _remember(self, run_id: str, outputs: int) -> None:
        self._known.pop(run_id, None)
        self._known[run_id] = outputs
        if len(self._known) > KNOWN_RUNS:
            del self._known[next(iter(self._known))]


def _state(write: RunWrite, header: str) -> Fields:
    response = write.response
    fields: Fields = {
        "runId": response.id,
        "threadId": response.thread_id,
        "status": response.status,
        "createdAt": response.created_at,
        "updatedAt": response.updated_at,
        "modelId": response.model_id,
        "providerId": response.provider_id,
        "agentRole": response.agent_id,
        "version": write.version,
        "owner": write.owner,
        "header": header,
        "inputs": len(response.input_items),
        "outputs": len(response.output_items),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tail(positions: Sequence[int], total: int) -> int:
    """Return from which position on all of them are there."""
    tail = total
    for position in reversed(positions):
        if position != tail - 1:
            break
        tail = position
    return tail
