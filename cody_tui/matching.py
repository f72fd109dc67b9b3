"""Finding things by typing a part of their names, in time that grows with their length only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def score(query: str, text: str) -> float:
    """Return how well a text answers a query; 0 if it does not.

    Every word of the query must be in it: best as the beginning of a word, then anywhere, last as
    letters that follow one another with others between.
    """
    text = text.lower()
    total = 0.0
    for word in query.lower().split():
        points = _word(word, text)
        if not points:
            return 0.0
        total += points
    return total or 1.0


def best(query: str, things: Iterable[T], text: Callable[[T], str]) -> Sequence[T]:
    """Return the things that answer a query, the best first; equal ones keep their order."""
    if not query.strip():
        return list(things)
    scored = [(score(query, text(thing)), thing) for thing in things]
    found = [(points, thing) for points, thing in scored if points]
    return [thing for _, thing in sorted(found, key=lambda pair: -pair[0])]


def _word(word: str, text: str) -> float:
    at = text.find(word)
    if at < 0:
        return _letters(word, text)
    while at >= 0:
        if at == 0 or not text[at - 1].isalnum():
            return 3.0
        at = text.find(word, at + 1)
    return 2.0


def _letters(word: str, text: str) -> float:
    first = at = text.find(word[0])
    for letter in word[1:]:
        if at < 0:
            return 0.0
        at = text.find(letter, at + 1)
    if at < 0:
        return 0.0
    return len(word) / (at - first + 1)
