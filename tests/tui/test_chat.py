"""The app as its user meets it, with the real runtime and the demo models."""

from __future__ import annotations

import pytest
from cody_core.runtime import open_runtime
from textual import events
from textual.geometry import Region
from textual.widgets._toast import Toast
from tui.conftest import MakeApp, MakeSettings
from tui.screen import (
    answered,
    completed,
    key,
    prompt_of,
    rows,
    send,
    shown,
    state,
    transcript_of,
    until,
)

from cody_tui.app import CodyApp

LONG = "demo/long"
SLOW = 0.002


async def test_an_answer_appears_below_its_prompt(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test() as pilot:
        await send(pilot, "Say **this** back")
        await answered(pilot, "Say this back")
        assert rows(pilot)[:3] == ["▌ Say **this** back", "", "  Say this back"]
        await until(pilot, lambda: pilot.app.title == "Say **this** back · Cody")


async def test_a_second_prompt_continues_the_thread(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 60)) as pilot:
        await send(pilot, "first")
        await answered(pilot, "the first turn of our thread")
        await send(pilot, "second")
        await answered(pilot, "This thread has one earlier turn")


async def test_a_prompt_written_before_the_client_is_there_is_sent(make_app: MakeApp) -> None:
    app = make_app("demo/echo")
    async with app.run_test() as pilot:
        app.screen_stack[0].post_message(prompt_of(pilot).Sent("early"))
        await until(pilot, lambda: rows(pilot)[:3] == ["▌ early", "", "  early"])


async def test_escape_stops_the_answer_and_keeps_what_came(make_app: MakeApp) -> None:
    async with make_app(LONG, SLOW).run_test(size=(80, 60)) as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering" and "1. On clocks" in shown(pilot))
        key(pilot, "escape")
        await answered(pilot, "■ stopped")
        await pilot.press("ctrl+home")
        assert rows(pilot)[:5] == ["▌ talk", "", "  The long answer", "", "  1. On clocks"]


async def test_prompts_written_meanwhile_wait_and_are_sent_in_order(make_app: MakeApp) -> None:
    async with make_app("demo/echo", 0.02).run_test(size=(80, 50)) as pilot:
        await send(pilot, "one " * 40)
        await until(pilot, lambda: state(pilot) == "answering")
        await send(pilot, "two")
        await send(pilot, "three")
        queued = ["▌ two  queued", "▌ three  queued"]
        await until(pilot, lambda: [row for row in rows(pilot) if "queued" in row] == queued)
        ending = ["▌ two", "two", "▌ three", "three"]
        await until(
            pilot, lambda: [row.strip() for row in rows(pilot) if row.strip()][-4:] == ending
        )


async def test_a_new_thread_starts_empty_and_remembers_nothing(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 60)) as pilot:
        await send(pilot, "first")
        await answered(pilot, "first turn of our thread")
        await pilot.press("ctrl+n")
        assert shown(pilot).strip() == ""
        await until(pilot, lambda: pilot.app.title == "Cody")
        await send(pilot, "again")
        await answered(pilot, "first turn of our thread")


async def test_a_thread_is_continued_where_it_was_left(
    make_app: MakeApp, make_settings: MakeSettings
) -> None:
    async with make_app(LONG).run_test() as pilot:
        await send(pilot, "talk")
        await completed(pilot)
        await until(pilot, lambda: "▌ talk" not in shown(pilot))
        assert transcript_of(pilot).is_following
        last = rows(pilot)
        await pilot.press("ctrl+q")
    async with open_runtime(make_settings()) as client:
        (thread,) = (await client.threads()).threads
    async with make_app("demo/tour", thread_id=thread.id).run_test() as pilot:
        await until(pilot, lambda: rows(pilot) == last)
        await until(pilot, lambda: pilot.app.title == "talk · Cody")
        await pilot.press("up")
        assert prompt_of(pilot).text == "talk"
        await pilot.press("ctrl+u")
        await send(pilot, "more")
        await answered(pilot, "Enjoy!")
        await pilot.press("pageup")
        await until(pilot, lambda: "one earlier turn" in shown(pilot))


