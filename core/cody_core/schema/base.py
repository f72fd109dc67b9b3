"""What every shape on the wire has in common.

Unknown fields are ignored when read, so that a newer writer does not break an older reader, and are
never written. Types are strict: a number is not a string. An optional field that is ``None`` is
left out, unless the schema says that it is always present.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

T = TypeVar("T")


def _is_none(value: object) -> bool:
    return value is None


Omittable = Annotated[T | None, Field(exclude_if=_is_none)]
"""An optional field that is left off the wire when it is ``None``."""

Uuid = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
]
"""A UUID in canonical text form."""

NonEmpty = Annotated[str, StringConstraints(min_length=1)]
Milliseconds = Annotated[int, Field(ge=0)]
"""Milliseconds since the epoch, or a duration in milliseconds."""

JsonObject = dict[str, Any]


def whole(text: T) -> T | str:
    """Return text without halves of surrogate pairs, which no encoding can write; else the same.

    Python makes them of bytes that are no UTF-8, as in names of files.
    """
    if not isinstance(text, str) or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


Whole = BeforeValidator(whole)
"""For text that comes from a keyboard or a clipboard."""


class Shape(BaseModel):
    """Base of everything on the wire: strict, immutable, unknown fields ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
