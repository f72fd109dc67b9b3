"""What a client tells beside the conversation: its models, what counts there, what is unsaved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from cody_core.errors import CodyError
from textual.worker import WorkType

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.models import CoreInfo, ModelInfo
    from textual.screen import Screen

    from cody_tui.widgets.status import Status

GROUP: Final = "hearing"
"""The workers that listen, on the screen."""


class Hearing:
    """Asks a client once, then listens to it."""

    def __init__(self, screen: Screen[Any], status: Status, changed: Callable[[], None]) -> None:
        """Prepare.

        Args:
            screen: Whose workers listen.
            status: The line that says what is unsaved.
            changed: Called when something else is known.
        """
        self.models: Sequence[ModelInfo] = ()
        self.info: CoreInfo | None = None
        self._screen = screen
        self._status = status
        self._changed = changed

    def listen(self, client: Client) -> None:
        """Begin, with another client anew."""
        self._screen.workers.cancel_group(self._screen, GROUP)
        works: tuple[WorkType[None], ...] = (
            partial(self._ask_info, client),
            partial(self._ask_models, client),
            partial(self._hear, client),
        )
        for work in works:
            self._screen.run_worker(work, group=GROUP)

    # What is wrong with the settings is said by the first prompt.

    async def _ask_info(self, client: Client) -> None:
        with contextlib.suppress(CodyError):
            self.info = await client.info()
            self._changed()

    async def _ask_models(self, client: Client) -> None:
        with contextlib.suppress(CodyError):
            self.models = (await client.models()).models
            self._changed()

    async def _hear(self, client: Client) -> None:
        with contextlib.suppress(CodyError):
            async with contextlib.aclosing(client.changes()) as changes:
                async for now in changes:
                    self._status.unsaved = now.unsaved
