"""How far the end of a server has come."""

from __future__ import annotations

import asyncio

from cody_core.api.errors import ShuttingDown


class Ending:
    """No new runs, then: an end of all that streams."""

    def __init__(self) -> None:
        self.streams = asyncio.Event()
        """Set when streams are to end."""
        self._refuses = False

    def refuse_runs(self) -> None:
        """Take no new runs from now on."""
        self._refuses = True

    def check(self) -> None:
        """Let a new run through.

        Raises:
            ShuttingDown: it is too late for one.
        """
        if self._refuses:
            msg = "the server is shutting down and takes no new runs: try again in a while"
            raise ShuttingDown(msg)
