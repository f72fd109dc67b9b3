"""What tokens cost, where that is known."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cody_core.schema.base import NonEmpty, Omittable, Shape
from cody_core.schema.response import Usage

Dollars = Annotated[float, Field(ge=0, strict=False)]

MILLION = 1_000_000


class Price(Shape):
    """US dollars per million tokens, as published on a day.

    Without a price of their own, tokens that are read from a cache or written to it cost what other
    tokens of a prompt cost.
    """

    prompt: Dollars
    completion: Dollars
    cached: Omittable[Dollars] = None
    cache_write: Omittable[Dollars] = None
    as_of: NonEmpty
    """The day, as ``YYYY-MM-DD``: prices change, and nobody tells us."""


def cost(price: Price, usage: Usage) -> float:
    """Return the dollars that this usage costs at that price."""
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    plain = max(0, usage.prompt_tokens - cached - written)
    read = price.prompt if price.cached is None else price.cached
    write = price.prompt if price.cache_write is None else price.cache_write
    dollars = plain * price.prompt + cached * read + written * write
    return (dollars + usage.completion_tokens * price.completion) / MILLION
