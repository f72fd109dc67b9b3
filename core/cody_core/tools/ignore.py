"""Folders without what git ignores, and walking through them.

The rules are git's: the ``.gitignore`` of a folder and of those above it up to the repository's
root, the nearest one first and in it the last line that matches; then ``.git/info/exclude``.
A folder that is ignored is not entered, so nothing in it can be brought back. A folder with a
``.git`` of its own begins anew. As in ripgrep, outside of any repository every ``.gitignore``
counts, and a name that was asked for counts, ignored or not. ``.git`` itself is never shown.

Symbolic links are entries, never ways: no walk leaves the folder it began in, or runs in circles.

Patterns are hostile until proven otherwise, and Python's regular expressions hold the
interpreter while they backtrack. So every ``*`` becomes an atomic group that takes the first
place where what follows fits; as ``*`` cannot cross a ``/``, no later place could do better.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_MOST_BYTES = 256 * 1024
"""What is read of a file of rules; the rest of a longer one is not obeyed."""
_POSIX = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_TOKEN = re.compile(
    r"(?P<stars>\*+)|(?P<any>\?)|(?P<set>\[[!^]?\]?(?:\[:\w*:\]|\\.|[^\]\\])*\])|\\(?P<escaped>.)"
    r"|(?P<plain>[^\\\[])",
    re.DOTALL,
)
_SET_TOKEN = re.compile(
    r"\[:(?P<posix>\w*):\]|(?P<range>(\\.|[^\\])-(\\.|[^\\]))|\\?(?P<one>.)", re.S
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a ``.gitignore``.

    Attributes:
        regex: Matches the name if ``by_name``, else the path below the folder of the rule.
    """

    regex: str
    by_name: bool
    folders_only: bool
    negated: bool

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Return the rule of a line, or ``None`` for a comment or what cannot match anything."""
        if line.startswith("#"):
            return None
        negated = line.startswith("!")
        pattern = _without_trailing_spaces(line[negated:])
        folders_only = pattern.endswith("/")
        pattern = pattern.removesuffix("/")
        by_name = "/" not in pattern
        regex = segment(pattern) if by_name else _path(pattern.removeprefix("/").split("/"))
        if not pattern or regex is None:
            return None
        return cls(regex, by_name, folders_only, negated)


class Rules:
    """The rules of one file. Most entries match none, which one or two expressions find out."""

    def __init__(self, folder: str, lines: Iterable[str]) -> None:
        """Take the lines of a file that speaks of what lies below ``folder``."""
        found = [rule for line in lines if (rule := Rule.parse(line)) is not None]
        self._prefix = len(folder.rstrip("/")) + 1
        self._rules = [(re.compile(rule.regex, re.DOTALL), rule) for rule in reversed(found)]
        self._names = _any(rule.regex for rule in found if rule.by_name)
        self._paths = _any(rule.regex for rule in found if not rule.by_name)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def verdict(self, path: str, name: str, is_folder: bool) -> bool | None:
        """Return whether an entry is ignored (``True``) or brought back; ``None``: not named."""
        below = path[self._prefix :]
        by_name = self._names is not None and self._names(name)
        by_path = self._paths is not None and self._paths(below)
        if not by_name and not by_path:
            return None
        for regex, rule in self._rules:
            if rule.folders_only and not is_folder:
                continue
            if regex.fullmatch(name if rule.by_name else below):
                return not rule.negated
        return None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and the rules that speak of what is in it.

    Attributes:
        path: Where it is; absolute, without symbolic links.
        rules: Those of the ``.gitignore`` files, nearest first.
        excludes: Those of ``.git/info/exclude``.
    """

    path: str
    rules: tuple[Rules, ...] = ()
    excludes: tuple[Rules, ...] = ()

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return a folder with the rules of those above it, up to the repository's root."""
        above = []
        for folder in (path, *path.parents):
            above.append(str(folder))
            if os.path.lexists(folder / ".git"):
                break
        made = cls(above[-1]).ruled()
        for inner in reversed(above[:-1]):
            made = cls(inner, made.rules, made.excludes).ruled()
        return made

    def enter(self, name: str) -> Self:
        """Return a folder in this one."""
        return type(self)(os.path.join(self.path, name), self.rules, self.excludes).ruled()

    def ruled(self) -> Self:
        """Return the folder with what its own ``.gitignore`` says added."""
        if os.path.lexists(os.path.join(self.path, ".git")):
            own = Rules(self.path, _lines(os.path.join(_git_folder(self.path), "info", "exclude")))
            inner = type(self)(self.path, (), (own,) if own else ())
        else:
            inner = self
        rules = Rules(self.path, _lines(os.path.join(self.path, ".gitignore")))
        return type(self)(self.path, (rules, *inner.rules), inner.excludes) if rules else inner

    def entries(self, *, hidden: bool = True) -> list[os.DirEntry[str]]:
        """Return what is in the folder and not ignored, in the order of the names' bytes.

        Args:
            hidden: Whether names that begin with a dot count if no rule brings them back.

        Raises:
            OSError: it cannot be read.
        """
        with os.scandir(self.path) as found:
            kept = [
                entry
                for entry in found
                if self.shows(
                    entry.name, is_folder=entry.is_dir(follow_symlinks=False), hidden=hidden
                )
            ]
        return sorted(kept, key=lambda entry: os.fsencode(entry.name))

    def shows(self, name: str, *, is_folder: bool, hidden: bool = True) -> bool:
        """Tell whether an entry of that name is not ignored."""
        if name == ".git":
            return False
        verdict = None
        if self.rules or self.excludes:
            verdict = self._verdict(f"{self.path.rstrip('/')}/{name}", name, is_folder)
        return not verdict and (hidden or verdict is False or not name.startswith("."))

    def _verdict(self, path: str, name: str, is_folder: bool) -> bool | None:
        for rules in (*self.rules, *self.excludes):
            verdict = rules.verdict(path, name, is_folder)
            if verdict is not None:
                return verdict
        return None


