"""Keys that a user changes, and how keys are written."""

from __future__ import annotations

import pytest
from textual.binding import Binding
from tui.conftest import MakeApp
from tui.screen import key, prompt_of, rows, state, until

from cody_tui.keys import normal, remap, short, spelled

KNOWN = [
    Binding("ctrl+n", "new", id="chat.new"),
    Binding("ctrl+t", "threads", id="thread.find"),
    Binding("escape", "stop", id="chat.abort"),
    Binding("y", "yes", id="approval.approve"),
    Binding("n", "no", id="approval.deny"),
    Binding("escape", "back", id="approval.back"),
    Binding("ctrl+u", "clear", id="prompt.clear"),
]


@pytest.mark.parametrize(
    "wanted",
    [
        {"chat.new": "ctrl+g"},
        {"chat.new": "f2,alt+n"},
        {"chat.new": "ctrl+t", "thread.find": "ctrl+n"},
        {"approval.approve": "j"},
        {"approval.approve": "ctrl+u"},
    ],
)
def test_keys_that_can_be_are_taken(wanted: dict[str, str]) -> None:
    changed = remap(KNOWN, wanted)
    assert (changed.keys, changed.problems) == (wanted, ())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"chat.nwe": "ctrl+g"}, "did you mean chat.new?"),
        ({"chat.new": "ctrl+nonsense"}, "there is no key 'ctrl+nonsense'"),
        ({"chat.new": ""}, "there is no key ''"),
        ({"chat.new": "x"}, "needed in the prompt"),
        ({"chat.new": "question_mark"}, "needed in the prompt"),
        ({"chat.new": "ctrl+i"}, "the same as for Tab"),
        ({"chat.new": "hyperspace+x"}, "there is no key"),
        ({"chat.new": "ctrl+t"}, "that key is thread.find's"),
        ({"chat.new": "ctrl+u"}, "that key is prompt.clear's"),
        ({"approval.approve": "n"}, "that key is approval.deny's"),
    ],
)
def test_keys_that_cannot_be_are_said_and_left_as_they_were(
    wanted: dict[str, str], said: str
) -> None:
    changed = remap(KNOWN, wanted)
    assert changed.keys == {}
    assert said in changed.problems[0]


def test_of_two_actions_that_want_one_key_one_is_told() -> None:
    changed = remap(KNOWN, {"chat.new": "ctrl+g", "thread.find": "ctrl+g"})
    assert len(changed.problems) == 1
    assert len(changed.keys) == 1


@pytest.mark.parametrize(
    ("keys", "in_words", "in_short"),
    [
        ("ctrl+p", "Ctrl+P", "^P"),
        ("f1", "F1", "F1"),
        ("escape", "Esc", "Esc"),
        ("shift+tab", "Shift+Tab", "Shift+Tab"),
        ("y", "y", "y"),
        ("alt+up,pagedown", "Alt+↑, PgDn", "Alt+↑"),
        ("ctrl+question_mark", "Ctrl+?", "^?"),
    ],
)
def test_a_key_is_written_as_people_call_it(keys: str, in_words: str, in_short: str) -> None:
    assert (spelled(keys), short(keys)) == (in_words, in_short)


def test_keys_are_read_as_people_write_them() -> None:
    assert normal("Ctrl+K, F2") == "ctrl+k,f2"


async def test_a_changed_key_works_and_the_old_one_does_not(make_app: MakeApp) -> None:
    app = make_app(bindings={"policy.next": "f4", "app.palette": "ctrl+g"})
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await until(pilot, lambda: app.focused is prompt_of(pilot))
        key(pilot, "f4")
        status = app._chat.status
        await until(pilot, lambda: status.policy == "auto-edit")
        await until(pilot, lambda: "^G commands" in status.render().plain)


async def test_wrong_keys_are_said_on_the_screen_and_stay(make_app: MakeApp) -> None:
    app = make_app(bindings={"no.such": "ctrl+g", "help.show": "ctrl+n"})
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        text = " ".join(row.strip() for row in rows(pilot))
        assert "there is no action 'no.such'" in text
        assert "help.show cannot be Ctrl+N" in text
