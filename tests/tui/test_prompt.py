from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from cody_tui.actions import Action
from cody_tui.features.writing import Writing
from cody_tui.widgets.completion import Suggestions
from cody_tui.widgets.prompt import Prompt

FILES = ["src/app.py", "src/with space.py", "README.md"]


class PromptApp(App[None]):
    """A prompt and a list of what it sent."""

    def __init__(self, commands: Sequence[Action] = ()) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.mentions: list[Sequence[str]] = []
        self.commanded: list[tuple[str, str]] = []
        self.recalled = 0
        self._commands = commands

    def compose(self) -> ComposeResult:
        prompt = Prompt()
        prompt.commands = self._commands
        prompt.find_files = self.find_files
        prompt.styles.height = "auto"
        prompt.styles.max_height = 5
        above = Static()
        above.styles.height = "1fr"
        yield above
        yield prompt

    async def find_files(self, query: str, limit: int) -> Sequence[str]:
        return [path for path in FILES if query.lower() in path.lower()][:limit]

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        self.sent.append(event.text)
        self.mentions.append(event.mentions)

    def on_prompt_commanded(self, event: Prompt.Commanded) -> None:
        self.commanded.append((event.action_id, event.argument))

    def on_prompt_recalled(self) -> None:
        self.recalled += 1


def prompt_of(pilot: Pilot[None]) -> Prompt:
    return pilot.app.query_one(Prompt)


def offered(pilot: Pilot[None]) -> list[str]:
    lists = pilot.app.query(Suggestions)
    return [row.text for one in lists if one.is_open for row in one.rows]


async def write(pilot: Pilot[None], text: str) -> None:
    prompt_of(pilot).insert(text)
    await pilot.pause()


async def paste(pilot: Pilot[None], text: str) -> None:
    prompt_of(pilot).post_message(events.Paste(text))
    await pilot.pause()


COMMANDS = (
    Action("chat.new", "Begin a new thread", "Chat", slash="new"),
    Action("queue.drop", "Drop what waits", "Chat", slash="drop"),
    Action("thread.rename", "Rename the thread", "Chat", slash="rename", argument="TITLE"),
)


async def test_enter_sends_and_empties_the_field() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await pilot.press("h", "i", "enter", "enter")
        assert app.sent == ["hi"]
        assert prompt_of(pilot).text == ""


@pytest.mark.parametrize("keys", [["shift+enter"], ["ctrl+j"], ["backslash", "enter"]])
async def test_a_new_line_can_be_begun_on_every_terminal(keys: list[str]) -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await pilot.press("a", *keys, "b", "enter")
        assert app.sent == ["a\nb"]


async def test_up_and_down_go_through_what_was_sent_and_back_to_the_draft() -> None:
    async with PromptApp().run_test() as pilot:
        prompt = prompt_of(pilot)
        await pilot.press("1", "enter", "2", "enter", "d", "up")
        assert prompt.text == "2"
        await pilot.press("up", "up")
        assert prompt.text == "1"
        await pilot.press("down", "down")
        assert prompt.text == "d"


async def test_up_moves_the_cursor_while_there_is_a_line_above() -> None:
    async with PromptApp().run_test() as pilot:
        prompt = prompt_of(pilot)
        await pilot.press("o", "enter", "a", "ctrl+j", "b", "up")
        assert prompt.text == "a\nb"
        assert prompt.cursor_location[0] == 0
        await pilot.press("up")
        assert prompt.text == "o"


async def test_pasted_control_characters_are_made_visible() -> None:
    async with PromptApp().run_test() as pilot:
        await paste(pilot, "a\x1b[31m\r\nb\rc")
        assert prompt_of(pilot).text == "a␛[31m\nb\nc"


async def test_a_cleared_prompt_can_be_had_back() -> None:
    async with PromptApp().run_test() as pilot:
        await pilot.press("a", "b", "ctrl+u")
        assert prompt_of(pilot).text == ""
        await pilot.press("up")
        assert prompt_of(pilot).text == "ab"


