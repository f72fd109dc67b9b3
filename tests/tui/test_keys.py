"""Keys that a user changes, and how keys are written."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from textual import events
from textual.binding import Binding
from textual.dom import DOMNode
from textual.widgets import OptionList
from tui.conftest import MakeApp
from tui.screen import answered, key, prompt_of, rows, send, shown, state, transcript_of, until

import cody_tui
from cody_tui.app import CodyApp
from cody_tui.dialogs.picking import Picker
from cody_tui.dialogs.threads import AskLine
from cody_tui.features.keyboard import places
from cody_tui.features.listing import ACTIONS
from cody_tui.keys import short, spelled
from cody_tui.remapping import Place, normal, remap

TEXTUALS = ("app.focus_next", "app.focus_previous", "screen.copy_text", "quit", "help_quit")
"""What Textual does itself, whatever has the focus: Tab, and copying what the mouse selected."""

KNOWN = (
    Place(
        "everywhere",
        [
            Binding("ctrl+n", "new", id="chat.new"),
            Binding("ctrl+t", "threads", id="thread.find"),
            Binding("escape", "stop", id="chat.abort"),
            Binding("ctrl+x e", "edit", id="prompt.editor"),
            Binding("thread.tag", "tag", id="thread.tag"),
        ],
        has_chords=True,
    ),
    Place(
        "asked",
        [
            Binding("y", "yes", id="approval.approve"),
            Binding("n", "no", id="approval.deny"),
            Binding("escape", "back", id="approval.back"),
        ],
        ("everywhere",),
        writes=False,
    ),
    Place("prompt", [Binding("ctrl+u", "clear", id="prompt.clear")], ("everywhere",)),
    Place("list", [Binding("ctrl+home", "first", id="list.first")]),
)


@pytest.mark.parametrize(
    "wanted",
    [
        {"chat.new": "ctrl+g"},
        {"chat.new": "f2,alt+n"},
        {"chat.new": "ctrl+t", "thread.find": "ctrl+n"},
        {"approval.approve": "j"},
        {"approval.approve": "ctrl+u"},
        {"approval.back": "escape,ctrl+g"},
        {"list.first": "ctrl+n"},
        {"thread.tag": "ctrl+x t"},
        {"thread.tag": "ctrl+x e", "prompt.editor": "ctrl+e"},
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
        ({"chat.new": "x e"}, "needed in the prompt"),
        ({"chat.new": "ctrl+x ctrl+nonsense"}, "there is no key 'ctrl+nonsense'"),
        ({"chat.new": "ctrl+x a b"}, "a chord is two keys"),
        ({"approval.deny": "ctrl+x n"}, "a chord is two keys"),
        ({"chat.new": "ctrl+i"}, "the same as for Tab"),
        ({"chat.new": "hyperspace+x"}, "there is no key"),
        ({"chat.new": "ctrl+t"}, "that key is thread.find's"),
        ({"chat.new": "ctrl+x e"}, "that key is prompt.editor's"),
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


def test_textual_is_not_told_of_chords() -> None:
    changed = remap(KNOWN, {"prompt.editor": "ctrl+x v", "chat.new": "ctrl+x n,f2"})
    assert changed.for_textual == {"prompt.editor": "prompt.editor", "chat.new": "f2"}


def test_every_key_has_a_name_of_its_own_and_a_title() -> None:
    known = places(CodyApp.BINDINGS, ACTIONS)
    bindings = [binding for place in known for binding in place.bindings]
    names = {binding.id for binding in bindings}
    assert len(names) == len(bindings) - 1  # quitting is also an action
    assert all(binding.tooltip or binding.description for binding in bindings)
    assert len({place.title for place in known}) == len(known)


def test_no_widget_or_screen_has_a_key_that_cannot_be_changed() -> None:
    for module in pkgutil.walk_packages(cody_tui.__path__, "cody_tui."):
        importlib.import_module(module.name)
    known = {b.id for place in places(CodyApp.BINDINGS, ACTIONS) for b in place.bindings}
    unknown = {
        (kind.__name__, binding.key)
        for kind in _ours(DOMNode)
        for _, binding in kind._merge_bindings()
        if binding.id not in known and binding.action not in TEXTUALS
    }
    assert unknown == set()


def _ours(base: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith("cody_tui"):
            yield kind
        yield from _ours(kind)


def test_no_two_keys_of_a_place_are_the_same() -> None:
    for place in places(CodyApp.BINDINGS, ACTIONS):
        if place.title == "The prompt":  # which does what it can of what a key means
            continue
        keys = [key for binding in place.bindings for key in normal(binding.key).split(",")]
        assert sorted(set(keys)) == sorted(keys), place.title


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
        ("ctrl+x ctrl+e,ctrl+x e", "Ctrl+X Ctrl+E, Ctrl+X e", "Ctrl+X Ctrl+E"),
    ],
)
def test_a_key_is_written_as_people_call_it(keys: str, in_words: str, in_short: str) -> None:
    assert (spelled(keys), short(keys)) == (in_words, in_short)


def test_keys_are_read_as_people_write_them() -> None:
    assert normal("Ctrl+K, F2") == "ctrl+k,f2"


async def test_a_changed_key_works_and_the_old_one_does_not(make_app: MakeApp) -> None:
    app = make_app(bindings={"policy.next": "f4", "app.palette": "f5"})
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await until(pilot, lambda: app.focused is prompt_of(pilot))
        key(pilot, "f4")
        status = app._chat.status
        await until(pilot, lambda: status.policy == "auto-edit")
        await until(pilot, lambda: "F5 commands" in status.render().plain)


async def test_wrong_keys_are_said_on_the_screen_and_stay(make_app: MakeApp) -> None:
    app = make_app(bindings={"no.such": "ctrl+g", "help.show": "ctrl+n"})
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        text = " ".join(row.strip() for row in rows(pilot))
        assert "there is no action 'no.such'" in text
        assert "help.show cannot be Ctrl+N" in text


async def test_keys_of_the_prompt_can_be_changed(make_app: MakeApp) -> None:
    keys = {
        "prompt.send": "ctrl+s", "prompt.newline": "enter", "prompt.older": "alt+p",
        "thread.rename": "ctrl+x r", "chat.new": "f9",
    }  # fmt: skip
    app = make_app("demo/echo", bindings=keys)
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await until(pilot, lambda: app.focused is prompt_of(pilot))
        key(pilot, "a", "enter", "b", "ctrl+s")
        await answered(pilot, "  a b")
        assert "^S send" in app._chat.status.render().plain
        key(pilot, "alt+p")
        await until(pilot, lambda: prompt_of(pilot).text == "a\nb")
        key(pilot, "ctrl+x", "r")
        await until(pilot, lambda: isinstance(app.screen, AskLine))


async def test_keys_of_the_copy_mode_can_be_changed_and_it_says_so(make_app: MakeApp) -> None:
    app = make_app("demo/echo", bindings={"copying.select": "x", "copying.leave": "ctrl+s"})
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await send(pilot, "hello")
        await until(pilot, lambda: state(pilot) == "ready" and "  hello" in shown(pilot))
        key(pilot, "ctrl+y")
        await until(pilot, lambda: "x select" in shown(pilot) and "^S leave" in shown(pilot))
        key(pilot, "x")
        await until(pilot, lambda: "x give up" in shown(pilot))
        key(pilot, "ctrl+s")
        await until(pilot, lambda: not transcript_of(pilot).is_copying)


async def test_keys_of_lists_can_be_changed(make_app: MakeApp) -> None:
    app = make_app("demo/echo", bindings={"list.down": "ctrl+j", "list.leave": "ctrl+g"})
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await until(pilot, lambda: app.focused is prompt_of(pilot))
        key(pilot, "ctrl+p")
        await until(pilot, lambda: bool(app.screen.query(OptionList)))
        picker = app.screen
        assert isinstance(picker, Picker)
        await until(pilot, lambda: picker.highlighted == "prompt.history")
        key(pilot, "down", "ctrl+j")
        await until(pilot, lambda: picker.highlighted == "prompt.editor")
        key(pilot, "ctrl+g")
        await until(pilot, lambda: app.screen is app._chat)


async def test_a_key_that_comes_when_the_app_has_ended_does_not_break_it(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
    assert not app.screen_stack
    for is_forwarded in (False, True):
        event = events.Key("ctrl+g", None)
        if is_forwarded:
            event._set_forwarded()
        await app.on_event(event)
