"""What the first run settles, kept in files and read with the other settings again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cody_core.local_servers import LocalServer
    from cody_core.settings import Settings


class KeptFirstRun:
    """The ``FirstRun`` of the command line; ``settings`` are those that count now."""

    def __init__(self, settings: Settings, read: Callable[[], Settings]) -> None:
        self.settings = settings
        self._read = read

    async def servers(self) -> Sequence[LocalServer]:
        """Return the model servers that answer on this machine."""
        from cody_core.local_servers import local_servers

        return await local_servers(self.settings)

    def keep_key(self, provider_id: str, key: str) -> None:
        """Keep a key, from now on."""
        from cody_core.kept import keep_key

        keep_key(self.settings.home, provider_id, key)
        self.settings = self._read()

    def keep_model(self, model: str) -> None:
        """Keep the model to answer with, from now on."""
        from cody_core.kept import keep_model

        keep_model(self.settings.home, model)
        self.settings = self._read()
