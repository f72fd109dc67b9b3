"""What the terminal is told, and when."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cody_tui.notify import BELL, Caller, Calls, Way

ITERM = {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}
PLAIN = {"TERM": "xterm-256color"}
TMUX = {"TERM": "tmux-256color", "TERM_PROGRAM": "tmux", "TMUX": "/tmp/x", "LC_TERMINAL": "iTerm2"}
OSC_9 = "\x1b]9;Cody: done\x1b\\"


@pytest.mark.parametrize(
    ("way", "environment", "expected"),
    [
        ("auto", ITERM, OSC_9),
        ("auto", {"TERM": "xterm-kitty"}, OSC_9),
        ("auto", {"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, OSC_9),
        ("auto", PLAIN, BELL),
        ("auto", TMUX, BELL),
        ("auto", {**ITERM, "STY": "1.pts"}, BELL),
        ("bell", ITERM, BELL),
        ("desktop", PLAIN, "\x1b]777;notify;Cody;done\x1b\\"),
        ("desktop", TMUX, "\x1bPtmux;\x1b\x1b]9;Cody: done\x1b\x1b\\\x1b\\\a"),
        ("off", ITERM, ""),
    ],
)
def test_each_terminal_is_called_in_its_way(
    way: Way, environment: Mapping[str, str], expected: str
) -> None:
    assert Calls(way, environment).call("done") == expected


def test_no_control_character_gets_into_a_title_or_a_notification() -> None:
    calls = Calls("auto", ITERM)
    hostile = "a\x07\x1b]0;owned\x07\x9c\nb"
    for sequence in (calls.title(hostile), calls.call(hostile)):
        inside = sequence.removeprefix("\x1b]").removesuffix("\x1b\\")
        assert inside.isprintable()
        assert "␛]0;owned" in inside


@pytest.mark.parametrize("term", ["linux", "dumb"])
def test_a_terminal_without_a_title_is_left_alone(term: str) -> None:
    calls = Calls("auto", {"TERM": term})
    assert (calls.title("x"), calls.keep_title, calls.restore_title) == ("", "", "")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def caller(
    environment: Mapping[str, str] = PLAIN, clock: Clock | None = None
) -> tuple[Caller, list[str]]:
    written: list[str] = []
    calls = Calls("auto", environment)
    caller = Caller(calls, written.append, long_run=30, clock=clock or Clock())
    caller.title_changed("Thread · Cody")
    written.clear()
    return caller, written


def title(text: str) -> str:
    return Calls("auto", PLAIN).title(text)


def test_a_question_calls_and_marks_the_title_until_it_is_answered() -> None:
    calling, written = caller()
    calling.state_changed("thinking", "in_progress")
    calling.state_changed("asking", "in_progress")
    calling.ring()
    assert written == [title("? Thread · Cody"), BELL]
    calling.state_changed("thinking", "in_progress")
    assert written[2:] == [title("Thread · Cody")]


def test_a_long_run_calls_at_its_end_and_a_short_one_does_not() -> None:
    clock = Clock()
    calling, written = caller(clock=clock)
    calling.state_changed("thinking", "in_progress")
    clock.now += 29
    calling.state_changed("ready", "complete")
    assert written == []
    calling.state_changed("thinking", "in_progress")
    calling.state_changed("answering", "in_progress")
    clock.now += 30
    calling.state_changed("ready", "complete")
    assert written == [title("✓ Thread · Cody"), BELL]


@pytest.mark.parametrize("outcome", ["aborted", None])
def test_a_run_that_was_stopped_or_left_is_no_news(outcome: str | None) -> None:
    clock = Clock()
    calling, written = caller(clock=clock)
    calling.state_changed("answering", "in_progress")
    clock.now += 300
    calling.state_changed("ready", outcome)
    assert written == []


def test_who_looks_is_not_called_and_a_look_takes_the_mark_away() -> None:
    clock = Clock()
    calling, written = caller(clock=clock)
    calling.focus_changed(True)
    calling.state_changed("asking", "in_progress")
    calling.ring()
    assert written == [title("? Thread · Cody")]
    written.clear()
    calling.focus_changed(False)
    clock.now += 60
    calling.state_changed("ready", "error")
    assert written == [title("✗ Thread · Cody"), BELL]
    calling.focus_changed(True)
    assert written[2:] == [title("Thread · Cody")]


def test_a_terminal_that_tells_of_the_focus_has_it_until_it_says_otherwise() -> None:
    calling, written = caller(ITERM)
    calling.ring()
    assert written == []
    calling.focus_changed(False)
    calling.ring()
    assert written == ["\x1b]9;Cody: It waits for you: Thread · Cody\x1b\\"]
