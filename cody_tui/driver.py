"""What the terminal sends, read: keys by Textual's parser, pastes as a whole, answers not at all.

A paste is text and nothing else. Textual's parser would go through it letter by letter, which takes
seconds for a megabyte, and take what looks like an escape sequence in it for keys. An answer that
nobody waits for any more, as it comes over a slow line, would be typed into the prompt. And a
terminal may send bytes that are no UTF-8, which would end the program.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Iterable, Iterator
from typing import Any, Final

from cody_core.glance import environment
from textual import constants, events
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

READ_BYTES: Final = 65_536
TICK: Final = 0.1
"""Seconds after which it is looked whether an escape was a key."""
_ANSWER: Final = re.compile(
    r"\x1b\][0-9][^\x07\x1b]*(?:\x07|\x1b\\)"  # a colour, what is on the clipboard
    r"|\x1b[P_^][^\x1b]*\x1b\\"  # a name, a setting
    r"|\x1b\[[?>=][0-9;]*[cu]"  # what kind of terminal it is
)
_BEGUN: Final = re.compile(
    r"\x1b(?:\[[?>=]?[0-9;]*|\](?:[0-9][^\x07\x1b]*\x1b?)?|[P_^][^\x1b]*\x1b?)?\Z"
)
"""The end of what was read that may be the beginning of a paste or an answer."""
_XTERM_KEY: Final = re.compile(r"\x1b\[27;([0-9]+);([0-9]+)~")
"""A key with its modifiers as xterm and tmux write it; Textual knows how kitty does."""
_LONGEST: Final = 4_096
"""Characters of an answer; what is longer is none."""


class Paste(str):
    """A text that was pasted."""

    __slots__ = ()


class Incoming:
    """Cuts what a terminal sends, however it was read, into keys and pastes."""

    def __init__(self) -> None:
        self.held = ""
        """What cannot be told yet: it may go on."""
        self._pasted: list[str] | None = None
        self._end = ""
        """The last characters of a paste so far, where its end may have begun."""

    def cut(self, text: str) -> Iterator[str | Paste]:
        """Yield what is complete, in order; whatever is no ``Paste`` is keys."""
        text, self.held = self.held + text, ""
        while text:
            if self._pasted is None:
                keys, text = self._keys(text)
                if keys:
                    yield keys
            else:
                paste, text = self._paste(self._pasted, text)
                if paste is not None:
                    yield paste

    def _keys(self, text: str) -> tuple[str, str]:
        """Return the keys before a paste, answers left out, and what comes after its beginning."""
        keys, begins, rest = text.partition(BRACKETED_PASTE_START)
        keys = _ANSWER.sub("", keys)
        if begins:
            self._pasted, self._end = [], ""
        elif (begun := _BEGUN.search(keys)) and len(begun[0]) < _LONGEST:
            keys, self.held = keys[: begun.start()], begun[0]
        return _XTERM_KEY.sub("\x1b[\\2;\\1u", keys), rest

    def _paste(self, pasted: list[str], text: str) -> tuple[Paste | None, str]:
        """Return the paste, if it has come to its end, and what comes after that."""
        text = self._end + text
        more, ends, rest = text.partition(BRACKETED_PASTE_END)
        if ends:
            self._pasted = None
            return Paste("".join([*pasted, more])), rest
        kept = len(BRACKETED_PASTE_END) - 1
        pasted.append(more[:-kept])
        self._end = more[-kept:]
        return None, ""


class TerminalParser(XTermParser):
    """Textual's parser, shown nothing but keys."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._incoming = Incoming()
        self._held_since = 0.0

    @property
    def waits(self) -> bool:
        """Whether it cannot tell yet what the last that was read is."""
        return bool(self._incoming.held) or self._timeout_time is not None

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the keys and pastes in what was read."""
        for piece in self._incoming.cut(data):
            if isinstance(piece, Paste):
                yield events.Paste(piece.replace("\x00", ""))
            else:
                yield from map(_untyped, super().feed(piece))
        self._held_since = time.monotonic()

    def tick(self) -> Iterable[Message]:
        """Yield what has turned out to be a key, since nothing has followed it."""
        held = self._incoming.held
        if held and time.monotonic() - self._held_since >= constants.ESCAPE_DELAY:
            self._incoming.held = ""
            yield from map(_untyped, super().feed(held))
            self._timeout_time = 0.0  # that long has been waited already
        yield from map(_untyped, super().tick())


def _untyped(message: Message) -> Message:
    """Let a key with Alt be no letter: where terminals say both, a field would write it."""
    if isinstance(message, events.Key) and message.key.startswith("alt+"):
        return events.Key(message.key, None)
    return message


class TerminalDriver(LinuxDriver):
    """Textual's driver, with its own way to read.

    Where the terminal may be one that tells Shift+Enter from Enter only when it is asked to, and
    in another way than Textual's, it is asked in that way, too.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._woken, self._wake = (
            os.pipe()
        )  # for good: Textual closes a driver to lend the terminal
        self._has_terminal = False

    def start_application_mode(self) -> None:
        """Take the terminal, anew if this is where it is already."""
        if self._has_terminal:
            self.suspend_application_mode()
            self._must_signal_resume = True  # so that all is painted again
        super().start_application_mode()  # type: ignore[no-untyped-call]  # as Textual has it
        self._has_terminal = True
        if self._is_asked:
            self.write("\x1b[>4;1m")

    def stop_application_mode(self) -> None:
        """Give it back, if this has it."""
        if self._has_terminal:
            if self._is_asked:
                self.write("\x1b[>4m")
            super().stop_application_mode()
            self._has_terminal = False

    def write(self, data: str) -> None:
        """Write an escape sequence or what is to be seen, unless somebody else has the terminal."""
        if self._writer_thread is not None and self._writer_thread.is_alive():
            self._writer_thread.write(data)

    # A signal may come in the middle of anything. It also comes to a program that was never
    # suspended, as when its terminal hangs up: two threads would read one terminal then.

    def _sigtstp_application(self, *_: object) -> None:
        if self._has_terminal:
            self._loop.call_soon_threadsafe(super()._sigtstp_application)
        else:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _sigcont_application(self, *_: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._continue)

    def _continue(self) -> None:
        is_running = self._has_terminal or self._must_signal_resume
        if is_running and os.isatty(self.fileno):
            super()._sigcont_application()

    @property
    def _is_asked(self) -> bool:
        variables = environment()
        return "TMUX" in variables or "XTERM_VERSION" in variables

    def disable_input(self) -> None:
        """End the reading."""
        os.write(self._wake, b"!")
        super().disable_input()
        os.read(self._woken, 1)

    def run_input_thread(self) -> None:
        """Read until it is to end, or the terminal has gone away."""
        parser, decoder = TerminalParser(self._debug), getincrementaldecoder("utf-8")("replace")
        while not self.exit_event.is_set():
            tick = TICK if parser.waits else None
            ready, _, _ = select.select([self.fileno, self._woken], [], [], tick)
            if self.fileno in ready and not self._read(parser, decoder):
                self.exit_event.wait()
            for message in parser.tick():
                self.process_message(message)

    def _read(self, parser: TerminalParser, decoder: IncrementalDecoder) -> bool:
        """Read once; tell whether there is anything to be read from."""
        try:
            data = os.read(self.fileno, READ_BYTES)
        except OSError:  # hung up
            return False
        for message in parser.feed(decoder.decode(data)):
            self.process_message(message)
        return bool(data)
