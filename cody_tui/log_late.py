"""A log that is opened with its first record: most starts have nothing to say."""

from __future__ import annotations

import logging
from collections.abc import Callable


class LateHandler(logging.Handler):
    """Makes the handler that writes when there is something to be written."""

    def __init__(self, make: Callable[[], logging.Handler]) -> None:
        super().__init__()
        self._make = make
        self._made: logging.Handler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on."""
        if self._made is None:
            self._made = self._make()
        self._made.emit(record)

    def close(self) -> None:
        """Close what was opened."""
        if self._made is not None:
            self._made.close()
        super().close()
