"""Calling the user who looks elsewhere: the terminal's title, its bell, a desktop notification.

``Calls`` knows what this terminal understands, ``Caller`` when to say it. What is said comes from
models and users, and is text: no control character of it gets into a sequence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from cody_tui.signs import PLAIN, Signs
from cody_tui.text import one_line

Way: TypeAlias = Literal["auto", "bell", "desktop", "off"]

BELL: Final = "\a"
KEEP_TITLE: Final = "\x1b[22;2t"
"""Puts the title that the terminal has aside."""
# Not every terminal keeps titles: an empty one is a fresh start there.
RESTORE_TITLE: Final = "\x1b]2;\x1b\\\x1b[23;2t"
MOST: Final = 200
_OSC_9: Final = frozenset({"iTerm.app", "WezTerm", "ghostty", "kitty"})
"""Terminals, by ``TERM_PROGRAM``, that show OSC 9 on the desktop; all of them tell of the focus."""
_OSC_9_TERMS: Final = frozenset({"xterm-kitty", "xterm-ghostty", "wezterm"})
_WITHOUT_TITLE: Final = frozenset({"linux", "dumb", ""})


class Calls:
    """How this terminal is written to."""

    def __init__(self, way: Way, environment: Mapping[str, str]) -> None:
        term = environment.get("TERM", "")
        self._has_title = term not in _WITHOUT_TITLE
        self._is_tmux = "TMUX" in environment
        is_inside = self._is_tmux or "STY" in environment
        names = {environment.get("TERM_PROGRAM"), environment.get("LC_TERMINAL")}
        if "KITTY_WINDOW_ID" in environment:
            names.add("kitty")
        if "iTerm2" in names:
            names.add("iTerm.app")
        self._knows_osc_9 = bool(names & _OSC_9) or term in _OSC_9_TERMS
        shows = way == "desktop" or (way == "auto" and self._knows_osc_9 and not is_inside)
        self._way: Way = way if way == "off" else "desktop" if shows else "bell"
        self.tells_of_focus = self._knows_osc_9 and not is_inside
        """Whether a terminal that has said nothing about the focus is known to have it."""

    def title(self, text: str) -> str:
        """Return what sets the terminal's title."""
        return f"\x1b]2;{one_line(text, MOST)}\x1b\\" if self._has_title else ""

    @property
    def keep_title(self) -> str:
        """What puts the title aside that there is."""
        return KEEP_TITLE if self._has_title else ""

    @property
    def restore_title(self) -> str:
        """What brings it back."""
        return RESTORE_TITLE if self._has_title else ""

    def call(self, text: str) -> str:
        """Return what makes the user look, saying that text where it can be said."""
        if self._way == "off":
            return ""
        if self._way == "bell":
            return BELL
        said = one_line(text, MOST)
        if not self._knows_osc_9 and not self._is_tmux:
            return f"\x1b]777;notify;Cody;{said}\x1b\\"
        # OSC 9 with a number in front means something else: a word stands there.
        notice = f"\x1b]9;Cody: {said}\x1b\\"
        # tmux lets it through only if it is set to, so that the bell rings there, too.
        return f"{_through_tmux(notice)}{BELL}" if self._is_tmux else notice


def _through_tmux(sequence: str) -> str:
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"


class Caller:
    """Keeps the terminal's title, and calls when something happens and nobody looks."""

    def __init__(
        self,
        calls: Calls,
        write: Callable[[str], None],
        *,
        long_run: float,
        marks: Signs = PLAIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            calls: How to say it.
            write: Writes to the terminal.
            long_run: Seconds after which the end of an answer is worth a call.
            marks: What stands before the title for something that has happened.
            clock: Tells the seconds.
        """
        self._calls = calls
        self._write = write
        self._long_run = long_run
        self._question = marks.waiting.strip()
        self._marks = {"complete": marks.done.strip(), "error": marks.failed.strip()}
        self._clock = clock
        self._title = ""
        self._mark = ""
        self._began: float | None = None
        self._has_focus = calls.tells_of_focus

    def begin(self) -> None:
        """Take the title over."""
        self._write(self._calls.keep_title)
        self._show()

    @property
    def restore(self) -> str:
        """What gives the title back."""
        return self._calls.restore_title

    def title_changed(self, title: str) -> None:
        """Show another title."""
        self._title = title
        self._show()

    def focus_changed(self, has_focus: bool) -> None:
        """The terminal tells whether the user looks; what has been seen needs no mark."""
        self._has_focus = has_focus
        if has_focus and self._mark != self._question:
            self._set_mark("")

    def ring(self) -> None:
        """Something waits for the user."""
        self._call(f"It waits for you: {self._title}")

    def tell(self, text: str, seconds: float | None) -> None:
        """Say something that is not about what is on the screen, if it took long or cannot wait."""
        if seconds is None or seconds >= self._long_run:
            self._call(text)

    def state_changed(self, state: str, outcome: str | None) -> None:
        """See whether something happened that the user waits for.

        Args:
            state: What the status line says.
            outcome: The status of the newest run, if there is one.
        """
        if state == "asking":
            self._began = self._began if self._began is not None else self._clock()
            self._set_mark(self._question)
        elif state in _LIVE:
            self._began = self._began if self._began is not None else self._clock()
            self._set_mark("")
        else:
            seconds = self._clock() - self._began if self._began is not None else 0.0
            is_news = self._began is not None and seconds >= self._long_run
            self._began = None
            self._ended(outcome if is_news else None)

    def _ended(self, outcome: str | None) -> None:
        ending = ENDINGS.get(outcome or "")
        self._set_mark(self._marks[outcome or ""] if ending and not self._has_focus else "")
        if ending is not None:
            self._call(f"The answer {ending}: {self._title}")

    def _call(self, what: str) -> None:
        if not self._has_focus:
            self._write(self._calls.call(what))

    def _set_mark(self, mark: str) -> None:
        if mark != self._mark:
            self._mark = mark
            self._show()

    def _show(self) -> None:
        self._write(self._calls.title(f"{self._mark} {self._title}"))


_LIVE: Final = frozenset({"sending", "thinking", "answering", "stopping"})
ENDINGS: Final[Mapping[str, str]] = {"complete": "is complete", "error": "failed"}
"""How answers end that nobody stopped. One that was stopped is no news."""
