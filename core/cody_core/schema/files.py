"""Files of the workspace that go along with a prompt."""

from __future__ import annotations

from cody_core.schema.base import NonEmpty, Shape


class Attachment(Shape):
    """The text of a file, or as much of its beginning as is attached."""

    path: NonEmpty
    """Where it lies in the workspace."""
    content: str
    size: int
    """Of the whole file, in bytes."""
    is_cut: bool = False
    """Whether there is more of it than ``content``."""