async def test_prompts_that_came_back_meanwhile_stay_above_what_an_editor_wrote() -> None:
    async with PromptApp().run_test() as pilot:
        prompt = prompt_of(pilot)
        for before in ("written", ""):
            prompt.write(before)
            prompt.restore("not sent")
            prompt.take_edited(before, "edited")
            assert prompt.text == "not sent\n\nedited"
        prompt.take_edited(prompt.text, "edited")
        assert prompt.text == "edited"


# Folded pastes


async def test_a_long_paste_is_a_word_that_is_spelled_out_when_sent() -> None:
    app = PromptApp()
    long = "a line\n" * 120
    async with app.run_test() as pilot:
        await pilot.press("a", "space")
        await paste(pilot, long)
        await pilot.press("z")
        assert prompt_of(pilot).shown_text == "a [pasted 1: 120 lines, 840 B]z"
        assert prompt_of(pilot).text == f"a {long}z"
        await pilot.press("enter")
        assert app.sent == [f"a {long}z"]
        await pilot.press("up")
        assert prompt_of(pilot).shown_text == "a [pasted 1: 120 lines, 840 B]z"


async def test_a_folded_paste_is_deleted_as_a_whole_and_comes_back_with_undo() -> None:
    async with PromptApp().run_test() as pilot:
        await paste(pilot, "x" * 3000)
        assert prompt_of(pilot).shown_text == "[pasted 1: 1 line, 3 kB]"
        await pilot.press("backspace")
        assert prompt_of(pilot).text == ""
        await pilot.press("ctrl+z")
        assert prompt_of(pilot).text == "x" * 3000


async def test_no_key_leaves_a_part_of_a_folded_paste() -> None:
    async with PromptApp().run_test() as pilot:
        prompt = prompt_of(pilot)
        for keys, left in (
            (["ctrl+w"], "ab"),
            (["left", "left", "backspace"], "ab"),
            (["home", "right", "right", "alt+delete"], "ab"),
            (["shift+left", "shift+left", "ctrl+x"], "ab"),
            (["left", "alt+k"], "a"),
        ):
            prompt.write("ab")
            prompt.move_cursor((0, 1))
            await paste(pilot, "x" * 3000)
            await pilot.press(*keys)
            assert prompt.text == left, keys
            await pilot.press("ctrl+z")
            assert prompt.text == f"a{'x' * 3000}b"


async def test_a_folded_paste_can_be_unfolded() -> None:
    long = "\n".join(map(str, range(40)))
    async with PromptApp().run_test() as pilot:
        await paste(pilot, long)
        prompt_of(pilot).unfold()
        assert prompt_of(pilot).shown_text == long
        await pilot.press("ctrl+z")
        assert prompt_of(pilot).shown_text.startswith("[pasted 1: ")
        assert prompt_of(pilot).text == long
        await pilot.press("alt+z")
        prompt_of(pilot).write(f"{long}!")
        assert prompt_of(pilot).shown_text == f"{long}!"


async def test_a_paste_that_was_changed_or_only_looks_like_one_is_text() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await paste(pilot, "[pasted 9: 1 line, 3 kB]")
        await pilot.press("enter")
        await paste(pilot, "x" * 3000)
        prompt_of(pilot).move_cursor((0, 3))
        await pilot.press("!", "enter")
        assert app.sent == ["[pasted 9: 1 line, 3 kB]", "[pa!sted 1: 1 line, 3 kB]"]


async def test_a_megabyte_is_pasted_typed_behind_and_sent_at_once() -> None:
    app = PromptApp()
    text = "some words of a very long text\n" * 34_000
    async with app.run_test() as pilot:
        prompt = prompt_of(pilot)
        started = time.perf_counter()
        prompt.on_paste(events.Paste(text))
        took = time.perf_counter() - started
        await pilot.press("!", "enter")
        assert app.sent == [text + "!"]
    assert took < 0.1, "about 0.01 s"


# Files


async def test_a_file_is_completed_and_named() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await write(pilot, "see @APP")
        assert offered(pilot) == ["src/app.py"]
        await pilot.press("tab")
        assert offered(pilot) == []
        assert prompt_of(pilot).text == "see @src/app.py "
        await write(pilot, "and @")
        assert offered(pilot) == FILES
        await pilot.press("down", "enter")
        assert prompt_of(pilot).text == 'see @src/app.py and @"src/with space.py" '
        await pilot.press("enter")
        assert app.mentions == [["src/app.py", "src/with space.py"]]


