"""A dialog that closes once, however often it is told to.

Keys that come together are all sent to it before the first of them has closed it. To close again
would close whatever is below, or end the program where nothing is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete

if TYPE_CHECKING:
    from textual.screen import Screen

    _Screen = Screen[Any]
else:
    _Screen = object  # Textual takes styles from the first base only that is a widget


class ClosesOnce(_Screen):
    """Stands before the screen it is mixed into."""

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Close with a result; not again, and not what is over it instead."""
        return super().dismiss(result) if self.is_active else AwaitComplete()
