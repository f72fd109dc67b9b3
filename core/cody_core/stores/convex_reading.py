"""Reading runs from Convex: page by page, and anew where they changed in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cody_core.errors import StoreCorrupt, StoreUnavailable
from cody_core.schema.response import Response
from cody_core.stores.convex_api import ConvexApi
from cody_core.stores.convex_rows import Fields, Reading

AGAIN: Final = 10
"""How often a run is read anew that changes while it is read."""


@contextmanager
def readable(what: str, api: ConvexApi) -> Iterator[None]:
    """Raise ``StoreCorrupt`` for a stored value that is not what it should be."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{what} in the Convex deployment {api.url!r} cannot be read by this version"
        raise StoreCorrupt(msg) from error


class RunReader:
    """Reads runs."""

    def __init__(self, api: ConvexApi) -> None:
        self._api = api

    async def get(self, run_id: str) -> Response | None:
        """Return a run as last saved.

        Raises:
            StoreUnavailable: it cannot be read now.
            StoreCorrupt: what is stored is no run.
        """
        for _ in range(AGAIN):
            reading: Reading | None = None
            after: Fields | None = None
            while True:
                page = await self._api.query("runs:get", runId=run_id, after=after)
                if page is None:
                    return None
                if reading is None:
                    reading = Reading(page)
                elif not reading.take(page):
                    break
                if (after := page["next"]) is None:
                    if await self._complete(reading):
                        return self._response(reading)
                    break
        msg = f"run {run_id!r} changes faster than it can be read: try again"
        raise StoreUnavailable(msg)

    async def list(self, thread_id: str) -> list[Response]:
        """Return the runs of a thread in the order they were created.

        Raises:
            StoreUnavailable: it cannot be read now.
            StoreCorrupt: what is stored is no run.
        """
        readings: dict[str, Reading] = {}
        torn: set[str] = set()
        place: Fields | None = {}
        while place is not None:
            found = await self._api.query("runs:list", threadId=thread_id, **place)
            for page in found["runs"]:
                known = readings.get(page["runId"])
                if known is None:
                    readings[page["runId"]] = Reading(page)
                elif not known.take(page):
                    torn.add(known.run_id)
            place = found["next"]
        runs: list[Response] = []
        for run_id, reading in readings.items():
            await asyncio.sleep(0)  # a long list is not put together in one go
            if run_id not in torn and await self._complete(reading):
                runs.append(self._response(reading))
            elif (run := await self.get(run_id)) is not None:
                runs.append(run)
        return runs

    async def _complete(self, reading: Reading) -> bool:
        """Fetch what is in chunks; tell whether all of it is still there."""
        for body, parts in reading.bodies.items():
            pieces: list[str] = []
            while len(pieces) < parts:
                place = {"from": len(pieces), "until": parts}
                more = await self._api.query("runs:body", body=body, **place)
                if not more:
                    return False
                pieces += more
            reading.complete(body, "".join(pieces))
        return True

    def _response(self, reading: Reading) -> Response:
        with readable(f"run {reading.run_id!r}", self._api):
            return Response.model_validate_json(reading.json())