def walk(
    root: Path,
    stop: Callable[[], bool],
    *,
    hidden: bool = True,
    skip: Callable[[str], bool] = lambda _: False,
) -> Iterator[os.DirEntry[str]]:
    """Yield all below a folder that is not a folder itself, each folder's entries in order.

    Folders that cannot be read are passed over, as ripgrep does, and so are those that ``skip``
    tells of. The walk ends early when ``stop`` says so.

    Raises:
        OSError: the first folder cannot be read.
    """
    folder = Folder.at(root)
    # A stack of its own: a tree may be deeper than Python likes to call.
    stack = [(folder, iter(folder.entries(hidden=hidden)))]
    while stack:
        folder, entries = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
        elif not entry.is_dir(follow_symlinks=False):
            yield entry
        elif stop():
            return
        elif not skip(entry.path):
            inner = folder.enter(entry.name)
            try:
                stack.append((inner, iter(inner.entries(hidden=hidden))))
            except OSError:
                continue


def segment(pattern: str) -> str | None:
    """Return the expression for a pattern without ``/``, or ``None`` if it can match nothing."""
    pieces = [""]
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            return None
        position = token.end()
        if token["stars"]:
            pieces.append("")
        else:
            pieces[-1] += _character(token)
    first, *rest = pieces
    if not rest:
        return first
    middle = "".join(f"(?>[^/]*?{piece})" for piece in rest[:-1] if piece)
    return f"{first}{middle}[^/]*{rest[-1]}"


def _character(token: re.Match[str]) -> str:
    if token["any"]:
        return "[^/]"
    if token["set"]:
        return _set(token["set"][1:-1])
    return re.escape(token["escaped"] or token["plain"])


def _set(inside: str) -> str:
    """Return the expression for what stands between brackets."""
    negated = inside[:1] in ("!", "^")
    parts = []
    for token in _SET_TOKEN.finditer(inside, int(negated)):
        if token["posix"] is not None:
            parts.append(_POSIX.get(token["posix"], ""))
        elif token["range"]:
            low, high = token[3][-1], token[4][-1]
            parts.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
        else:
            parts.append(re.escape(token["one"]))
    characters = "".join(parts)
    if negated:
        return f"[^/{characters}]"
    return f"(?!/)[{characters}]" if characters else r"(?!)"


def _path(parts: Sequence[str]) -> str | None:
    """Return the expression for a pattern whose parts stand between ``/``."""
    groups: list[list[str]] = [[]]
    for part in parts:
        if part == "**":
            groups.append([])
            continue
        regex = segment(part)
        if regex is None or not part:
            return None
        groups[-1].append(regex)
    first, *rest = ["/".join(group) for group in groups]
    if not rest:
        return first
    start = f"{first}/" if first else ""
    middle = "".join(f"(?>(?:[^/]+/)*?{group}/)" for group in rest[:-1] if group)
    return f"{start}{middle}(?:[^/]+/)*{rest[-1] or '[^/]+'}"


def _without_trailing_spaces(line: str) -> str:
    kept = line.rstrip(" ")
    escapes = len(kept) - len(kept.rstrip("\\"))
    return kept + " " if escapes % 2 and len(kept) < len(line) else kept


def _any(regexes: Iterable[str]) -> Callable[[str], object] | None:
    joined = "|".join(f"(?:{regex})" for regex in dict.fromkeys(regexes))
    return re.compile(joined, re.DOTALL).fullmatch if joined else None


def _lines(path: str) -> list[str]:
    """Return the lines of a file of rules; one that cannot be read has none."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(path, flags), "rb") as file:
            data = file.read(_MOST_BYTES) or b""
    except OSError:
        return []
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _git_folder(path: str) -> str:
    """Return where git keeps what belongs to a repository; in a worktree ``.git`` only says it."""
    here = os.path.join(path, ".git")
    if os.path.isdir(here):
        return here
    pointer = next(iter(_lines(here)), "")
    there = os.path.join(path, pointer.removeprefix("gitdir:").strip())
    common = next(iter(_lines(os.path.join(there, "commondir"))), "")
    return os.path.join(there, common)
