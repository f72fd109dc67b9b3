"""What a server or a worker writes to standard error: one JSON object a line, no secret in any."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

HIDDEN: Final = "[hidden]"
OWN_LOGGERS: Final = ("cody_core", "cody_tui", "uvicorn")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON, with every secret taken out."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__()
        # The longest first: one may be part of another.
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what is no ASCII is escaped, and so are control characters."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(record.getMessage()),
        }
        fields: dict[str, Any] = getattr(record, "fields", {})
        line |= {k: self._clean(v) if isinstance(v, str) else v for k, v in fields.items()}
        if record.exc_info:
            line["traceback"] = self._clean(self.formatException(record.exc_info))
        return json.dumps(line)

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def log_to_stderr(level: str, secrets: Collection[str]) -> None:
    """Let what is logged in this process go to standard error that way.

    Of libraries only warnings do: in detail they tell of prompts, and of addresses with keys.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(secrets))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
