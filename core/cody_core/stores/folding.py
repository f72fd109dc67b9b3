"""Folding: text and queries as plain words, for a store that searches by words between spaces.

What counts as the same is what SQLite's index takes for the same (``search.py``): case, accents and
widths make no difference, punctuation separates words, and of scripts without spaces each character
is a word. Long words are cut, because indexes leave them out; a text and a query are cut alike, so
a phrase of the pieces finds the word.
"""

from __future__ import annotations

import re
import unicodedata

from cody_core.stores.search import MAX_TERMS, indexed

LONGEST_WORD = 32
"""Bytes of a word that an index takes."""
LOOKED_UP = 16
"""Words by which candidates are looked up."""

_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")


def fold(text: str) -> str:
    """Return the words of a text between single spaces; ``""`` if there are none."""
    # A line at a time: what normalises a megabyte at once lets nobody else run meanwhile.
    lines = (_words(line) for line in text.splitlines())
    return " ".join(word for words in lines for word in words)


def phrases(query: str) -> list[str]:
    """Return the phrases that must all occur, folded, the last perhaps unfinished.

    Without a word in the query there are none.
    """
    # A command line hands undecodable bytes over as lone surrogates, which UTF-8 does not have.
    found: list[list[str]] = []
    terms = 0
    for typed in query.encode(errors="replace").decode().split():
        words = _words(typed)[: MAX_TERMS - terms]
        if words:
            found.append(words)
            terms += len(words)
    texts = [" ".join(words) for words in found]
    return [*dict.fromkeys(texts[:-1]), texts[-1]] if texts else []


def looked_up(phrases: list[str]) -> str:
    """Return the words that candidates are looked up by: the longest, and last the unfinished."""
    *whole, unfinished = [word for phrase in phrases for word in phrase.split()]
    longest = sorted(set(whole), key=len, reverse=True)[: LOOKED_UP - 1]
    return " ".join([*longest, unfinished])


def _words(text: str) -> list[str]:
    if text.isascii():
        words, most = _WORD.findall(text.lower()), LONGEST_WORD
    else:
        plain = _ACCENTS.sub("", unicodedata.normalize("NFD", indexed(text).casefold()))
        # No character has more than four bytes.
        words, most = _WORD.findall(unicodedata.normalize("NFC", plain)), LONGEST_WORD // 4
    if all(len(word) <= most for word in words):
        return words
    return [piece for word in words for piece in _cut(word)]


def _cut(word: str) -> list[str]:
    if len(word.encode()) <= LONGEST_WORD:
        return [word]
    pieces, piece, size = list[str](), "", 0
    for character in word:
        width = len(character.encode())
        if size + width > LONGEST_WORD:
            pieces.append(piece)
            piece, size = "", 0
        piece, size = piece + character, size + width
    return [*pieces, piece]
