"""Full-text search: what is indexed, and how a person's words become an FTS5 expression.

The index is FTS5 with the ``unicode61`` tokenizer, because what people type are words, the last one
perhaps unfinished: a prefix query is exactly that. The ``trigram`` tokenizer would match anywhere
inside a word, but cannot see the words of one or two characters that Chinese and Japanese are made
of. ``unicode61``, in turn, takes a sentence written without spaces for one word. So text in such a
script is spelled out before it is indexed, one character a word, and a query in it is looked up as
a phrase of characters: every substring is found, of whatever length. Korean is spelled out as well:
it has spaces, but glues its particles to the nouns people search for.

Text and query are folded alike (NFKC here, case and diacritics by the tokenizer), so full-width
letters, decomposed accents and half-width kana find their plain forms. Punctuation and symbols
separate words.
"""

from __future__ import annotations

import re
import unicodedata

from cody_core.schema.base import whole
from cody_core.schema.items import Cancelled, ErrorItem, Item, Message

TOKENIZER = "unicode61 remove_diacritics 2"
MAX_TERMS = 200
"""Words, and characters of scripts without spaces, that are looked at; a page of pasted text has
found its message long before."""

_SPELLED_OUT = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b"  # radicals and marks
    "\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # ideographs
    "]"
)
# FTS5 reads its expressions up to the first NUL, and a quote would end the phrase.
_UNQUOTABLE = re.compile('[\0"]')


def indexed(text: str) -> str:
    """Return ``text`` as it is put into the index."""
    return _SPELLED_OUT.sub(r" \g<0> ", unicodedata.normalize("NFKC", text))


def text_of(item: Item) -> str | None:
    """Return what of an item can be searched: a message's text, also of one that was cut short."""
    message = item.partial if isinstance(item, Cancelled | ErrorItem) else item
    return message.content if isinstance(message, Message) else None


def expression(query: str) -> str | None:
    """Return the FTS5 expression for what a person typed; ``None`` if there is no word in it.

    Every word must occur, the last one as a prefix. Each is quoted, so no character is special.
    """
    # A command line hands undecodable bytes over as lone surrogates, which UTF-8 does not have.
    text = unicodedata.normalize("NFKC", whole(query))
    phrases: list[str] = []
    terms = 0
    for word in _UNQUOTABLE.sub(" ", text).split():
        characters = indexed(word).split()
        if any(map(str.isalnum, word)) and terms < MAX_TERMS:
            phrases.append(f'"{" ".join(characters[: MAX_TERMS - terms])}"')
            terms += len(characters)
    return f"{' '.join(phrases)}*" if phrases else None