async def test_quitting_in_the_middle_of_an_answer_saves_it(
    make_app: MakeApp, make_settings: MakeSettings
) -> None:
    app = make_app(LONG, SLOW)
    async with app.run_test() as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering" and len(shown(pilot)) > 400)
        key(pilot, "ctrl+q", "ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0
    async with open_runtime(make_settings()) as client:
        (thread,) = (await client.threads()).threads
        (run,) = (await client.thread(thread.id)).runs
    assert run.is_terminal
    assert run.output_items


async def test_an_app_that_is_torn_down_while_text_comes_ends_quietly(make_app: MakeApp) -> None:
    app = make_app(LONG, SLOW)
    async with app.run_test() as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering" and len(shown(pilot)) > 400)
    assert not app.is_running


async def test_hostile_text_reaches_no_row_and_no_title(make_app: MakeApp) -> None:
    hostile = "\x1b]0;owned\x07 \x1b[2J\x9b31m `\x1b[1m` \x08end"
    async with make_app("demo/echo").run_test() as pilot:
        await send(pilot, hostile)
        await answered(pilot, "␛[2J<9B>31m")
        transcript = transcript_of(pilot)
        strips = transcript.render_lines(Region(0, 0, *transcript.size))
        assert all(segment.text.isprintable() for strip in strips for segment in strip)
        await until(pilot, lambda: "␛]0;owned" in pilot.app.title)
        assert pilot.app.title.isprintable()


async def test_an_error_of_the_model_is_a_line_and_the_next_prompt_works(make_app: MakeApp) -> None:
    async with make_app("demo/fail", max_retries=0).run_test(size=(80, 40)) as pilot:
        await send(pilot, "try")
        await answered(pilot, "✗ the demo model 'fail' is overloaded")
        failures = shown(pilot).count("✗")
        await send(pilot, "try again")
        await until(pilot, lambda: shown(pilot).count("✗") == 2 * failures)
        await until(pilot, lambda: state(pilot) == "ready")


async def test_a_prompt_that_is_refused_comes_back(make_app: MakeApp) -> None:
    async with make_app("no-such-model").run_test() as pilot:
        await send(pilot, "precious words")
        await answered(pilot, "✗")
        assert prompt_of(pilot).text == "precious words"


async def test_without_a_connection_the_reason_is_said_and_nothing_is_lost(
    make_app: MakeApp, unused_tcp_port: int
) -> None:
    app = make_app(redis_url=f"redis://127.0.0.1:{unused_tcp_port}/0")
    async with app.run_test() as pilot:
        await until(pilot, lambda: state(pilot) == "offline" and "✗" in shown(pilot))
        assert "REDIS_URL" in shown(pilot)
        await send(pilot, "precious words")
        await until(pilot, lambda: prompt_of(pilot).text == "precious words")


async def test_a_thread_that_does_not_exist_is_said_to_be_missing(make_app: MakeApp) -> None:
    thread_id = "01890000-0000-7000-8000-000000000000"
    async with make_app(thread_id=thread_id).run_test() as pilot:
        await answered(pilot, "✗")
        assert thread_id in shown(pilot)


async def test_control_c_ends_nothing(make_app: MakeApp) -> None:
    app: CodyApp = make_app(LONG, SLOW)
    async with app.run_test(notifications=True) as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering")
        key(pilot, "ctrl+c")
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        assert app.is_running
        assert state(pilot) == "answering"
        key(pilot, "escape")
        await answered(pilot, "■ stopped")


async def test_a_notice_stands_above_the_first_prompt(make_app: MakeApp) -> None:
    async with make_app("demo/echo", notice="There is a newer version").run_test() as pilot:
        await send(pilot, "hello")
        await completed(pilot)
        await until(pilot, lambda: "▌ hello" in shown(pilot))
        assert rows(pilot)[:3] == ["  There is a newer version", "", "▌ hello"]


@pytest.mark.parametrize("size", [(80, 24), (160, 48), (20, 8)])
async def test_a_screen_of_any_size_is_filled_exactly(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    async with make_app().run_test(size=size) as pilot:
        await send(pilot, "hello")
        await answered(pilot, "Enjoy!")
        transcript = transcript_of(pilot)
        strips = transcript.render_lines(Region(0, 0, *transcript.size))
        assert {strip.cell_length for strip in strips} == {size[0]}
        assert prompt_of(pilot).region.bottom == size[1] - 1


async def test_a_pasted_book_is_one_prompt_and_shown_by_its_beginning(make_app: MakeApp) -> None:
    text = "a line of a long book\r\n" * 20_000
    async with make_app("demo/tour").run_test(size=(80, 60)) as pilot:
        prompt_of(pilot).post_message(events.Paste(text))
        await until(pilot, lambda: bool(prompt_of(pilot).text))
        assert prompt_of(pilot).text == text.replace("\r\n", "\n")
        assert prompt_of(pilot).region.height <= 60 // 3
        await pilot.press("enter")
        await answered(pilot, "Enjoy!")
