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


def spans(query: str, text: str) -> list[tuple[int, int]]:
    """Return where in a text the words of a query are, or their letters: what made it an answer."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter may have become two
        return []
    found: list[tuple[int, int]] = []
    for word in query.lower().split():
        if (at := _place(word, lowered)) >= 0:
            found.append((at, at + len(word)))
        else:
            found += _letter_places(word, lowered)
    return found


def _place(word: str, text: str) -> int:
    """Return where a word begins another one, or else where it is in one; -1 if it is nowhere."""
    first = at = text.find(word)
    while at > 0 and text[at - 1].isalnum():
        at = text.find(word, at + 1)
    return at if at >= 0 else first


def _letter_places(word: str, text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at = -1
    for letter in word:
        if (at := text.find(letter, at + 1)) < 0:
            return []
        found.append((at, at + 1))
    return found


def _word(word: str, text: str) -> float:
    at = _place(word, text)
    if at < 0:
        return _letters(word, text)
    return 3.0 if at == 0 or not text[at - 1].isalnum() else 2.0


def _letters(word: str, text: str) -> float:
    found = _letter_places(word, text)
    return len(word) / (found[-1][1] - found[0][0]) if found else 0.0
