"""The list of a dialog."""

from __future__ import annotations

from textual.widgets import OptionList


class Options(OptionList, inherit_bindings=False):
    """A list that keys may reach before it is laid out: Textual has counted no lines then."""

    def action_page_up(self) -> None:
        """Move up by what is seen of it."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]  # as Textual has it

    def action_page_down(self) -> None:
        """Move down by what is seen of it."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]  # as Textual has it
