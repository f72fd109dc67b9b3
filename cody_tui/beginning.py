"""What an app begins with once the settings have been read: after its first frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cody_core.settings import Settings

    from cody_tui.dialogs.first_run import FirstRun


class Beginning(NamedTuple):
    """The settings, and what follows from them."""

    settings: Settings
    notice: str | None = None
    """Something to say before anything else, or after a first run that set up nothing."""
    first_run: FirstRun | None = None
    """What can be set up before the client is opened, if the user is to be asked."""