async def test_escape_closes_the_list_for_this_word_only() -> None:
    async with PromptApp().run_test() as pilot:
        await write(pilot, "@s")
        assert offered(pilot)
        await pilot.press("escape", "r", "c")
        await pilot.pause()
        assert offered(pilot) == []
        await write(pilot, " @s")
        assert offered(pilot)


async def test_a_row_can_be_clicked_and_the_prompt_keeps_the_focus() -> None:
    async with PromptApp().run_test() as pilot:
        await pilot.press("@")
        await pilot.pause()
        popup = pilot.app.query_one(Suggestions)
        assert popup.region.bottom == prompt_of(pilot).region.y
        await pilot.click(Suggestions, offset=(4, 2))
        assert prompt_of(pilot).text == "@README.md "
        assert pilot.app.focused is prompt_of(pilot)


@pytest.mark.parametrize("text", ["me@example", "a @@", "/usr/@", "no mention"])
async def test_other_words_complete_nothing(text: str) -> None:
    async with PromptApp(COMMANDS).run_test() as pilot:
        await write(pilot, text)
        assert offered(pilot) == []


async def test_what_is_folded_names_no_files() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await paste(pilot, "@secret\n" * 30)
        await write(pilot, " @a.b,")
        await pilot.press("enter")
        assert app.mentions == [["a.b"]]


# Commands


async def test_a_command_is_completed_and_run() -> None:
    app = PromptApp(COMMANDS)
    async with app.run_test() as pilot:
        await pilot.press("/")
        assert offered(pilot) == ["drop", "new", "rename"]
        await pilot.press("r", "e", "enter")
        assert prompt_of(pilot).text == "/rename "
        await write(pilot, "my title")
        await pilot.press("enter")
        assert prompt_of(pilot).text == ""
        await write(pilot, "/new")
        await pilot.press("enter")
        assert app.commanded == [("thread.rename", "my title"), ("chat.new", "")]
        assert app.sent == []


async def test_an_unknown_command_stays_and_two_slashes_are_one() -> None:
    app = PromptApp(COMMANDS)
    async with app.run_test() as pilot:
        await write(pilot, "/zzz it")
        await pilot.press("enter")
        assert prompt_of(pilot).text == "/zzz it"
        for text in ("//zzz it", "/etc/hosts is what"):
            prompt_of(pilot).write(text)
            await pilot.press("enter")
        assert (app.sent, app.commanded) == (["/zzz it", "/etc/hosts is what"], [])


# The queue, chords, the cursor


async def test_up_asks_for_what_waits_only_while_nothing_is_written() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        prompt = prompt_of(pilot)
        prompt.waiting = 2
        assert prompt.border_subtitle == "2 waiting · ↑ edits"
        await pilot.press("up")
        assert app.recalled == 1
        await pilot.press("a", "up")
        assert app.recalled == 1
        prompt.waiting = 0
        assert prompt.border_subtitle == ""


async def test_a_chord_counts_for_a_second_and_cutting_still_works() -> None:
    app = PromptApp(Writing.ACTIONS)
    async with app.run_test() as pilot:
        prompt = prompt_of(pilot)
        await pilot.press("a", "ctrl+x", "ctrl+e")
        assert app.commanded == [("prompt.editor", "")]
        await pilot.press("ctrl+x", "b", "ctrl+e")
        assert (prompt.text, len(app.commanded)) == ("ab", 1)
        await pilot.press("shift+left", "ctrl+x")
        assert prompt.text == "a"


async def test_the_terminal_cursor_stands_at_the_caret_wherever_the_field_moves() -> None:
    async with PromptApp().run_test(size=(40, 12)) as pilot:
        prompt = prompt_of(pilot)
        for keys in ("你", "ctrl+j", "b", "ctrl+j", "c", " ", "@"):
            await pilot.press(keys)
            await pilot.pause()
            x, y = prompt.wrapped_document.location_to_offset(prompt.cursor_location)
            corner = prompt.content_region.offset - prompt.scroll_offset
            assert pilot.app.cursor_position == (corner.x + x, corner.y + y)
        assert offered(pilot)
