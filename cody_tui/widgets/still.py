"""A widget that is drawn again only when it has changed.

Textual asks every widget directly on the screen for its rows whenever any part of the screen has
changed, thirty times a second while an answer streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from textual.geometry import Region, Size
    from textual.strip import Strip
    from textual.widget import Widget
else:
    Widget = object  # Textual takes styles from the first base only that is a widget


class Still(Widget):
    """Stands before the widget it is mixed into.

    Keeps the rows that were drawn until they are to be refreshed or look different.
    """

    _drawn: tuple[Region, Size, list[Strip]] | None = None

    def refresh(self, *regions: Region, **how: Any) -> Self:
        """Have it drawn again."""
        self._drawn = None
        return super().refresh(*regions, **how)

    def notify_style_update(self) -> None:
        """Have it drawn again in its new styles."""
        self._drawn = None
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw, or hand over what was drawn."""
        size = self.region.size
        if self._drawn is None or self._drawn[:2] != (crop, size):
            self._drawn = (crop, size, super().render_lines(crop))
        return self._drawn[2]
