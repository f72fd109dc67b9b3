"""What a reader must know of an answer that is complete, but not whole."""

from __future__ import annotations

from typing import Final

NOTES: Final[dict[str, str]] = {
    "length": "the answer was cut off: it reached the most tokens it may have",
    "content_filter": "the provider's content filter stopped the answer",
    "max_iterations": "stopped: the run asked the model as often as max_iterations allows",
}
"""Under the reason why the run ended."""
