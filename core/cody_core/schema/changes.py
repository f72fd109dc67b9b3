"""Changes: what is heard beside the runs, of the list of threads and of saving."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from cody_core.schema.base import Shape

Count: TypeAlias = Annotated[int, Field(ge=0)]


class Changes(Shape):
    """How things stand. Whoever misses one of these misses nothing: the next one says it all."""

    threads: Count = 0
    """A number that grows when others may have changed the list of threads."""
    is_told: bool = False
    """Whether that is told as it happens; otherwise the list is to be read now and then."""
    unsaved: Count = 0
    """How many runs wait to be stored because the store is away."""
